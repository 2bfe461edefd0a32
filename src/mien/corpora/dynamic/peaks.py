"""The frames of a posed sequence that show its expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

PEAK_FRAMES = 3
"""How many frames of a sequence count as its peak, as is usual in the field."""


def last_frames(frames: Sequence[T]) -> Sequence[T]:
    """Of a sequence that ends at its peak, the last three.

    >>> last_frames([1, 2, 3, 4, 5])
    [3, 4, 5]
    """
    return frames[-PEAK_FRAMES:]


def middle_frames(frames: Sequence[T]) -> Sequence[T]:
    """Of a sequence from neutral to neutral, the three in the middle.

    >>> middle_frames([1, 2, 3, 4, 5])
    [2, 3, 4]
    """
    start = max(0, (len(frames) - PEAK_FRAMES) // 2)
    return frames[start : start + PEAK_FRAMES]
