"""Files, folders and lists of paths in, the photos and videos behind them out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mien.faces.video import VIDEO_SUFFIXES, is_video


class Source(NamedTuple):
    """A photo or video to read, or an input with a ``fault`` that keeps it from being read."""

    path: str
    fault: str = ""
    video: bool = False


def find_sources(
    inputs: Iterable[str | os.PathLike[str]],
    listing: Iterable[str] | None = None,
    *,
    videos: bool = False,
) -> Iterator[Source]:
    """The photos behind files, folders and, for ``-``, a list of paths, one source per file.

    Folders are searched recursively in sorted order for files with an image's suffix, and with a
    video's where ``videos`` is true; hidden files and other files are skipped. A named file is a
    source whatever its suffix. ``listing`` yields the paths behind ``-``, one per line (default:
    standard input). Every input gives at least one source. ``path`` is the path as given, or the
    folder as given and the path inside it.
    """
    for each in inputs:
        if each == "-":
            empty = True
            for line in _stdin_lines() if listing is None else listing:
                if path := line.rstrip("\r\n"):
                    empty = False
                    yield from _expand(path, videos)
            if empty:
                yield Source("-", "expected a list of paths on standard input, got nothing")
        else:
            yield from _expand(os.fsdecode(each), videos)


def has_videos(inputs: Iterable[str | os.PathLike[str]]) -> bool:
    """Whether one of the inputs is a video, or a folder that contains videos and no photo."""
    return any(
        _only_videos(os.fsdecode(each)) if os.path.isdir(each) else is_video(each)
        for each in inputs
        if each != "-"
    )


def _stdin_lines() -> Iterator[str]:
    # Bytes, because a file name need not be valid text.
    return map(os.fsdecode, sys.stdin.buffer)


def _expand(path: str, videos: bool) -> Iterator[Source]:
    if os.path.isdir(path):
        yield from _folder(path, videos=videos)
    elif not is_video(path):
        yield Source(path)
    elif videos:
        yield Source(path, video=True)
    elif os.path.isfile(path):
        yield Source(path, "expected a photo, got a video; say what its rows are: --rows summary")
    else:
        yield Source(path)


def _only_videos(folder: str) -> bool:
    any_video = False
    for source in _folder(folder, videos=True):
        if not source.video and not source.fault:
            return False
        any_video |= source.video
    return any_video


def _folder(folder: str, *, videos: bool) -> Iterator[Source]:
    from mien.faces.images import IMAGE_SUFFIXES

    errors: list[OSError] = []
    empty, others = True, 0
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            suffix = Path(name).suffix.lower()
            video = suffix in VIDEO_SUFFIXES
            if suffix in IMAGE_SUFFIXES or (video and videos):
                empty = False
                yield Source(os.path.join(parent, name), video=video)
            else:
                others += 1
    for error in errors:
        yield Source(
            os.fsdecode(error.filename),
            f"expected a folder of photos, got one that cannot be listed ({error.strerror})",
        )
    if empty and not errors:
        skipped = f" ({others} other {'file' if others == 1 else 'files'})" if others else ""
        expected, got = ("photos or videos", "neither") if videos else ("photos", "no images")
        yield Source(folder, f"expected a folder of {expected}, got {got} in it{skipped}")
