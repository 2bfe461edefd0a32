"""Means over time in steps of equal length, of which there are never many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_STEPS = 2048
"""More steps than this become half as many of double length, so memory does not grow."""


class Segment(NamedTuple):
    """Steps without a gap: their ``edges`` ``(n + 1,)`` in seconds, ``means`` ``(n, width)``."""

    edges: NDArray[np.float64]
    means: NDArray[np.float64]


class Curve:
    """Values ``(width,)`` that each hold for a while, as their means in steps of ``step`` seconds.

    >>> curve = Curve(step=1.0)
    >>> curve.add(0.0, 1.5, [4.0])
    >>> curve.add(1.5, 0.5, [8.0])
    >>> [segment.means.ravel().tolist() for segment in curve.segments()]
    [[4.0, 6.0]]
    """

    def __init__(self, step: float) -> None:
        self.step = step
        # Of each step: the seconds that are known, and the values times these.
        self._sums: dict[int, NDArray[np.float64]] = {}

    def add(self, time: float, seconds: float, values: Sequence[float]) -> None:
        """Let ``values`` hold from ``time`` on for ``seconds``, both 0 or more."""
        while self._steps(time, seconds) > MOST_STEPS:
            self._fold()
        row = np.array([1.0, *values])
        for number in range(math.floor(time / self.step), self._end(time, seconds)):
            left, right = number * self.step, (number + 1) * self.step
            shared = min(right, time + seconds) - max(left, time)
            if shared > 1e-9:
                self._sums[number] = self._sums.get(number, 0.0) + shared * row

    def segments(self) -> list[Segment]:
        """What is known, cut where nothing is."""
        segments = []
        ordered = sorted(self._sums)
        for _, group in groupby(enumerate(ordered), lambda pair: pair[1] - pair[0]):
            numbers = [number for _, number in group]
            sums = np.stack([self._sums[number] for number in numbers])
            edges = self.step * np.arange(numbers[0], numbers[-1] + 2, dtype=np.float64)
            means = np.asarray(sums[:, 1:] / sums[:, :1], np.float64)
            segments.append(Segment(edges, means))
        return segments

    def _end(self, time: float, seconds: float) -> int:
        return math.ceil((time + seconds) / self.step)

    def _steps(self, time: float, seconds: float) -> int:
        first = min(self._sums, default=math.floor(time / self.step))
        return max(self._end(time, seconds), max(self._sums, default=first) + 1) - first

    def _fold(self) -> None:
        self.step *= 2
        sums, self._sums = self._sums, {}
        for number, row in sums.items():
            self._sums[number // 2] = self._sums.get(number // 2, 0.0) + row
