"""What every request passes before and after it is answered, whatever it asks for.

Who may ask (host, origin, token), how large and how slow a body may be, the headers that keep
a browser from loading or sending anything elsewhere, and the count of requests.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from mien.serving.limits import Limits, megabytes
from mien.serving.metrics import Metrics
from mien.serving.problems import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LEAST_SPEED = 100_000  # bytes a second that a long body must come with
# What is read of a body after its answer, so that the client gets to read the answer.
_LINGER_BYTES, _LINGER_SECONDS = 128_000_000, 3.0
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts, styles and fonts come from the server itself, and a page can send to it alone."""
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Gate:
    """ASGI middleware around the application.

    ``hosts`` are the names, without ports, that a request may call the server by beside its
    addresses; None for any.
    ``origins`` are the foreign pages whose scripts may ask. With a ``token``, everything but the
    pages and the two checks of health needs it.
    """

    def __init__(
        self,
        app: App,
        *,
        limits: Limits,
        metrics: Metrics,
        hosts: frozenset[str] | None,
        origins: frozenset[str],
        token: str | None,
    ) -> None:
        self._app, self._limits, self._metrics = app, limits, metrics
        self._hosts, self._origins = hosts, origins
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1003})
        started, answered = time.perf_counter(), []
        body = _Body(receive, Headers(scope=scope), self._limits, _is_video(scope))

        async def send_all(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.append(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            elif not message.get("more_body", False) and not body.over:
                await send({**message, "more_body": True})
                await body.linger()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            self._check(scope)
            body.check()
            await self._app(scope, body.receive, send_all)
        except Problem as problem:
            if answered:
                raise
            await problem.answer()(scope, body.receive, send_all)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.count_request(scope, answered[0] if answered else 500, seconds)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and not _is_known(host_name(host), self._hosts):
            raise Problem(
                421,
                f"expected one of the hosts {', '.join(sorted(self._hosts))}, got {host[:100]!r}; "
                "start the server with --allow-host to add one",
            )
        origin = headers.get("origin")
        # Browsers send their users' requests to servers on their machines for any page.
        if (
            origin is not None
            and origin.partition("://")[2] != host
            and origin not in self._origins
        ):
            raise Problem(
                403,
                f"expected a request from a page of this server, got one from {origin[:100]!r}; "
                "start the server with --allow-origin to allow it",
            )
        if self._token is None or not _is_guarded(scope) or scope["method"] == "OPTIONS":
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), self._token
        ):
            raise Problem(
                401,
                "expected the header 'Authorization: Bearer TOKEN' with the server's token, got "
                f"{'another token' if given else 'none'}",
                headers={"www-authenticate": "Bearer"},
            )


class _Body:
    """The body of a request as it comes in: counted and timed."""

    def __init__(self, receive: Receive, headers: Headers, limits: Limits, video: bool) -> None:
        self._receive = receive
        self._limit = limits.video_bytes if video else limits.body_bytes
        self._seconds = limits.body_seconds
        stated = headers.get("content-length", "")
        self._stated = int(stated) if stated.isascii() and stated.isdigit() else 0
        self.over = not self._stated and "transfer-encoding" not in headers
        self._bytes, self._started = 0, time.monotonic()

    def check(self) -> None:
        """Refuse a body that states that it is too large."""
        if self._stated > self._limit:
            raise self._too_large(megabytes(self._stated))

    async def receive(self) -> Message:
        if self.over:
            return await self._receive()
        allowed = self._seconds + self._bytes / LEAST_SPEED
        left = self._started + allowed - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            raise Problem(
                408,
                f"expected the request's body within {allowed:.0f} seconds, got "
                f"{self._bytes:,} bytes; send it faster, or less",
            ) from None
        self._bytes += len(message.get("body", b""))
        self.over = not message.get("more_body", False)
        if self._bytes > self._limit:
            raise self._too_large("more")
        return message

    async def linger(self) -> None:
        """Read on for a while: a connection that is closed on a sender takes the answer along."""
        most = self._bytes + _LINGER_BYTES
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self.over and self._bytes < most:
                    message = await self._receive()
                    self._bytes += len(message.get("body", b""))
                    self.over = not message.get("more_body", False)
        except TimeoutError:
            pass

    def _too_large(self, got: str) -> Problem:
        return Problem(
            413,
            f"expected a body of at most {megabytes(self._limit)}, got {got}; send fewer or "
            "smaller files",
        )


def host_name(host: str) -> str:
    """The name in a header ``Host``, without the port.

    >>> host_name("localhost:7860"), host_name("[::1]:7860"), host_name("::1")
    ('localhost', '::1', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return (host if host.count(":") > 1 else host.partition(":")[0]).lower()


def _is_known(name: str, hosts: frozenset[str]) -> bool:
    """An address is nobody's name, which could be made to lead here."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in hosts
    return True


def _is_video(scope: Scope) -> bool:
    return str(scope["path"]).startswith("/v1/videos")


def _is_guarded(scope: Scope) -> bool:
    return str(scope["path"]).startswith(("/v1/", "/metrics"))
