"""Photos in, the predictions of their faces out, in order and in constant memory."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from mien.inference.predictor import Predictor
from mien.inference.sources import Source, find_sources
from mien.schema import MienError, Prediction, Status

_WORKERS = 2  # more gain nothing, because the detector takes one photo at a time
_AHEAD = 4  # finished photos that may wait; each holds its crops, not its pixels
_LARGE = 16_000_000  # pixels; two larger photos at once would need more than a gigabyte
_one_large_at_a_time = threading.Lock()


def predict_files(
    predictor: Predictor,
    inputs: Iterable[str | os.PathLike[str]],
    *,
    tight: bool = False,
    listing: Iterable[str] | None = None,
) -> Iterator[Prediction]:
    """The predictions of photos, folders of photos and, for ``-``, a list of paths.

    ``inputs`` and ``listing`` are as for :func:`~mien.inference.sources.find_sources`, ``tight`` as
    for :meth:`Predictor.__call__`. Every input gives at least one prediction; what cannot be read
    has status ``unreadable`` and a reason.
    """
    for predictions in predict_photos(predictor, find_sources(inputs, listing), tight=tight):
        yield from predictions


def predict_photos(
    predictor: Predictor,
    sources: Iterable[Source],
    *,
    tight: bool = False,
    max_pixels: int | None = None,
) -> Iterator[list[Prediction]]:
    """The predictions of one photo after the other; no list is empty.

    Two photos are worked on at a time, so that reading one overlaps with detecting faces in
    another; the order is kept. ``max_pixels`` is as for
    :func:`~mien.faces.images.load_image`.
    """
    pending: deque[Future[list[Prediction]]] = deque()
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="mien-predict")
    try:
        for source in sources:
            pending.append(pool.submit(_predict, predictor, source, tight, max_pixels))
            if len(pending) > _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _predict(
    predictor: Predictor, source: Source, tight: bool, max_pixels: int | None
) -> list[Prediction]:
    from mien.faces.images import MAX_PIXELS, count_pixels

    if source.fault:
        return [Prediction(Status.UNREADABLE, source=source.path, reason=source.fault)]
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    if _LARGE < count_pixels(source.path) <= limit:
        with _one_large_at_a_time:
            return _read(predictor, source, tight, limit)
    return _read(predictor, source, tight, limit)


def _read(predictor: Predictor, source: Source, tight: bool, max_pixels: int) -> list[Prediction]:
    from mien.faces.images import load_image

    try:
        image = load_image(source.path, max_pixels=max_pixels)
    except MienError as error:
        return [Prediction(Status.UNREADABLE, source=source.path, reason=str(error))]
    faces = predictor.crop_faces(image, tight=tight)
    return predictor.predict_faces(faces, source=source.path) or [
        predictor.no_face(image, source=source.path)
    ]
