"""A model that reads the severity of a depression scale from clips: research output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from mien.inference.model import read_severity_model
from mien.metrics.aggregation import aggregate_clips
from mien.models import SeverityInfo, find_model
from mien.schema import FloatArray, MienError, UInt8Array

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Score(NamedTuple):
    """A severity in points with its conformal interval (None without) and the band's name."""

    value: float
    low: float | None
    high: float | None
    band: str


class ClipScore(NamedTuple):
    """The severity of one clip of a track, from ``start`` to ``end`` in seconds."""

    track: int
    start: float
    end: float
    severity: float


class SeverityPredictor:
    """A model of severity; ``info`` says its scale, its clips, and what it must not be used for."""

    def __init__(self, info: SeverityInfo, session: InferenceSession) -> None:
        self.info = info
        self._session = session

    @classmethod
    def load(cls, name_or_file: str | os.PathLike[str], *, threads: int | None = None) -> Self:
        """From an ONNX file that ``mien export`` wrote of a run of severity."""
        return cls(*read_severity_model(find_model(name_or_file), threads=threads))

    @property
    def frames_a_second(self) -> float | None:
        """How many frames a second a clip has; None where the training data had no times."""
        clips = self.info.clips
        return None if clips.rate is None else clips.rate / clips.stride

    def predict_clips(self, crops: UInt8Array) -> FloatArray:
        """Severity ``(B,)`` in points of clips ``(B, T, S, S, 3)``, as the preprocessing says."""
        from mien.faces.tensors import to_tensor

        size, length = self.info.preprocessing.size, self.info.clips.length
        if crops.ndim != 5 or crops.shape[1:] != (length, size, size, 3):
            raise ValueError(
                f"expected clips (B, {length}, {size}, {size}, 3), got shape {crops.shape}"
            )
        images = to_tensor(crops.reshape(-1, size, size, 3), self.info.preprocessing)
        [found] = self._session.run(
            ["severity"], {"clip": images.reshape(len(crops), length, *images.shape[1:])}
        )
        if not np.isfinite(found).all():
            raise MienError(
                f"expected finite numbers from the model {self.info.name!r}, got NaN or infinity; "
                "train or export it again"
            )
        return np.asarray(found, np.float32)

    def score(self, clips: Sequence[float]) -> Score:
        """The score of a recording from those of its clips, at least one."""
        values = np.asarray(clips, np.float64)
        owners = np.zeros(len(values), np.int64)
        value = float(aggregate_clips(values, owners, 1, self.info.clips.aggregate)[0])
        half, top = self.info.conformal.half_width, self.info.scale.top
        value = min(max(value, 0.0), float(top))
        band = self.info.scale.band(value)
        if half is None:
            return Score(value, None, None, band)
        return Score(value, max(0.0, value - half), min(float(top), value + half), band)


class ClipReader:
    """The clips of one track, one after the other, at the rate that the model was trained on.

    Only the crops of the open clip are held.
    """

    def __init__(self, model: SeverityPredictor, track: int) -> None:
        self._model, self._track = model, track
        self.preprocessing = model.info.preprocessing
        self._held: list[tuple[float, UInt8Array]] = []
        self._last: UInt8Array | None = None
        self._slot: int | None = None
        self.scores: list[ClipScore] = []
        self.left_over = 0

    def wants(self, time: float) -> bool:
        """Whether the clip needs a frame at ``time``, or has one of that moment already."""
        return self._slot is None or self._slot_of(time) > self._slot

    def add(self, time: float, crop: UInt8Array, *, went_on: bool) -> None:
        """Take a crop that is wanted; ``went_on``: the track had one in the look before.

        Where the video has fewer frames a second than the model needs, the former is repeated.
        Frames without the face are passed over instead, as they are in training.
        """
        slot = self._slot_of(time)
        rate = self._model.frames_a_second
        if went_on and rate and self._slot is not None and self._last is not None:
            for missed in range(self._slot + 1, slot):
                self._append(missed / rate, self._last)
        self._slot, self._last = slot, crop
        self._append(time, crop)

    def close(self) -> None:
        """Let go of the open clip; ``left_over`` keeps how many frames it had."""
        self.left_over = max(self.left_over, len(self._held))
        self._held, self._last = [], None

    def _slot_of(self, time: float) -> int:
        rate = self._model.frames_a_second
        if rate is None:
            return 0 if self._slot is None else self._slot + 1
        # As a video's frames are chosen, counted from its beginning.
        return int(time * rate + 1e-6)

    def _append(self, time: float, crop: UInt8Array) -> None:
        self._held.append((time, crop))
        if len(self._held) == self._model.info.clips.length:
            clip = np.stack([held for _, held in self._held])[None]
            value = float(self._model.predict_clips(clip)[0])
            self.scores.append(ClipScore(self._track, self._held[0][0], time, value))
            self._held = []
