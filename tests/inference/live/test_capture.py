"""Only the newest frame is held; a video keeps its pace; ends and errors reach who takes frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mien.errors import MienError
from mien.faces.video import Frame
from mien.inference.live import capture as module
from mien.inference.live.capture import Capture


def frames(*times: float) -> Iterator[Frame]:
    for index, time in enumerate(times):
        yield Frame(index, time, np.zeros((2, 2, 3), np.uint8))


class Source:
    def __init__(self, stream: Iterator[Frame]) -> None:
        self.stream, self.closed, self.done = stream, False, threading.Event()

    def frames(self) -> Iterator[Frame]:
        yield from self.stream
        self.done.set()

    def close(self) -> None:
        self.closed = True


def capture_of(source: Any) -> Capture:
    return Capture(source)


def test_frames_are_dropped_and_not_queued() -> None:
    source = Source(frames(0, 1, 2, 3, 4))
    with capture_of(source) as capture:
        first = capture.take(5)
        source.done.wait(5)
        last = capture.take(5)
        assert first is not None
        # The first may be the last already.
        assert last is None or last.frame.index == 4
        assert capture.take(5) is None and capture.ended
        assert not source.closed
    assert source.closed


def test_nothing_is_read_before_it_is_wanted() -> None:
    source = Source(frames(0))
    with capture_of(source):
        pass
    assert source.closed and not source.done.is_set()


def test_one_that_waits_gets_nothing_and_goes_on() -> None:
    unplugged = threading.Event()

    def stream() -> Iterator[Frame]:
        yield from frames(0)
        unplugged.wait(5)

    with capture_of(Source(stream())) as capture:
        assert capture.take(5) is not None
        assert capture.take(0.01) is None
        assert not capture.ended
        unplugged.set()
        assert capture.take(5) is None and capture.ended


def test_errors_of_the_source_are_raised_where_frames_are_taken() -> None:
    def stream() -> Iterator[Frame]:
        yield from frames(0)
        raise MienError("out of memory")

    with capture_of(Source(stream())) as capture, pytest.raises(MienError, match="out of memory"):
        for _ in range(2):
            capture.take(5)


def test_a_camera_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_CLOSE", 0.01)
    hangs = threading.Event()

    def stream() -> Iterator[Frame]:
        yield from frames(0)
        hangs.wait(5)

    source = Source(stream())
    with capture_of(source) as capture:
        capture.take(5)
    assert not source.closed  # the thread still uses it
    hangs.set()


def test_a_video_keeps_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    fake = SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep)
    monkeypatch.setattr(module, "time", fake)
    shown = []
    for frame in module._paced(frames(0.0, 0.1, 0.5, 0.6)):
        shown.append((frame.time, round(clock.now - 100, 6)))
        clock.now += 0.3 if frame.index == 2 else 0.01  # one takes long to decode
    assert shown == [(0.0, 0.0), (0.1, 0.1), (0.5, 0.5), (0.6, 0.8)]
