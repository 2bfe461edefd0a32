"""The application: the gate, the routes, the pages, and errors as sentences."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from mien import __version__
from mien.serving.gate import Gate
from mien.serving.problems import Problem
from mien.serving.routes.document import describe_api
from mien.serving.routes.pictures import picture_routes
from mien.serving.routes.state import state_routes
from mien.serving.routes.videos import video_routes
from mien.serving.service import Service
from mien.serving.template import PAGE, index_page

_ABOUT = """\
Affect from faces: pictures and videos in, one row per face or person out. Nothing that is sent is
stored beyond the request (videos: beyond their result), and the server sends nothing to anybody.

People who are exposed to emotion recognition must be informed of it (EU AI Act, article 50(3)).
"""


def create_app(
    service: Service,
    *,
    token: str | None = None,
    hosts: Sequence[str] | None = ("localhost", "127.0.0.1", "::1"),
    origins: Sequence[str] = (),
) -> FastAPI:
    """The ASGI application of a service, which it closes when it ends.

    Parameters
    ----------
    token
        What clients must send as ``Authorization: Bearer TOKEN``; None for nothing.
    hosts
        The names that requests may call the server by, against pages of others that resolve their
        name to this machine; None for any.
    origins
        Pages of others, such as ``https://example.org``, whose scripts may ask.
    """
    app = FastAPI(
        title="mien",
        version=__version__,
        description=_ABOUT,
        lifespan=_lifespan(service),
        # FastAPI's own pages load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
        )
    app.add_middleware(
        Gate,
        limits=service.limits,
        metrics=service.metrics,
        hosts=None if hosts is None else frozenset(host.lower() for host in hosts),
        origins=frozenset(origins),
        token=token,
    )
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(Exception, _of_fault)
    for routes in (picture_routes, video_routes, state_routes):
        app.include_router(routes(service))
    for path in sorted(PAGE.iterdir()):
        index = path.name == "index.html"
        name, route = ("", _index()) if index else (path.name, _page(path))
        app.add_route(f"/{name}", route, methods=["GET"], include_in_schema=False)
    app.openapi = describe_api(app, token=token is not None)  # type: ignore[method-assign]
    return app


def _lifespan(service: Service) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.warm_up)
        yield
        await run_in_threadpool(service.close)

    return lifespan


def _page(path: Path) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        return FileResponse(path)

    return page


def _index() -> Callable[[Request], Awaitable[Response]]:
    text = index_page("server")

    async def page(request: Request) -> Response:
        return HTMLResponse(text)

    return page


async def _of_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.answer()


async def _of_http(request: Request, error: Exception) -> Response:
    """What the framework refuses: an unknown path, another method."""
    assert isinstance(error, HTTPException)
    path, status = str(request.url.path)[:100], error.status_code
    detail = {
        404: f"expected a path of the API or a page, got {path!r}; see /docs.html",
        405: f"expected another method for {path!r}, got {request.method[:20]}; see /docs.html",
    }.get(status, str(error.detail))
    headers = error.headers
    if status == 405:
        # Several routes may share a path; the framework names the methods of the first.
        headers = {"allow": ", ".join(_methods(request))}
    return Problem(status, detail, headers=headers).answer()


def _methods(request: Request) -> list[str]:
    operations = request.app.openapi()["paths"]
    path = request.url.path
    for template, methods in operations.items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path):
            return sorted(method.upper() for method in methods)
    return ["GET"]  # a page


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where, given = ".".join(map(str, first["loc"][1:])), str(first.get("input"))[:100]
    message = first["msg"].removeprefix("Input should be ")
    return Problem(422, f"expected {where} to be {message}, got {given!r}").answer()


async def _of_fault(request: Request, error: Exception) -> Response:
    """A fault of mien: its traceback is in the log, not in the answer."""
    return Problem(500, "the server has failed; its log says how").answer()
