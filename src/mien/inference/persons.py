"""What one person shows in a video, added up frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.inference.curves import Curve
from mien.inference.severity import ClipReader, ClipScore, Score, SeverityPredictor
from mien.schema import Prediction, Status

NO_EXPRESSIONS = "no model of expressions"


@dataclass(frozen=True, eq=False)
class TrackSummary:
    """What one person shows in a video.

    ``start`` and ``end`` in seconds; ``frames`` with this face, of which ``usable`` gave an answer
    that may be used, for ``seconds``: a frame counts until the next one that was looked at.
    ``share`` is the latter's share of what was read of the video. ``shares`` are the mean
    probabilities over usable time and sum to one; ``expression`` is the largest. ``valence`` and
    ``arousal`` are means alike. ``severity`` is None with a ``reason``, or where no model gives
    one. ``status`` is ``abstained`` where no frame is usable. ``curve`` has the probabilities over
    time, then valence and arousal where there are some.
    """

    source: str
    track: int
    status: Status
    reason: str
    start: float
    end: float
    frames: int
    usable: int
    seconds: float
    share: float
    curve: Curve
    shares: dict[str, float] = field(default_factory=dict)
    expression: str | None = None
    valence: float | None = None
    arousal: float | None = None
    severity: Score | None = None
    clips: tuple[ClipScore, ...] = ()


class Track:
    """What is added up of one person; crops are held for the open clip only."""

    def __init__(self, number: int, start: float, clips: ClipReader | None, step: float) -> None:
        self.number, self.start, self.end = number, start, start
        self.clips = clips
        self._curve = Curve(step)
        self._frames = self._usable = 0
        self._seconds = 0.0
        self._sums: NDArray[np.float64] | None = None
        self._doubt = ""

    def see(self, time: float, prediction: Prediction) -> None:
        """Count a frame with this face."""
        self.end, self._frames = time, self._frames + 1
        if _usable(prediction):
            self._usable += 1
        else:
            self._doubt = self._doubt or prediction.reason

    def count(self, time: float, seconds: float, prediction: Prediction) -> None:
        """Count what a frame shows for as long as it was there."""
        if not _usable(prediction):
            return
        self._seconds += seconds
        values = list(prediction.probabilities.values())
        if prediction.valence is not None and prediction.arousal is not None:
            values += [prediction.valence, prediction.arousal]
        self._curve.add(time, seconds, values)
        row = seconds * np.array(values)
        self._sums = row if self._sums is None else self._sums + row

    def summary(
        self,
        source: str,
        seconds: float,
        names: tuple[str, ...],
        severity: SeverityPredictor | None,
    ) -> TrackSummary:
        """All of it; ``seconds`` is the length of the video."""
        reasons = []
        if not self._usable:
            reasons.append(f"none of {self._frames} frames can be used; first: {self._doubt}")
        means = [] if self._sums is None else (self._sums / self._seconds).tolist()
        shares = dict(zip(names, means, strict=False))
        valence, arousal = means[len(names) :] or (None, None)
        score = None
        if severity is not None and self.clips is not None:
            self.clips.close()
            if self.clips.scores:
                score = severity.score([clip.severity for clip in self.clips.scores])
            else:
                reasons.append(
                    f"too short for severity: {self.clips.left_over} of the "
                    f"{severity.info.clips.length} frames of a clip"
                )
        return TrackSummary(
            source=source,
            track=self.number,
            status=Status.OK if self._usable else Status.ABSTAINED,
            reason="; ".join(reasons),
            start=self.start,
            end=self.end,
            frames=self._frames,
            usable=self._usable,
            seconds=self._seconds,
            share=self._seconds / seconds if seconds else 0.0,
            curve=self._curve,
            shares=shares,
            expression=max(shares, key=shares.__getitem__) if shares else None,
            valence=valence,
            arousal=arousal,
            severity=score,
            clips=() if self.clips is None else tuple(self.clips.scores),
        )


def _usable(prediction: Prediction) -> bool:
    """Whether a face counts: an answer that may be used, or no answer was asked for."""
    return prediction.status is Status.OK or prediction.reason == NO_EXPRESSIONS
