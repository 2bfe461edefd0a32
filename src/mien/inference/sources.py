"""Files, folders and lists of paths in, the photos and videos behind them out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mien.faces.kinds import PHOTO_SUFFIXES, VIDEO_SUFFIXES, is_regular, is_video
from mien.inference.listing import listed_paths


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

    Folders are searched recursively in sorted order for files with a photo's suffix, and with a
    video's where ``videos`` is true, readable or not; hidden files and other files are skipped.
    Links to folders are followed, but each folder is searched once. A named file is a source
    whatever its suffix. ``listing`` yields the paths behind ``-`` (default: those on standard
    input, see :func:`~mien.inference.listing.listed_paths`). Every input gives at least one
    source. ``path`` is the path as given, or the folder as given and the path inside it.
    """
    for each in inputs:
        if each == "-":
            empty = True
            for line in _stdin_paths() if listing is None else listing:
                if path := line.rstrip("\r\n"):
                    empty = False
                    yield from _expand(_on_this_system(path), videos)
            if empty:
                yield Source("-", "expected a list of paths on standard input, got nothing")
        else:
            yield from _expand(os.fsdecode(each), videos)


def has_videos(inputs: Iterable[str | os.PathLike[str]]) -> bool:
    """Whether one of the inputs is a video, or a folder that contains videos and no photo."""
    return any(only_videos(each) for each in inputs)


def only_videos(given: str | os.PathLike[str]) -> bool:
    """Whether an input is a video, or a folder that contains videos and no photo."""
    if given == "-":
        return False
    return _only_videos(os.fsdecode(given)) if os.path.isdir(given) else is_video(given)


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
        yield from _folder(path, videos=videos)
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
    for source in _folder(folder, videos=True):
        if not source.video and not source.fault:
            return False
        any_video |= source.video
    return any_video


def _folder(folder: str, *, videos: bool) -> Iterator[Source]:
    errors: list[OSError] = []
    empty, others = True, 0
    for path in _files(folder, errors):
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
    if empty and not errors:
        skipped = f" ({others} other {'file' if others == 1 else 'files'})" if others else ""
        expected, got = ("photos or videos", "neither") if videos else ("photos", "no images")
        yield Source(folder, f"expected a folder of {expected}, got {got} in it{skipped}")


def _files(folder: str, errors: list[OSError]) -> Iterator[str]:
    """The files in a folder and below, sorted; behind links only what is not there anyway."""
    root, searched = os.path.realpath(folder), set()
    for parent, folders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        try:
            status = os.stat(parent)
        except OSError as error:
            errors.append(error)
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in searched:
            folders.clear()
            continue
        searched.add((status.st_dev, status.st_ino))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not _leads_into(os.path.join(parent, name), root)
        )
        yield from (os.path.join(parent, name) for name in sorted(names) if name[0] != ".")


def _leads_into(path: str, root: str) -> bool:
    """Whether this is a link to a place in ``root``, which is searched anyway, or back up."""
    if not os.path.islink(path):
        return False
    target = os.path.realpath(path)
    return os.path.commonpath([target, root]) in (target, root)
