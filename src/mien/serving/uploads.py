"""The files in a request's body: the body itself, or the parts of a form."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fastapi import Request, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser

from mien.serving.limits import Limits
from mien.serving.problems import Problem

_RAW_TYPES = ("application/octet-stream", "")
_LONGEST_NAME = 200
_FIELDS = 32  # of a form, beside its files


class Upload(NamedTuple):
    """One uploaded picture: the name that the client gave it, or nothing, and its bytes."""

    name: str
    content: bytes


class _InMemory(MultiPartParser):
    """Pictures stay in memory: nothing of a photo is written to a disk."""

    spool_max_size = 1 << 40


async def read_pictures(request: Request, limits: Limits) -> list[Upload]:
    """The pictures of a request, as a form or as the body itself.

    Raises :class:`Problem` for a body of another type (415), a damaged form (400), a body without
    files (422) and too many of them (413).
    """
    if _is_form(request, "image/"):
        async with _files(request, _InMemory, limits.images) as files:
            return [Upload(_name(each.filename), await each.read()) for each in files]
    content = await request.body()
    if not content:
        raise Problem(422, "expected a picture as the request's body, got an empty body")
    return [Upload("", content)]


async def save_video(request: Request, path: Path) -> str:
    """Write the video of a request to ``path``; return the name that the client gave it.

    Raises as :func:`read_pictures` does.
    """
    if _is_form(request, "video/"):
        async with _files(request, MultiPartParser, 1) as files:
            await run_in_threadpool(_copy, files[0].file, path)
            return _name(files[0].filename)
    with path.open("xb") as file:
        async for chunk in request.stream():
            if chunk:
                await run_in_threadpool(file.write, chunk)
    if not path.stat().st_size:
        raise Problem(422, "expected a video as the request's body, got an empty body")
    return ""


def _is_form(request: Request, family: str) -> bool:
    """Whether the body is a form rather than a file whose type starts with ``family``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return True
    if kind.startswith(family) or kind in _RAW_TYPES:
        return False
    raise Problem(
        415,
        f"expected multipart/form-data, {family}* or application/octet-stream as the content "
        f"type, got {kind[:100]!r}; name the type of the file in the header Content-Type",
    )


@asynccontextmanager
async def _files(
    request: Request, parser: type[MultiPartParser], most: int
) -> AsyncIterator[Sequence[UploadFile]]:
    try:
        form = await parser(
            request.headers, request.stream(), max_files=most, max_fields=_FIELDS
        ).parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise Problem(
                413, f"expected at most {most} files in a request, got more; send several requests"
            ) from None
        message = error.message.rstrip(".")
        raise Problem(
            400, f"expected a complete multipart/form-data body, got a damaged one ({message})"
        ) from None
    files = [value for _, value in form.multi_items() if not isinstance(value, str)]
    try:
        if not files:
            raise Problem(
                422, "expected at least one file in the form, got none; send it as a file's field"
            )
        yield [UploadFile(each.file, filename=each.filename) for each in files]
    finally:
        for each in files:
            await each.close()


def _name(name: str | None) -> str:
    """A file's name as clients see it again: its last part, in letters that can be printed."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter if letter.isprintable() else "?" for letter in last)[:_LONGEST_NAME]


def _copy(source: BinaryIO, path: Path) -> None:
    with path.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
