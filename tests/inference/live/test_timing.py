"""Rate and delay, of now and in all, from known times."""

from __future__ import annotations

import numpy as np
import pytest

from mien.faces.video import Frame
from mien.inference.live.capture import Captured
from mien.inference.live.timing import Timing

PIXELS = np.zeros((2, 2, 3), np.uint8)


def timing_of(seconds: float, *, every: int, delay: float) -> Timing:
    """A camera of 30 frames a second, of which every so many-th is read."""
    timing = Timing()
    for index in range(0, round(30 * seconds), every):
        at = 1000 + index / 30
        timing.add(Captured(Frame(index, index / 30, PIXELS), at), at + delay)
    return timing


def test_the_pace_of_now() -> None:
    assert Timing().now() is None
    pace = timing_of(5, every=3, delay=0.04).now()
    assert pace is not None
    assert pace.came == pytest.approx(30) and pace.read == pytest.approx(10)
    assert pace.delay == pytest.approx(0.04)


def test_a_slow_reader_has_a_pace_too() -> None:
    pace = timing_of(30, every=150, delay=3.0).now()
    assert pace is not None and pace.read == pytest.approx(0.2) and pace.delay == pytest.approx(3)


def test_the_pace_of_now_forgets() -> None:
    timing = timing_of(5, every=3, delay=0.04)
    for index in range(150, 300):
        at = 1000 + index / 30
        timing.add(Captured(Frame(index, index / 30, PIXELS), at), at + 0.01)
    pace = timing.now()
    assert pace is not None and pace.read == pytest.approx(30)
    assert pace.delay == pytest.approx(0.01)
    assert len(timing._recent) <= 62


def test_all_in_one_sentence() -> None:
    timing = timing_of(10, every=3, delay=0.0402)
    assert timing.sentence == (
        "read 100 of 298 frames in 9.9 s, 10.0 of 30.0 a second; delay 40 ms in the middle, "
        "40 ms in 99 of 100"
    )
    assert Timing().sentence == "read 0 frames"


def test_delays_that_few_have() -> None:
    timing = timing_of(10, every=3, delay=0.02)
    for index in (300, 301, 302):
        at = 1000 + index / 30
        timing.add(Captured(Frame(index, index / 30, PIXELS), at), at + 0.9)
    assert timing.delay(0.5) == pytest.approx(0.02, abs=6e-4)
    assert timing.delay(0.99) == pytest.approx(0.9, abs=6e-4)
    timing.add(Captured(Frame(303, 11, PIXELS), 1011.0), 1099.0)
    assert timing.delay(1.0) == pytest.approx(2.0)  # the longest that is told apart
