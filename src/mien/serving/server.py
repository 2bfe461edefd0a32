"""``mien serve``: a socket, the application on it, and an end that finishes what was begun."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from h11 import IDLE
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.errors import MienError
from mien.serving.app import create_app
from mien.serving.problems import Problem
from mien.serving.service import Service
from mien.terminal import tell

_HEADER_SECONDS = 20.0  # for a request's line and headers
_DRAIN_SECONDS = 60.0  # for videos, and for somebody to fetch their results
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    token: str | None = None,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
) -> None:
    """Serve until a signal ends it; requests that were begun are answered first.

    The second signal ends it at once. ``hosts`` are further names that requests may call the
    server by; see :func:`~mien.serving.app.create_app` for the others. Raises
    :class:`~mien.errors.MienError` for an address that cannot be listened on.
    """
    listener = _listen(host, port)
    address, port = listener.getsockname()[:2]
    names = {host, address, *hosts, *_LOOPBACK}
    app = create_app(service, token=token, hosts=sorted(names), origins=origins)
    config = _Config(
        app,
        connections=service.limits.connections,
        http=_Connection,
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,  # nothing about a request is written down
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
    )
    if token is None and not _is_local(address):
        tell(
            "mien: warning: everybody who reaches this address can use the server; set a token "
            "with --token-file, or leave out --host"
        )
    shown = f"[{address}]" if ":" in address else address
    models = " and ".join(model.info.name for model in service.models)
    ready = f"mien: {models} on http://{shown}:{port} (Ctrl-C ends it)"
    _Server(config, service, ready).run(sockets=[listener])


class _Config(uvicorn.Config):
    """The settings of the server, with how many connections may be open."""

    def __init__(self, app: FastAPI, *, connections: int, **settings: Any) -> None:
        super().__init__(app, **settings)
        self.connections = connections


class _Server(uvicorn.Server):
    """A server that finishes videos, and ends at once at the second signal of either kind."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: str) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready
        self._drained = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the models' networks and listen, then say where."""
        await super().startup(sockets)
        tell(self._ready)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._service.draining:
            self._service.jobs.delete_files()
            os._exit(128 + sig)
        self._service.draining = True
        self._drained = time.monotonic() + _DRAIN_SECONDS

    async def on_tick(self, counter: int) -> bool:
        """Whether to end, asked ten times a second."""
        if self._service.draining and (
            not self._service.jobs.unfetched or time.monotonic() > self._drained
        ):
            self.should_exit = True
        return await super().on_tick(counter)


class _Connection(H11Protocol):
    """A connection that is closed when there are too many, or a request's headers do not come."""

    config: _Config
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start to wait for the first request, or refuse it."""
        super().connection_made(transport)
        # uvicorn's own limit looks at requests, and a connection need not make any.
        if len(self.connections) > self.config.connections:
            transport.write(_refusal(self.config.connections))
            transport.close()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on, and wait unless the headers are complete."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self.conn.their_state is not IDLE:
            self._stop_waiting()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(_HEADER_SECONDS, self._close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def _refusal(connections: int) -> bytes:
    """The answer to a connection too many."""
    problem = Problem(
        503,
        f"expected at most {connections} connections at a time, got one more; try again later, or "
        "send several requests over one",
        headers={"Retry-After": "1", "Connection": "close"},
    ).answer()
    headers = b"".join(name + b": " + value + b"\r\n" for name, value in problem.raw_headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + headers + b"\r\n" + bytes(problem.body)


def _listen(host: str, port: int) -> socket.socket:
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise MienError(
            f"expected to listen on {host} port {port}, got {error.strerror or error}; choose "
            "another --port or --host"
        ) from None
    listener.setblocking(False)
    return listener


def _is_local(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
