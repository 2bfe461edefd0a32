"""Video files as upright frames with their own times, one after the other: memory does not grow."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mien.schema import MienError, UInt8Array

VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)
# A recording may end a little before its container says; what is missing beyond is damage.
_SLACK_SECONDS, _SLACK_SHARE = 1.0, 0.05


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame: its number in the file, its time in seconds, ``(H, W, 3)`` upright RGB."""

    index: int
    time: float
    pixels: UInt8Array


class Video:
    """A video file, opened; :meth:`frames` reads it from the beginning. A context manager.

    ``seconds`` is the duration that the file states and ``rate`` its average frames a second, both
    None where it does not say. ``read`` counts the frames decoded so far. ``damage`` says, after
    :meth:`frames` has ended, why it ended too early; it is empty for a file that is whole.

    Raises :class:`MienError` for a file that cannot be opened or holds no video, and where the
    package av is missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        av = _av()
        if not self.path.is_file():
            raise MienError(f"expected a video, got no file at {str(self.path)!r}")
        try:
            self._container = av.open(str(self.path))
        except (av.error.FFmpegError, ValueError) as error:
            raise MienError(
                f"expected a video in {str(self.path)!r}, got one that cannot be opened "
                f"({_words(error)}): it may be cut short or no video"
            ) from None
        if not self._container.streams.video:
            self._container.close()
            raise MienError(f"expected a video in {str(self.path)!r}, got a file without pictures")
        self._stream: Any = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.seconds = self._duration()
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate = float(rate) if rate else None
        self.read = 0
        self.damage = ""

    def frames(self, *, rate: float | None = None) -> Iterator[Frame]:
        """The frames in order, of ``rate`` or fewer a second: the first of each ``1 / rate``.

        ``index`` counts all frames of the file, also those passed over. Times are the file's own
        (they may be uneven), from 0; a frame without one follows the one before at the file's
        rate. A damaged file gives its frames up to the damage.
        """
        if rate is not None and not rate > 0:
            raise ValueError(f"expected a rate above 0, got {rate}")
        av = _av()
        start, before, slot = None, None, -1
        step = 1 / self.rate if self.rate else 0.04
        try:
            for decoded in self._container.decode(self._stream):
                time = decoded.time
                if time is None:
                    time = 0.0 if before is None else before + step
                start = time if start is None else start
                time = before = float(time)
                index, self.read = self.read, self.read + 1
                place = math.floor((time - start) * rate + 1e-6) if rate else index
                if place <= slot:
                    continue
                slot = place
                yield Frame(index, time - start, _upright(decoded))
        except av.error.FFmpegError as error:
            self.damage = f"it is damaged after {self.read} frames ({_words(error)})"
            return
        if self.seconds is not None and not self.damage:
            seen = 0.0 if before is None or start is None else before - start + step
            slack = max(_SLACK_SECONDS, _SLACK_SHARE * self.seconds)
            if seen < self.seconds - slack:
                self.damage = f"it ends after {seen:.1f} of {self.seconds:.1f} seconds"

    def _duration(self) -> float | None:
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration:
            return float(self._container.duration) / 1_000_000
        return None

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _upright(frame: Any) -> UInt8Array:
    pixels = frame.to_ndarray(format="rgb24")
    # The file says how a camera was held: degrees against the clock, in quarter turns.
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels, np.uint8)


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rstrip(".").lower()


def _av() -> Any:
    try:
        import av
    except ModuleNotFoundError:
        raise MienError(
            'reading videos needs the package av; install it with: pip install "mien[video]"'
        ) from None
    # What libav finds wrong is told in our words, not on stderr.
    av.logging.set_level(None)
    return av
