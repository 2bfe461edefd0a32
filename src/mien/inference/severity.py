"""A model that reads the severity of a depression scale from clips: research output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from mien.evaluation.aggregate import aggregate_clips
from mien.inference.model import read_severity_model
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
