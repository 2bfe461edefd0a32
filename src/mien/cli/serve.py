"""``mien serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Detector, Thorough, detector_of
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.search.neighbors import Neighbors


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="A model; may be repeated (default: fer)."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 7860,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ask clients for the token in this file."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that clients may call the server by."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A page of others whose scripts may ask."),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="INDEX", help="Show everybody who asks the nearest faces of this index."
        ),
    ] = None,
    detector: Detector = None,
    thorough: Thorough = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Pictures read at a time (default: one per core).")
    ] = None,
    queue: Annotated[
        int, typer.Option(min=1, help="Requests at a time; more are told to come again.")
    ] = 32,
    connections: Annotated[
        int, typer.Option(min=1, help="Open connections at a time, busy or not.")
    ] = 256,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that an answer may take.")] = 30,
    max_megabytes: Annotated[
        float, typer.Option(min=0.001, help="Of a request with pictures.")
    ] = 32,
    max_pixels: Annotated[int, typer.Option(min=1, help="Of a picture.")] = 50_000_000,
    max_video_megabytes: Annotated[float, typer.Option(min=0.001, help="Of a video.")] = 500,
    max_video_seconds: Annotated[float, typer.Option(min=0.1, help="Of a video.")] = 1800,
) -> None:
    """Serve predictions over HTTP, with a page for people.

    Nothing that is sent is stored, and nothing leaves this machine. MIEN_TOKEN in the environment
    is a token as well.
    """
    _require_packages()
    from mien.inference.model import open_models, open_onnx
    from mien.serving.limits import Limits
    from mien.serving.server import serve as serve_service
    from mien.serving.service import Service

    limits = Limits(
        body_bytes=int(max_megabytes * 1e6),
        video_bytes=int(max_video_megabytes * 1e6),
        pixels=max_pixels,
        video_seconds=max_video_seconds,
        queue=queue,
        connections=connections,
        request_seconds=timeout,
    )
    token = _token(token_file)
    faces, clips = open_models([open_onnx(each, threads=1) for each in model or ["fer"]])
    service = Service(
        faces,
        clips,
        limits=limits,
        detector=detector_of(detector, thorough),
        threads=threads,
        neighbors=_neighbors(index, model or ["fer"]),
    )
    serve_service(
        service,
        host=host,
        port=port,
        token=token,
        hosts=allow_host or [],
        origins=allow_origin or [],
    )


def _neighbors(index: Path | None, models: list[str]) -> Neighbors | None:
    from mien.models import find_model, read_onnx_info
    from mien.search.neighbors import open_neighbors

    if index is None:
        return None
    of_faces = [each for each in models if read_onnx_info(find_model(each)).clips is None]
    if not of_faces:
        raise MienError(
            f"expected a model of faces for --index, got {' and '.join(models)}; leave it out"
        )
    return open_neighbors(index, of_faces[0])


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get("MIEN_TOKEN") or None
    try:
        token = file.read_text("utf-8").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isascii() or len(token.split()) != 1:
        raise MienError(f"expected a token without spaces in {file}, got none; write one into it")
    return token


def _require_packages() -> None:
    from importlib.util import find_spec

    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
