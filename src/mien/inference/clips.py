"""The clips of one person in a video, and the person's recording as a whole."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mien.heads import HEADS, Arrays
from mien.inference.model import OnnxModel, doubt_of, read_heads
from mien.metrics.aggregation import pool_clips
from mien.models import ClipsInfo
from mien.schema import Prediction, Status, UInt8Array


class ClipPrediction(NamedTuple):
    """What a model says of one clip, from ``start`` to ``end`` in seconds."""

    start: float
    end: float
    prediction: Prediction


def clips_of(model: OnnxModel) -> ClipsInfo:
    """How a model's clips are cut; ``ValueError`` for a model of faces."""
    if model.info.clips is None:
        raise ValueError(f"expected a model of clips, got {model.info.name!r}, a model of faces")
    return model.info.clips


def clip_fps(clips: ClipsInfo) -> float | None:
    """Frames per second within a clip; None where the training data had no times."""
    return None if clips.fps is None else clips.fps / clips.stride


class ClipReader:
    """Cuts the frames of one track into clips, one after the other, and predicts each.

    Frames are taken at the rate of the training data. Only the crops of the open clip are kept in
    memory.
    """

    def __init__(self, model: OnnxModel, source: str, track: int) -> None:
        self.preprocessing = model.info.preprocessing
        self._model, self._source, self._track = model, source, track
        self._settings = clips_of(model)
        self._fps = clip_fps(self._settings)
        self._open: list[tuple[float, UInt8Array]] = []
        self._last_crop: UInt8Array | None = None
        self._slot: int | None = None
        self._outputs: list[Arrays] = []
        self.clips: list[ClipPrediction] = []
        self.unfinished = 0
        """How many frames the longest clip that was never finished had."""

    @property
    def length(self) -> int:
        """Frames per clip."""
        return self._settings.length

    def needs(self, time: float) -> bool:
        """Whether the clip needs a frame at ``time``, rather than having one for that moment."""
        return self._slot is None or self._slot_of(time) > self._slot

    def add(self, time: float, crop: UInt8Array, *, continued: bool) -> None:
        """Add a crop that is needed; ``continued``: the previous frame had the person as well.

        Where the video has fewer frames per second than the model needs, the previous crop is
        repeated. Frames without the person are skipped instead, as they are in training.
        """
        slot = self._slot_of(time)
        if continued and self._fps and self._slot is not None and self._last_crop is not None:
            for missing in range(self._slot + 1, slot):
                self._append(missing / self._fps, self._last_crop)
        self._slot, self._last_crop = slot, crop
        self._append(time, crop)

    def close(self) -> None:
        """Drop the open clip."""
        self.unfinished = max(self.unfinished, len(self._open))
        self._open, self._last_crop = [], None

    def recording(self) -> tuple[dict[str, Any], str]:
        """What the heads say of all clips together, at least one, and why it should not be used.

        Fields of a prediction, and a reason or nothing.
        """
        owners = np.zeros(len(self._outputs), np.int64)
        outputs = {
            name: pool_clips(
                np.concatenate([arrays[name] for arrays in self._outputs]),
                owners,
                1,
                self._settings.aggregate,
            )
            for name in self._outputs[0]
        }
        fields = read_heads(self._model.info, outputs, 0)
        return fields, doubt_of(self._model.info, fields)

    def _slot_of(self, time: float) -> int:
        if self._fps is None:
            return 0 if self._slot is None else self._slot + 1
        # As the frames of a video are chosen, counted from its beginning.
        return int(time * self._fps + 1e-6)

    def _append(self, time: float, crop: UInt8Array) -> None:
        self._open.append((time, crop))
        if len(self._open) < self.length:
            return
        clip = np.stack([crop for _, crop in self._open])[None]
        arrays = self._model.predict(clip).heads
        start, self._open = self._open[0][0], []
        fields: dict[str, Any] = {}
        for name, info in self._model.info.heads.items():
            head = HEADS[name]
            fields |= head.read(head.for_clip(info), arrays, 0)
        doubt = doubt_of(self._model.info, fields)
        prediction = Prediction(
            Status.ABSTAINED if doubt else Status.OK,
            source=self._source,
            reason=doubt,
            time=start,
            track=self._track,
            **fields,
        )
        self._outputs.append(arrays)
        self.clips.append(ClipPrediction(start, time, prediction))
