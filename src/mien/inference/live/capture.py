"""The newest frame of a camera, and of a video as if it were one; older ones are dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from mien.faces.camera import Camera
from mien.faces.closing import Closing
from mien.faces.video import Frame, Video

_LONGEST_CLOSE = 2.0


class Captured(NamedTuple):
    """A frame, and the time on :func:`time.monotonic`'s clock at which it came."""

    frame: Frame
    at: float


class Capture(Closing):
    """Reads a camera or a video in a thread, and holds only the newest frame.

    The frames of a video come at the file's own times. The first frame is read when the first is
    taken; :meth:`close` closes the source as well.
    """

    def __init__(self, source: Camera | Video) -> None:
        self._source = source
        self._changed = threading.Condition()
        self._newest: Captured | None = None
        self._error: BaseException | None = None
        self._begun = self._ended = self._closed = False
        # A camera that was unplugged may hold the thread for seconds: nobody waits for that.
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    @property
    def ended(self) -> bool:
        """Whether there is no frame left, and none to come."""
        with self._changed:
            return self._ended and self._newest is None

    def take(self, seconds: float) -> Captured | None:
        """The newest frame, once; None where none comes within ``seconds``.

        Raises what the source raised.
        """
        if not self._begun:
            self._begun = True
            self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, seconds)
            captured, self._newest = self._newest, None
            if captured is None and self._error is not None:
                raise self._error
            return captured

    def close(self) -> None:
        """Stop reading, and close the source."""
        self._closed = True
        if self._begun:
            self._thread.join(_LONGEST_CLOSE)
        # To let go of a camera that is waited for would end the process.
        if not self._thread.is_alive():
            self._source.close()

    def _run(self) -> None:
        try:
            frames = self._source.frames()
            for frame in _paced(frames) if isinstance(self._source, Video) else frames:
                with self._changed:
                    if self._newest is not None and self._newest.frame.cut:
                        frame = replace(frame, cut=True)  # the dropped frame was after a cut
                    self._newest = Captured(frame, time.monotonic())
                    self._changed.notify()
                if self._closed:
                    break
        except BaseException as error:  # raised again where the frames are taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()


def _paced(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Each frame when it is due."""
    started: float | None = None
    for frame in frames:
        if started is None:
            started = time.monotonic() - frame.time
        time.sleep(max(0.0, started + frame.time - time.monotonic()))
        yield frame
