"""Photos in, the predictions of their faces out, in order and in constant memory.

Each thread takes a few consecutive photos at a time, reads them, finds and crops their faces with
a detector of its own, and runs the network once on the crops of all of them. So reading, finding
and the network overlap, and what comes out does not depend on the number of threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np

from mien.errors import MienError
from mien.faces.closing import Closing
from mien.inference.inputs.sources import Source, find_sources
from mien.inference.predictor import CroppedFace, Predictor
from mien.preparation.workers import available_cores
from mien.schema import Box, ModelOutput, Prediction, Status, UInt8Array

# A detector takes 60 MB; more threads are better spent on shards.
_MOST_THREADS = 16
# Photos that a thread takes at a time, at most; crops of that many wait for the network.
_CHUNK = 8
_LARGE = 16_000_000  # pixels
_one_large_at_a_time = threading.Lock()

# A large JPEG is first read at a size at which detectors see the same as in the whole one: they
# look at a quarter of a million pixels. What then turns out to be a small face is read finer.
_LEAST_PIXELS, _LEAST_SIDE = 700_000, 256
_MOST_SCALE = 1.0  # pixels of a crop for one of the image

Item = TypeVar("Item")


class Reading(NamedTuple):
    """How photos are read: ``tight``, ``max_pixels`` as for :class:`Predictor`.

    ``whole`` reads large JPEGs in full instead of at the resolution that their faces need.
    ``threads`` is their number, None for one per core.
    """

    tight: bool = False
    max_pixels: int | None = None
    whole: bool = False
    threads: int | None = None


READING = Reading()


def predict_files(
    predictor: Predictor,
    inputs: Iterable[str | os.PathLike[str]],
    *,
    tight: bool = False,
    listing: Iterable[str] | None = None,
) -> Iterator[Prediction]:
    """The predictions of photos, folders of photos and, for ``-``, a list of paths.

    ``inputs`` and ``listing`` are as for
    :func:`~mien.inference.inputs.sources.find_sources`, ``tight`` as for
    :meth:`Predictor.__call__`. Every input gives at least one prediction; what cannot be read has
    status ``unreadable`` and a reason.
    """
    sources = ((None, source) for source in find_sources(inputs, listing))
    for _, predictions in predict_photos(predictor, sources, Reading(tight)):
        yield from predictions


def _chunks(
    items: Iterable[tuple[Item, Source | None] | None],
) -> Iterator[list[tuple[Item, Source | None]]]:
    """Consecutive items, first one at a time, so that few are spread over the threads as well.

    An empty chunk stands for a pause.
    """
    chunk: list[tuple[Item, Source | None]] = []
    taken = 0
    for item in items:
        if item is not None:
            chunk.append(item)
        if chunk and (item is None or len(chunk) >= min(_CHUNK, 1 + taken // 8)):
            taken += len(chunk)
            yield chunk
            chunk = []
        if item is None:
            yield []
    if chunk:
        yield chunk


class _Stopped(Exception):
    """The work was given up between two photos."""


class _Photo(NamedTuple):
    """The cropped faces of a photo; without any, the prediction that says why."""

    path: str
    faces: Sequence[CroppedFace]
    without: Sequence[Prediction] = ()


class PhotoReader(Closing):
    """Threads that read photos, each with a sibling of a predictor; a context manager."""

    def __init__(self, predictor: Predictor, reading: Reading = READING) -> None:
        self._predictor, self._reading = predictor, reading
        self._threads = max(1, min(reading.threads or available_cores(), _MOST_THREADS))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="mien-predict")
        self._stop = threading.Event()
        self._idle: list[Predictor] = []
        self._siblings: list[Predictor] = []

    def predict(
        self, items: Iterable[tuple[Item, Source | None] | None]
    ) -> Iterator[tuple[Item, list[Prediction]]]:
        """The items in order, each with the predictions of its photo.

        An item is anything with the photo to read for it, or with None to pass through without
        predictions. An item None says that no other comes soon, so that what is being read is
        given. An error in a photo costs this photo alone, which is ``unreadable``. No list of a
        photo is empty.
        """
        pending: deque[tuple[list[Item], Future[list[list[Prediction]]]]] = deque()

        def first() -> Iterator[tuple[Item, list[Prediction]]]:
            chunk, future = pending.popleft()
            yield from zip(chunk, future.result(), strict=True)

        for chunk in _chunks(items):
            if chunk:
                future = self._pool.submit(self._predict, [source for _, source in chunk])
                pending.append(([item for item, _ in chunk], future))
            while pending and (
                not chunk or len(pending) > self._threads + 1 or pending[0][1].done()
            ):
                yield from first()
        while pending:
            yield from first()

    def close(self) -> None:
        """End the threads, after the photos that they are at."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for sibling in self._siblings:
            sibling.close()

    def _predict(self, sources: Sequence[Source | None]) -> list[list[Prediction]]:
        with self._a_predictor() as predictor:
            photos = [self._read(predictor, source) for source in sources]
            crops = [face.crop for photo in photos for face in photo.faces]
            if not crops:
                return [list(photo.without) for photo in photos]
            output = predictor.predict_crops(np.stack(crops))
            results, row = [], 0
            for photo in photos:
                rows = slice(row, row + len(photo.faces))
                row = rows.stop
                results.append(
                    predictor.read_faces(photo.faces, _rows(output, rows), source=photo.path)
                    or list(photo.without)
                )
            return results

    @contextlib.contextmanager
    def _a_predictor(self) -> Iterator[Predictor]:
        # The list's own pop and append need no lock.
        try:
            predictor = self._idle.pop()
        except IndexError:
            predictor = self._predictor.sibling()
            if predictor is not self._predictor:
                self._siblings.append(predictor)
        try:
            yield predictor
        finally:
            self._idle.append(predictor)

    def _read(self, predictor: Predictor, source: Source | None) -> _Photo:
        if self._stop.is_set():
            raise _Stopped
        if source is None:
            return _Photo("", ())
        if source.fault:
            return _unreadable(source.path, source.fault)
        try:
            return self._faces(predictor, source.path)
        except MienError:
            raise  # of the detector, not of the photo
        except Exception as error:
            reason = " ".join(str(error).split()) or "no reason"
            return _unreadable(
                source.path,
                f"expected to find its faces, got {type(error).__name__} ({reason}); save it as "
                "another file",
            )

    def _faces(self, predictor: Predictor, path: str) -> _Photo:
        """The faces of a photo, read at the resolution that the smallest of them needs."""
        from mien.faces.images import reduction

        factor = 1
        if not (self._reading.whole or self._reading.tight):
            factor = reduction(path, least_pixels=_LEAST_PIXELS, least_side=_LEAST_SIDE)
        while True:
            with room_for(path, factor):
                try:
                    image = self._load(path, factor)
                except MienError as error:
                    return _unreadable(path, str(error))
                faces = predictor.crop_faces(image, tight=self._reading.tight)
                finer = _finer(faces, factor, predictor.info.preprocessing.size)
                if finer == factor:
                    return _Photo(
                        path,
                        [enlarged(face, factor) for face in faces],
                        () if faces else [predictor.no_face(image, source=path)],
                    )
                factor = finer
                del image

    def _load(self, path: str, factor: int) -> UInt8Array:
        from mien.faces.images import MAX_PIXELS, load_image

        given = self._reading.max_pixels
        limit = MAX_PIXELS if given is None else given
        return load_image(path, max_pixels=limit, reduced_by=factor)


