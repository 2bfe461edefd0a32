"""Readings over time: smoothed, and relative to each person's own rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.faces.tracks import GAP_SECONDS
from mien.heads import Arrays
from mien.inference.frames import FaceOutput
from mien.inference.model import relative_heads
from mien.inference.predictor import answer_of
from mien.models import ModelInfo
from mien.schema import Prediction, Status

# Who was away for longer gets a new track, see mien.faces.tracks.
_FORGET_SECONDS = 60.0


class Smoothing:
    """An exponential mean of outputs over time, whose time constant is ``seconds``.

    After a sudden change the mean has covered 63 % of the way after ``seconds`` and 95 % after
    three times as long; behind a steady change it stays ``seconds``. Frames may come at any times:
    one that comes ``t`` after the last weighs ``1 - exp(-t / seconds)``. 0 smooths nothing.
    Where an output is NaN, as action units of a face without a mesh, the frame has none.

    >>> smoothing = Smoothing(1.0)
    >>> for time in (0.0, 1.0):
    ...     smoothed = smoothing.add(time, {"x": np.array([[time]])})
    >>> round(float(smoothed["x"][0, 0]), 2)
    0.63
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._means: dict[str, tuple[float, NDArray[np.float64]]] = {}

    def add(self, time: float, outputs: Arrays) -> Arrays:
        """The means after another frame's outputs ``(1, ...)``; times increase."""
        return {name: self._add(time, name, values) for name, values in outputs.items()}

    def _add(self, time: float, name: str, values: NDArray[Any]) -> NDArray[Any]:
        if not self._seconds or np.isnan(values).any():
            return values
        mean = values.astype(np.float64)
        if name in self._means:
            before, last = self._means[name]
            share = -math.expm1((before - time) / self._seconds)
            mean = last + share * (mean - last)
        self._means[name] = time, mean
        return mean.astype(values.dtype)


@dataclass
class Baseline:
    """The mean outputs of a person's first usable ``needed`` seconds, which count as rest."""

    needed: float
    seconds: float = 0.0
    _last: float | None = None
    _sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether so many seconds are over."""
        return self.seconds >= self.needed

    def add(self, time: float, outputs: Arrays) -> None:
        """Add a usable frame's outputs ``(1, ...)``, while it is not complete."""
        if self._last is not None:
            # A time in which the face was not seen is no part of it.
            self.seconds += min(time - self._last, GAP_SECONDS)
        self._last = time
        for name, values in outputs.items():
            if not np.isnan(values).any():
                self._sums[name] = self._sums.get(name, 0.0) + values.astype(np.float64)
                self._counts[name] = self._counts.get(name, 0) + 1

    def means(self, outputs: Arrays) -> Arrays:
        """The mean of each output; NaN for one that it does not have."""
        return {
            name: self._sums[name] / self._counts[name]
            if name in self._sums
            else np.full(values.shape, np.nan)
            for name, values in outputs.items()
        }


@dataclass
class _Person:
    smoothing: Smoothing
    baseline: Baseline | None
    seen: float


class Steady:
    """The predictions of successive frames, each person's smoothed, and relative on request.

    ``smooth`` is the time constant of :class:`Smoothing` in seconds, 0 for none. With ``baseline``
    the outputs are as seen from the person's own first so many seconds, see
    :meth:`mien.heads.head.Head.relative`: until they are over, and where the face cannot be read,
    there are no values; ``reason`` says so in every row.
    """

    def __init__(self, reading: ModelInfo, *, smooth: float, baseline: float | None) -> None:
        self._reading, self._smooth, self._baseline = reading, smooth, baseline
        self._persons: dict[int, _Person] = {}

    def read(self, faces: list[FaceOutput]) -> list[Prediction]:
        """The predictions of one frame's faces, in the same order."""
        predictions = [self._read(*face) for face in faces]
        if faces:
            now = max(self._persons[track].seen for track in self._persons)
            self._persons = {
                track: person
                for track, person in self._persons.items()
                if person.seen > now - _FORGET_SECONDS
            }
        return predictions

    def _read(self, prediction: Prediction, outputs: Arrays | None) -> Prediction:
        track, time, face = prediction.track or 0, prediction.time or 0.0, prediction.face
        person = self._persons.get(track)
        if person is None:
            baseline = None if self._baseline is None else Baseline(self._baseline)
            person = self._persons[track] = _Person(Smoothing(self._smooth), baseline, time)
        person.seen = time
        if outputs is None or face is None:
            return prediction if person.baseline is None else _without_values(prediction)
        smoothed = person.smoothing.add(time, outputs)
        if person.baseline is None:
            return replace(prediction, **answer_of(self._reading, face, smoothed, 0))
        if not person.baseline.complete:
            person.baseline.add(time, outputs)
            done, needed = person.baseline.seconds, person.baseline.needed
            reason = f"at rest: {min(done, needed):.1f} of {needed:g} s"
            return _without_values(prediction, reason)
        relative = relative_heads(self._reading, smoothed, person.baseline.means(outputs))
        note = f"relative to the first {person.baseline.needed:g} s"
        return replace(prediction, **answer_of(self._reading, face, relative, 0, note=note))


def _without_values(prediction: Prediction, reason: str = "") -> Prediction:
    return Prediction(
        Status.ABSTAINED,
        source=prediction.source,
        reason=reason or prediction.reason,
        frame=prediction.frame,
        time=prediction.time,
        index=prediction.index,
        face=prediction.face,
        alignment=prediction.alignment,
        crop=prediction.crop,
        track=prediction.track,
    )
