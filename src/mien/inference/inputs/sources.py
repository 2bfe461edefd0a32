"""Files, folders, patterns and lists of paths in, the photos and videos behind them out."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mien.errors import MienError
from mien.faces.kinds import PHOTO_SUFFIXES, VIDEO_SUFFIXES, is_regular, is_video
from mien.inference.inputs.listing import listed_paths
from mien.inference.inputs.patterns import is_pattern, matches
from mien.inference.inputs.walking import files_below

ADDRESS = (
    "expected a file or folder on this machine, got an address; mien fetches nothing: download it "
    "and name the file"
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Source(NamedTuple):
    """A photo or video to read, or an input with a ``fault`` that keeps it from being read."""

    path: str
    fault: str = ""
    video: bool = False


def find_sources(
    inputs: Iterable[str | os.PathLike[str]],
    listing: Iterable[str] | None = None,
    *,
    lists: Sequence[str | os.PathLike[str]] = (),
    videos: bool = False,
) -> Iterator[Source]:
    """The photos behind files, folders, patterns and lists of paths, one source per file.

    Folders are searched recursively in sorted order for files with a photo's suffix, and with a
    video's where ``videos`` is true, readable or not; hidden files and other files are skipped.
    Links to folders are followed, but each folder is searched once. A named file is a source
    whatever its suffix. A pattern (``*.jpg``, ``**/*.jpg``) stands for what it matches, sorted,
    unless there is a file of that name. ``listing`` yields the paths behind ``-`` (default: those
    on standard input, see :func:`~mien.inference.inputs.listing.listed_paths`); after the inputs
    come the paths in the files ``lists``. Every input gives at least one source. ``path`` is the
    path as given, or the folder as given and the path inside it. Nothing is fetched: an address
    such as ``https://...`` is a source with a fault.

    Raises :class:`~mien.errors.MienError` for a list that cannot be read.
    """
    for each in inputs:
        if each == "-":
            paths = _stdin_paths() if listing is None else listing
            yield from _listed(paths, Source("-", _NO_PATHS.format("on standard input")), videos)
            continue
        path = os.fsdecode(each)
        if is_pattern(path):
            yield from _matched(path, videos)
        else:
            yield from _expand(path, videos)
    for file in lists:
        name = os.fsdecode(file)
        yield from _listed(
            _file_paths(name), Source(name, _NO_PATHS.format("in this file")), videos
        )


_NO_PATHS = "expected a list of paths {}, got nothing"


def is_address(path: str) -> bool:
    """Whether this names something on another machine, such as ``https://...``."""
    return _ADDRESS.match(path) is not None and not os.path.lexists(path)


def has_videos(inputs: Iterable[str | os.PathLike[str]]) -> bool:
    """Whether one of the inputs is a video, or a folder that contains videos and no photo."""
    return any(only_videos(each) for each in inputs)


def only_videos(given: str | os.PathLike[str]) -> bool:
    """Whether an input is a video, or a folder that contains videos and no photo."""
    if given == "-":
        return False
    return _only_videos(os.fsdecode(given)) if os.path.isdir(given) else is_video(given)


def _listed(paths: Iterable[str], empty: Source, videos: bool) -> Iterator[Source]:
    any_path = False
    for line in paths:
        if path := line.rstrip("\r\n"):
            any_path = True
            yield from _expand(_on_this_system(path), videos)
    if not any_path:
        yield empty


def _file_paths(name: str) -> Iterator[str]:
    try:
        with open(name, "rb") as stream:
            yield from listed_paths(stream)
    except OSError as error:
        raise MienError(
            f"expected a list of paths in {name!r}, got {error.strerror or error}; check the name"
        ) from error


def _matched(pattern: str, videos: bool) -> Iterator[Source]:
    paths = matches(pattern)
    if not paths:
        yield Source(pattern, "expected files that match, got none; check the pattern")
    for path in paths:
        yield from _expand(path, videos)


def _stdin_paths() -> Iterator[str]:
    # Where standard input was closed there is none.
    return iter(()) if sys.stdin is None else listed_paths(sys.stdin.buffer)


def _on_this_system(path: str) -> str:
    """A path of a list that was made on Windows, where only that leads to a file."""
    if "\\" not in path or os.path.exists(path):
        return path
    turned = path.replace("\\", "/")
    return turned if os.path.exists(turned) else path


def _expand(path: str, videos: bool) -> Iterator[Source]:
    if os.path.isdir(path):
        yield from folder_sources(path, videos=videos)
    elif is_address(path):
        yield Source(path, ADDRESS)
    elif not is_video(path):
        yield Source(path)
    elif videos:
        yield Source(path, video=True)
    elif is_regular(path):
        yield Source(path, "expected a photo, got a video; say what its rows are: --rows summary")
    else:
        yield Source(path)


def _only_videos(folder: str) -> bool:
    any_video = False
    for source in folder_sources(folder, videos=True):
        if not source.video and not source.fault:
            return False
        any_video |= source.video
    return any_video


def folder_sources(folder: str, *, videos: bool, growing: bool = False) -> Iterator[Source]:
    """The photos, and videos where ``videos`` is true, in a folder and below, in sorted order.

    What cannot be listed is a source with a fault, and so is a folder without any photo, unless it
    is ``growing``.
    """
    errors: list[OSError] = []
    empty, others = True, 0
    for path in files_below(folder, errors):
        suffix = Path(path).suffix.lower()
        video = suffix in VIDEO_SUFFIXES and is_video(path)
        if suffix in PHOTO_SUFFIXES or (video and videos):
            empty = False
            yield Source(path, video=video)
        else:
            others += 1
    for error in errors:
        yield Source(
            os.fsdecode(error.filename),
            f"expected a folder of photos, got one that cannot be listed ({error.strerror})",
        )
    if empty and not errors and not growing:
        skipped = f" ({others} other {'file' if others == 1 else 'files'})" if others else ""
        expected, got = ("photos or videos", "neither") if videos else ("photos", "no images")
        yield Source(folder, f"expected a folder of {expected}, got {got} in it{skipped}")
