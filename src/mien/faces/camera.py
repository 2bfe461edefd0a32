"""A camera as upright frames, at the times at which they came."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mien.errors import MienError
from mien.faces.closing import Closing
from mien.faces.video import Frame


class Camera(Closing):
    """An open camera, whose frames :meth:`frames` yields as they come. A context manager.

    ``camera`` is its number, from 0, or a device such as ``/dev/video2``; OpenCV reads it. Once
    :meth:`frames` is exhausted, ``damage`` says why: a camera has no end of its own. Raises
    :class:`~mien.errors.MienError` for a camera that cannot be opened or gives no picture.
    """

    def __init__(self, camera: int | str) -> None:
        self.name = f"camera {camera}" if isinstance(camera, int) else str(camera)
        self.damage = ""
        # OpenCV's warnings would stand between our sentences.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        reader = cv2.CAP_ANY if isinstance(camera, int) else cv2.CAP_V4L2
        self._capture = cv2.VideoCapture(camera, reader)
        taken, pixels = self._capture.read() if self._capture.isOpened() else (False, None)
        if not taken or pixels is None:
            self._capture.release()
            raise MienError(
                f"expected a picture from {self.name}, got none; connect a camera that no other "
                f"program uses{_others()}, or name a video"
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old pictures are of no use
        self.size: tuple[int, int] = (pixels.shape[1], pixels.shape[0])

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; ``index`` counts from 0 and ``time`` is in seconds since the first."""
        index, started = 0, 0.0
        while True:
            taken, pixels = self._capture.read()
            if not taken or pixels is None:
                self.damage = f"{self.name} gives no more pictures"
                return
            now = time.monotonic()
            started = started or now
            colors = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, now - started, colors)
            index += 1

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()


def _others() -> str:
    """The devices that there are, where the system shows them as files."""
    devices = sorted(map(str, Path("/dev").glob("video*"))) if sys.platform == "linux" else []
    return f" (there are {', '.join(devices)})" if devices else ""
