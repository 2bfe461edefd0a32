"""Hard cuts: where one frame of a video shows another scene, or another person, than the last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from mien.schema import UInt8Array

THUMBNAIL = (64, 48)
"""Width and height of the gray pictures in which cuts are looked for."""
# A picture changes at a cut by so many times what it does from frame to frame before and after:
# most of what moves begins slowly, and goes on. The thresholds are our choice.
_TIMES, _LEAST_CHANGE = 2.5, 0.5
_BEFORE, _LEAST_BEFORE = 10, 3  # frames

Picture = TypeVar("Picture")


def with_cuts(
    pictures: Iterable[Picture], thumbnail: Callable[[Picture], UInt8Array]
) -> Iterator[tuple[Picture, bool]]:
    """Yield each picture of a video, and whether a cut lies between it and the previous one.

    ``thumbnail`` makes the ``(48, 64)`` gray picture to compare. As what comes after a cut is
    calm again, and what comes after the first moment of a movement is not, a picture is yielded
    when the next one is there. An exception of ``pictures`` is raised after the last one.
    """
    changes: deque[float] = deque(maxlen=_BEFORE)
    waiting: tuple[Picture, float] | None = None
    small: UInt8Array | None = None
    try:
        for picture in pictures:
            before, small = small, thumbnail(picture)
            change = 0.0 if before is None else _change(before, small)
            if waiting is not None:
                cut = _is_cut(waiting[1], changes, change)
                yield waiting[0], cut
                if cut:
                    changes.clear()  # another scene, which may move less
                else:
                    changes.append(waiting[1])
            waiting = picture, change
    except Exception:
        if waiting is not None:
            yield waiting[0], _is_cut(waiting[1], changes, 0.0)
        raise
    if waiting is not None:
        yield waiting[0], _is_cut(waiting[1], changes, 0.0)


def _is_cut(change: float, before: Sequence[float], after: float) -> bool:
    if len(before) < _LEAST_BEFORE:
        return False
    return change > _TIMES * max(_LEAST_CHANGE, after, *before)


def _change(one: UInt8Array, two: UInt8Array) -> float:
    """How much a picture changes, in mean gray levels."""
    return float(np.abs(one.astype(np.int16) - two).mean())