def room_for(path: str, factor: int = 1) -> contextlib.AbstractContextManager[object]:
    """Wait until no other thread has a large photo in memory, if this one is large.

    Of two at once, each with what it is decoded from, more than a gigabyte would be needed.
    ``factor`` is by how much the photo is reduced.
    """
    from mien.faces.images import count_pixels

    large = count_pixels(path) > _LARGE * factor**2
    return _one_large_at_a_time if large else contextlib.nullcontext()


def predict_photos(
    predictor: Predictor,
    items: Iterable[tuple[Item, Source | None] | None],
    reading: Reading = READING,
) -> Iterator[tuple[Item, list[Prediction]]]:
    """What :meth:`PhotoReader.predict` gives, with a reader for these items alone."""
    with PhotoReader(predictor, reading) as reader:
        yield from reader.predict(items)


def _finer(faces: Sequence[CroppedFace], factor: int, size: int) -> int:
    """The reduction that the smallest face needs: it must not be enlarged for its crop.

    A photo in which nothing was found is looked at as a whole.
    """
    if factor == 1 or not faces:
        return 1
    scale = max(float(np.hypot(*face.matrix[:, 0])) * size for face in faces)
    while factor > 1 and scale > _MOST_SCALE:
        factor, scale = factor // 2, scale / 2
    return factor


def enlarged(face: CroppedFace, factor: int) -> CroppedFace:
    """A face of a reduced image, in pixels of the whole one."""
    if factor == 1:
        return face
    box, points = face.face.box, face.face.landmarks
    moved = replace(
        face.face,
        box=Box(*(factor * side for side in (box.left, box.top, box.width, box.height))),
        landmarks=None if points is None else points * np.float32(factor),
    )
    matrix = face.matrix.copy()
    matrix[:, :2] /= factor
    return replace(face, face=moved, matrix=matrix)


def _rows(output: ModelOutput, rows: slice) -> ModelOutput:
    return ModelOutput(
        output.embeddings[rows],
        {name: values[rows] for name, values in output.heads.items()},
        None if output.attention is None else output.attention[rows],
    )


def _unreadable(path: str, reason: str) -> _Photo:
    return _Photo(path, (), [Prediction(Status.UNREADABLE, source=path, reason=reason)])
