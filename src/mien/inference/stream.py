"""Files, folders and lists of paths in, predictions out, in constant memory."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from mien.faces.video import VIDEO_SUFFIXES, is_video
from mien.inference.predictor import Predictor
from mien.schema import MienError, Prediction, Status

_AT_ONCE = 2  # more gain nothing, because the detector takes one photo at a time
_AHEAD = 4  # finished photos that may wait; each holds its crops, not its pixels


class Found(NamedTuple):
    """A file to read, or one that cannot be, with the ``fault``."""

    source: str
    fault: str = ""
    video: bool = False


def predict_files(
    predictor: Predictor,
    inputs: Iterable[str | os.PathLike[str]],
    *,
    tight: bool = False,
    listing: Iterable[str] | None = None,
) -> Iterator[Prediction]:
    """The predictions of photos, folders of photos and, for ``-``, a list of paths.

    Folders are searched recursively in sorted order for files with an image's suffix; hidden
    files and other files are passed over. A file that is named is read whatever its suffix.
    ``listing`` gives the paths behind ``-``, one a line (default: standard input).

    Every input gives at least one prediction; what cannot be read has status ``unreadable`` and
    a reason. ``source`` is the path as given, or the folder as given and the path inside it.
    ``tight`` is as in :meth:`Predictor.__call__`. Two photos are worked on at a time, so that
    reading one overlaps with finding faces in another; the order is kept.
    """
    return predict_found(predictor, find_files(inputs, listing), tight=tight)


def predict_found(
    predictor: Predictor, files: Iterable[Found], *, tight: bool = False
) -> Iterator[Prediction]:
    """The predictions of photos that were found, as :func:`predict_files` has them."""

    def found(file: Found) -> list[Prediction]:
        return _predict(predictor, file.source, file.fault, tight)

    pending: deque[Future[list[Prediction]]] = deque()
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mien-predict")
    try:
        for file in files:
            pending.append(pool.submit(found, file))
            if len(pending) > _AHEAD:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def find_files(
    inputs: Iterable[str | os.PathLike[str]],
    listing: Iterable[str] | None = None,
    *,
    videos: bool = False,
) -> Iterator[Found]:
    """The files behind inputs, as for :func:`predict_files`; ``videos``: of those too."""
    for given in inputs:
        if given == "-":
            empty = True
            for line in _stdin_lines() if listing is None else listing:
                if path := line.rstrip("\r\n"):
                    empty = False
                    yield from _expand(path, videos)
            if empty:
                yield Found("-", "expected a list of paths on standard input, got nothing")
        else:
            yield from _expand(os.fsdecode(given), videos)


def names_videos(inputs: Iterable[str]) -> bool:
    """Whether one of the inputs is a video, or a folder that has videos and no photo."""
    for given in inputs:
        if given == "-":
            continue
        if _only_videos(given) if os.path.isdir(given) else is_video(given):
            return True
    return False


def _predict(predictor: Predictor, source: str, fault: str, tight: bool) -> list[Prediction]:
    from mien.faces.images import load_image

    if fault:
        return [Prediction(Status.UNREADABLE, source=source, reason=fault)]
    try:
        image = load_image(source)
    except MienError as error:
        return [Prediction(Status.UNREADABLE, source=source, reason=str(error))]
    found = predictor.crop_faces(image, tight=tight)
    return predictor.predict_faces(found, source=source) or [
        predictor.no_face(image, source=source)
    ]


def _stdin_lines() -> Iterator[str]:
    # Bytes, because a file name need not be valid text.
    return map(os.fsdecode, sys.stdin.buffer)


def _expand(path: str, videos: bool) -> Iterator[Found]:
    if os.path.isdir(path):
        yield from _folder(path, videos=videos)
    elif not is_video(path):
        yield Found(path)
    elif videos:
        yield Found(path, video=True)
    elif os.path.isfile(path):
        yield Found(path, "expected a photo, got a video; say what its rows are, as --rows summary")
    else:
        yield Found(path)


def _only_videos(folder: str) -> bool:
    found = False
    for one in _folder(folder, videos=True):
        if not one.video and not one.fault:
            return False
        found |= one.video
    return found


def _folder(folder: str, *, videos: bool) -> Iterator[Found]:
    from mien.faces.images import IMAGE_SUFFIXES

    closed: list[OSError] = []
    found, others = False, 0
    for parent, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            suffix = Path(name).suffix.lower()
            film = suffix in VIDEO_SUFFIXES
            if suffix in IMAGE_SUFFIXES or (film and videos):
                found = True
                yield Found(os.path.join(parent, name), video=film)
            else:
                others += 1
    for error in closed:
        yield Found(
            os.fsdecode(error.filename),
            f"expected a folder of photos, got one that cannot be listed ({error.strerror})",
        )
    if not found and not closed:
        passed_over = f" ({others} other {'file' if others == 1 else 'files'})" if others else ""
        wanted, got = ("photos or videos", "neither") if videos else ("photos", "no images")
        yield Found(folder, f"expected a folder of {wanted}, got {got} in it{passed_over}")
