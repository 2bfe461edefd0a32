"""Files, folders and lists of paths in, predictions out, in constant memory."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from mien.inference.predictor import Predictor
from mien.schema import MienError, Prediction, Status

VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)
_AT_ONCE = 2  # more gain nothing, because the detector takes one photo at a time
_AHEAD = 4  # finished photos that may wait; each holds its crops, not its pixels


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

    def found(source: str, fault: str) -> list[Prediction]:
        return _predict(predictor, source, fault, tight)

    pending: deque[Future[list[Prediction]]] = deque()
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mien-predict")
    try:
        for source, fault in _photos(inputs, listing):
            pending.append(pool.submit(found, source, fault))
            if len(pending) > _AHEAD:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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


def _photos(
    inputs: Iterable[str | os.PathLike[str]], listing: Iterable[str] | None
) -> Iterator[tuple[str, str]]:
    """Each photo's path with an empty fault, or a path with the reason why it cannot be read."""
    for given in inputs:
        if given == "-":
            empty = True
            for line in _stdin_lines() if listing is None else listing:
                if path := line.rstrip("\r\n"):
                    empty = False
                    yield from _expand(path)
            if empty:
                yield "-", "expected a list of paths on standard input, got nothing"
        else:
            yield from _expand(os.fsdecode(given))


def _stdin_lines() -> Iterator[str]:
    # Bytes, because a file name need not be valid text.
    return map(os.fsdecode, sys.stdin.buffer)


def _expand(path: str) -> Iterator[tuple[str, str]]:
    if os.path.isdir(path):
        yield from _folder(path)
    elif Path(path).suffix.lower() in VIDEO_SUFFIXES and os.path.isfile(path):
        yield path, "expected a photo, got a video; this version of mien reads photos only"
    else:
        yield path, ""


def _folder(folder: str) -> Iterator[tuple[str, str]]:
    from mien.faces.images import IMAGE_SUFFIXES

    closed: list[OSError] = []
    found, others = False, 0
    for parent, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                found = True
                yield os.path.join(parent, name), ""
            else:
                others += 1
    for error in closed:
        yield (
            os.fsdecode(error.filename),
            f"expected a folder of photos, got one that cannot be listed ({error.strerror})",
        )
    if not found and not closed:
        passed_over = f" ({others} other {'file' if others == 1 else 'files'})" if others else ""
        yield folder, f"expected a folder of photos, got no images in it{passed_over}"
