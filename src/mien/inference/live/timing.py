"""How fast a camera is read, and how far behind it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from mien.inference.live.capture import Captured

_WINDOW_SECONDS = 2.0
# Memory does not grow: delays beyond are counted as the longest.
_DELAY_BINS, _BIN_SECONDS = 4000, 0.0005


class Pace(NamedTuple):
    """Frames per second that came and that were read, and the median delay in seconds."""

    came: float
    read: float
    delay: float


class Timing:
    """What was read of what came, now and in all.

    The delay of a frame is the time from when it came to when its predictions were shown.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[Captured, float]] = deque()
        self._first: Captured | None = None
        self._last: Captured | None = None
        self._delays = np.zeros(_DELAY_BINS, np.int64)

    def add(self, captured: Captured, shown: float) -> None:
        """Count a frame that was shown at ``shown`` on the clock of ``captured.at``."""
        self._first = self._first or captured
        self._last = captured
        delay = shown - captured.at
        self._delays[min(int(delay / _BIN_SECONDS), _DELAY_BINS - 1)] += 1
        self._recent.append((captured, shown))
        # Two at least, however slow it is.
        while len(self._recent) > 2 and shown - self._recent[0][1] > _WINDOW_SECONDS:
            self._recent.popleft()

    @property
    def read(self) -> int:
        """How many frames were read."""
        return int(self._delays.sum())

    @property
    def came(self) -> int:
        """How many frames came until the last that was read."""
        return 0 if self._last is None else self._last.frame.index + 1

    @property
    def seconds(self) -> float:
        """The time between the first and the last frame that were read."""
        if self._first is None or self._last is None:
            return 0.0
        return self._last.at - self._first.at

    def now(self) -> Pace | None:
        """The pace of the last two seconds; None before the second frame."""
        if len(self._recent) < 2:
            return None
        first, last = self._recent[0][0], self._recent[-1][0]
        seconds = max(last.at - first.at, 1e-9)
        delays = [shown - captured.at for captured, shown in self._recent]
        return Pace(
            (last.frame.index - first.frame.index) / seconds,
            (len(self._recent) - 1) / seconds,
            float(np.median(delays)),
        )

    def delay(self, share: float) -> float:
        """The delay in seconds that ``share`` of the frames do not exceed, up to two seconds."""
        ranked = np.cumsum(self._delays)
        place = int(np.searchsorted(ranked, share * self.read))
        return (min(place, _DELAY_BINS - 1) + 1) * _BIN_SECONDS

    @property
    def sentence(self) -> str:
        """What was read in all."""
        if self.seconds <= 0:
            return f"read {self.read} frames"
        return (
            f"read {self.read:,} of {self.came:,} frames in {self.seconds:.1f} s, "
            f"{(self.read - 1) / self.seconds:.1f} of {(self.came - 1) / self.seconds:.1f} a "
            f"second; delay {1000 * self.delay(0.5):.0f} ms in the middle, "
            f"{1000 * self.delay(0.99):.0f} ms in 99 of 100"
        )
