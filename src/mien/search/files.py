"""The faces of photos and videos as rows of an index."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mien.errors import MienError
from mien.faces.video import Frame
from mien.files import sha256_of
from mien.inference.inputs.sources import Source, find_sources
from mien.inference.model import OnnxModel
from mien.inference.photos import Reading as PhotoReading
from mien.inference.photos import predict_photos
from mien.inference.predictor import Predictor, unreadable_because
from mien.inference.rows import plain
from mien.inference.units import NAME, reading_of
from mien.inference.videos import FPS, EachFrame, predict_video
from mien.schema import Face, Prediction, Status, UInt8Array
from mien.search.index import IndexedUnits
from mien.search.writing import IndexWriter
from mien.terminal import progress_bar

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector

_BLOCK = 256
_SIDES = ("left", "top", "width", "height")


class Reading(NamedTuple):
    """How files are read, see :func:`mien.search.build.build_index`."""

    detector: Detector | None = None
    tight: bool = False
    fps: float | None = None
    max_pixels: int | None = None
    threads: int | None = None

    def refuse_for_dataset(self, dataset: str) -> None:
        """Raise :class:`~mien.errors.MienError` for settings that crops of a dataset ignore."""
        given = [name for name, value in self._asdict().items() if value]
        if given:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            raise MienError(
                f"expected photos or videos for {names}, got the dataset {dataset!r}, whose faces "
                "are cropped already; leave it out"
            )


def units_of(model: OnnxModel) -> IndexedUnits:
    """The action units of faces in files: of the model's head, or by their blendshapes."""
    head: Any = reading_of(model.info).heads[NAME]
    return IndexedUnits(names=head.units, thresholds=head.thresholds, origin=head.source)


def add_files(
    writer: IndexWriter, model: OnnxModel, inputs: Sequence[str], reading: Reading
) -> None:
    """Add every face of photos, videos, folders and patterns that can be read."""
    sources = find_sources(inputs, videos=True)
    block = _Block(writer)
    done = 0
    with progress_bar("index") as show, Predictor(model, detector=reading.detector) as predictor:
        for video, group in groupby(sources, lambda source: source.video):
            for each in (_videos if video else _photos)(predictor, group, reading, block):
                del each
                done += 1
                show(done)
    block.flush()


class _Block:
    """Collects faces, so that the writer gets many at a time."""

    def __init__(self, writer: IndexWriter) -> None:
        self._writer = writer
        self._rows: list[dict[str, Any]] = []
        self._embeddings: list[Any] = []
        self._crops: list[UInt8Array] = []

    def take(self, prediction: Prediction, columns: dict[str, Any]) -> None:
        """Add a prediction, or note why not; ``columns`` are those that its file gives."""
        face = prediction.face
        reason = prediction.reason if face is None else unreadable_because(face)
        if face is None or reason or prediction.embedding is None or prediction.crop is None:
            status = Status.ABSTAINED if face else prediction.status
            self._writer.leave_out(
                prediction.source, status, reason or prediction.reason, prediction.time
            )
            return
        self._rows.append(columns | _columns(prediction, face))
        self._embeddings.append(prediction.embedding)
        self._crops.append(prediction.crop)
        if len(self._rows) >= _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Give the writer what is left."""
        if self._rows:
            self._writer.add(self._rows, np.stack(self._embeddings), np.stack(self._crops))
        self._rows, self._embeddings, self._crops = [], [], []


def _photos(
    predictor: Predictor, sources: Iterable[Source], reading: Reading, block: _Block
) -> Iterator[None]:
    settings = PhotoReading(reading.tight, reading.max_pixels, False, reading.threads)
    items = ((source, source) for source in sources)
    for source, predictions in predict_photos(predictor, items, settings):
        columns: dict[str, Any] = {}
        if predictions[0].face is not None:
            columns = {"digest": digest_of(source.path)}
        for prediction in predictions:
            block.take(prediction, columns)
        yield


def _videos(
    predictor: Predictor, sources: Iterable[Source], reading: Reading, block: _Block
) -> Iterator[None]:
    detector = None if reading.detector is None else EachFrame(reading.detector)
    for source in sources:
        columns = {"video": stored_path(source.path)}

        def on_frame(
            frame: Frame, predictions: list[Prediction], columns: dict[str, Any] = columns
        ) -> None:
            for prediction in predictions:
                block.take(prediction, columns)

        video = predict_video(
            source.path,
            predictor=predictor,
            fps=reading.fps or FPS,
            detector=detector,
            on_frame=on_frame,
        )
        if video.incomplete:
            block.take(
                Prediction(Status.UNREADABLE, video.source, video.damage or video.reason), {}
            )
        yield


def stored_path(path: str) -> str:
    """A path as an index stores it: absolute, and valid text."""
    return os.path.abspath(path).encode("utf-8", "backslashreplace").decode()


def digest_of(path: str | os.PathLike[str]) -> str | None:
    """The sha256 of a photo's file; None where it can no longer be read."""
    try:
        return sha256_of(Path(path))
    except OSError:
        return None


def _columns(prediction: Prediction, face: Face) -> dict[str, Any]:
    box = face.box
    return {
        "source": stored_path(prediction.source),
        "frame": prediction.frame,
        "time": prediction.time,
        "track": prediction.track,
        "face": prediction.index,
        "box": {side: plain(float(getattr(box, side))) for side in _SIDES},
        "expression": prediction.expression,
        "confidence": prediction.confidence,
        "valence": prediction.valence,
        "arousal": prediction.arousal,
        "action_units": prediction.action_units or None,
    }
