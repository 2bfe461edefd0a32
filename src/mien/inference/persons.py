"""What one person shows in a video, added up frame by frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.heads import Arrays
from mien.inference.clips import ClipPrediction, ClipReader
from mien.inference.curves import Curve
from mien.inference.model import read_heads
from mien.models import ModelInfo
from mien.schema import Prediction, Status


@dataclass(frozen=True, eq=False)
class PersonSummary:
    """What one person shows in a video.

    ``prediction`` holds what the heads say: of a model of faces the means over usable time, of a
    model of clips the aggregate of the clips. Its status is ``abstained`` where no frame is
    usable, or the model of clips doubts the aggregate. ``start`` and ``end`` are in seconds;
    ``frames`` counts the frames with this face, of which ``usable_frames`` have status ``ok``, for
    ``usable_seconds``: a frame lasts until the next one that is read. ``usable_share`` is the
    latter's share of what was read of the video.
    ``usable`` is that time as a curve of no values; ``curves`` has the outputs of the model of
    faces over time, by name. ``note`` is about the whole video.
    """

    prediction: Prediction
    start: float
    end: float
    frames: int
    usable_frames: int
    usable_seconds: float
    usable_share: float
    usable: Curve
    curves: dict[str, Curve]
    clips: tuple[ClipPrediction, ...] | None = None
    note: str = ""

    @property
    def track(self) -> int:
        """The number of the person in the video."""
        return self.prediction.track or 0


class Person:
    """The running sums of one person; crops are kept for the open clip only."""

    def __init__(self, track: int, start: float, clips: ClipReader | None, step: float) -> None:
        self.track, self.start, self.end = track, start, start
        self.clips = clips
        self._step = step
        self._usable = Curve(step)
        self._curves: dict[str, Curve] = {}
        self._frames = self._usable_frames = 0
        self._usable_seconds = 0.0
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._seconds: dict[str, float] = {}
        self._first_doubt = ""

    def see(self, time: float, doubt: str) -> None:
        """Count a frame with this face; ``doubt`` says why it cannot be used."""
        self.end, self._frames = time, self._frames + 1
        self._usable_frames += not doubt
        self._first_doubt = self._first_doubt or doubt

    def add(self, time: float, seconds: float, outputs: Arrays) -> None:
        """Add the outputs ``(1, ...)`` of a usable frame that lasts for ``seconds``."""
        self._usable_seconds += seconds
        self._usable.add(time, seconds, ())
        for name, values in outputs.items():
            # Action units of a face without a mesh are NaN, and no part of the mean.
            known = 0.0 if np.isnan(values).any() else seconds
            weighted = known * np.nan_to_num(np.asarray(values, np.float64))
            self._sums[name] = self._sums.get(name, 0.0) + weighted
            self._seconds[name] = self._seconds.get(name, 0.0) + known
            curve = self._curves.setdefault(name, Curve(self._step))
            curve.add(time, seconds, np.ravel(values).tolist())

    def summary(
        self, source: str, seconds: float, model: ModelInfo | None, note: str
    ) -> PersonSummary:
        """The summary of a video that lasts for ``seconds``; ``model`` is that of faces.

        ``note`` is about the video and stands among the reasons.
        """
        reasons, doubt = [], ""
        if not self._usable_frames:
            first = f"first: {self._first_doubt}"
            reasons.append(f"none of {self._frames} frames can be used; {first}")
        fields: dict[str, Any] = {}
        if model is not None and self._usable_seconds:
            means = {
                name: total / (self._seconds[name] or math.nan)
                for name, total in self._sums.items()
            }
            fields |= read_heads(model, means, 0)
        if self.clips is not None:
            self.clips.close()
            if self.clips.clips:
                of_clips, doubt = self.clips.recording()
                fields |= of_clips
                reasons.append(doubt)
            else:
                reasons.append(
                    f"too short for a clip: {self.clips.unfinished} of {self.clips.length} frames"
                )
        prediction = Prediction(
            Status.OK if self._usable_frames and not doubt else Status.ABSTAINED,
            source=source,
            reason="; ".join(filter(None, [*reasons, note])),
            track=self.track,
            **fields,
        )
        return PersonSummary(
            prediction=prediction,
            start=self.start,
            end=self.end,
            frames=self._frames,
            usable_frames=self._usable_frames,
            usable_seconds=self._usable_seconds,
            usable_share=self._usable_seconds / seconds if seconds else 0.0,
            usable=self._usable,
            curves=self._curves,
            clips=None if self.clips is None else tuple(self.clips.clips),
            note=note,
        )
