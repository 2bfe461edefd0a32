"""Video files as upright frames of their own shape and times, decoded one at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import MienError
from mien.faces.closing import Closing
from mien.faces.cuts import THUMBNAIL, with_cuts
from mien.schema import UInt8Array

# A recording may end slightly before its container says; a larger gap is damage.
_SLACK_SECONDS, _SLACK_SHARE = 1.0, 0.05
# Where the container counts more frames than were decoded, not even the last may be missing.
_SLACK_FRAMES = 0.75
# Times that go back by more belong to another recording, appended to the previous one.
_JOINED_SECONDS = 1.0
# Text, which libav renders like the screen of a terminal.
_NO_VIDEO = {"tty"}
# Pixels that are stated to be longer than this are a fault of the file.
_LONGEST_PIXEL = 4.0


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame: its index in the file, its time in seconds, and its upright pixels.

    ``pixels`` is ``(H, W, 3)`` uint8 RGB, as the video is displayed. ``cut`` says that there is a
    hard cut between it and the frame that was yielded before, see :mod:`mien.faces.cuts`.
    """

    index: int
    time: float
    pixels: UInt8Array
    cut: bool = False


class Video(Closing):
    """An open video file, whose frames :meth:`frames` yields. A context manager.

    ``name`` is the path as given. ``seconds`` is the duration that the file states and ``fps`` its
    average frames per second, both None where the file does not state them; ``size`` is the stated
    width and height of its frames in pixels as they are stored, 0 and 0 where it states none.
    ``read`` counts the frames decoded so far. Once :meth:`frames` is exhausted, ``damage`` says why
    it ended early or how many frames were damaged; it is empty for an intact file.

    Raises :class:`MienError` for a file that cannot be opened or holds no video, and where the
    package av is missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = os.fsdecode(path)
        av = load_av()
        if not self.path.is_file():
            raise MienError(f"expected a video, got no file at {str(self.path)!r}; check the name")
        try:
            self._container = av.open(str(self.path))
        except (av.error.FFmpegError, ValueError) as error:
            raise MienError(
                f"expected a video in {str(self.path)!r}, got one that cannot be opened "
                f"({_message(error)}): check that it is a complete video file"
            ) from None
        # The cover of a song is a stream of pictures too, so ask for the video.
        self._stream: Any = self._container.streams.best("video")
        if self._stream is None or self._container.format.name in _NO_VIDEO:
            self._container.close()
            raise MienError(
                f"expected a video in {str(self.path)!r}, got a file without pictures; choose "
                "another"
            )
        self._stream.thread_type = "AUTO"
        fps = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(fps) if fps else None
        self.seconds = self._duration()
        self.size: tuple[int, int] = (self._stream.width or 0, self._stream.height or 0)
        aspect = float(self._stream.sample_aspect_ratio or 1)
        fits = 1 / _LONGEST_PIXEL <= aspect <= _LONGEST_PIXEL
        self._aspect = aspect if fits else 1.0
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._shrinker = av.video.reformatter.VideoReformatter()
        self._begun = False
        self.read = 0
        self.damage = ""

    def frames(self, *, fps: float | None = None) -> Iterator[Frame]:
        """Yield the frames in order, at most ``fps`` per second: the first of each ``1 / fps``.

        ``index`` counts all frames of the file, including those that are skipped. Times are the
        file's own, which may be uneven; they start at 0 and increase. A frame without a time, or
        with one that goes back, follows the previous one at the file's frame rate. A damaged file
        yields its frames up to the damage. Can be called once. Raises ``ValueError`` for ``fps``
        of 0 or less and for a second call.
        """
        if fps is not None and not fps > 0:
            raise ValueError(f"expected fps above 0, got {fps}")
        if self._begun:
            raise ValueError("expected a video that has not been read yet: open it again")
        self._begun = True
        av = load_av()
        origin: float | None = None
        time, gap, last_slot, corrupt, after_cut = 0.0, self._step, -1, 0, False
        try:
            for decoded, cut in with_cuts(self._decoded(), self._thumbnail):
                stated = self._time(decoded)
                if origin is None:
                    origin = stated or 0.0
                else:
                    previous = time
                    time, origin = self._next(time, stated, origin)
                    gap = time - previous
                index, self.read = self.read, self.read + 1
                corrupt += decoded.is_corrupt
                slot = math.floor(time * fps + 1e-6) if fps else index
                after_cut = after_cut or cut
                if slot > last_slot:
                    last_slot = slot
                    yield Frame(index, time, self._upright(decoded), after_cut)
                    after_cut = False
        except (av.error.FFmpegError, ValueError) as error:
            self.damage = f"it is damaged after {self.read} frames ({_message(error)})"
            return
        texts = [f"damaged frames: {corrupt} of {self.read}"] if corrupt else []
        self.damage = "; ".join([*texts, *self._missing(time, gap)])

    @property
    def _step(self) -> float:
        return 1 / self.fps if self.fps else 0.04

    def _time(self, decoded: Any) -> float | None:
        """The time that the file states for a frame; in AVI the decoding time, which rises too."""
        if self._container.format.name != "avi":
            return None if decoded.time is None else float(decoded.time)
        return None if decoded.dts is None else float(decoded.dts * decoded.time_base)

    def _next(self, previous: float, stated: float | None, origin: float) -> tuple[float, float]:
        """The time of the frame after ``previous``, and the stated time that counts as 0."""
        if stated is None:
            return previous + self._step, origin
        if stated - origin > previous:
            return stated - origin, origin
        if stated - origin > previous - _JOINED_SECONDS:
            return previous + min(self._step, 1e-3), origin
        return previous + self._step, stated - previous - self._step

    def _decoded(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except load_av().error.FFmpegError:
                # The frames still in the decoder precede the damage.
                yield from self._stream.decode(None)
                raise
            if packet is None:
                return
            yield from packet.decode()

    def _missing(self, last: float, gap: float) -> list[str]:
        """What is missing after the last frame, at ``last``, which came ``gap`` after another."""
        if self.seconds is None:
            return []
        end = last + gap if self.read else 0.0
        slack = max(_SLACK_SECONDS, _SLACK_SHARE * self.seconds)
        if self._stream.frames > self.read:
            slack = _SLACK_FRAMES * gap
        if end >= self.seconds - slack:
            return []
        return [f"it ends after {end:.2f} of {self.seconds:.2f} seconds"]

    def _duration(self) -> float | None:
        if self._container.format.name == "avi" and self._stream.frames and self.fps:
            # Its other duration is computed from the current size of the file.
            return float(self._stream.frames / self.fps)
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration:
            return float(self._container.duration) / 1_000_000
        return None

    def _thumbnail(self, frame: Any) -> UInt8Array:
        width, height = THUMBNAIL
        small = self._shrinker.reformat(
            frame, width=width, height=height, format="gray", interpolation="AREA", threads=1
        )
        return np.asarray(small.to_ndarray(), np.uint8)

    def _upright(self, frame: Any) -> UInt8Array:
        # Pixels that are not square are made so, by enlarging the picture in one direction.
        pixels = self._reformatter.reformat(
            frame,
            width=round(frame.width * max(1.0, self._aspect)),
            height=round(frame.height * max(1.0, 1 / self._aspect)),
            format="rgb24",
            threads=1,
        ).to_ndarray()
        # The orientation of the camera: degrees counterclockwise, in quarter turns.
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels, np.uint8)

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def _message(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rstrip(".").lower()


def load_av() -> Any:
    """Import av and silence it on stderr; :class:`MienError` says how to install it."""
    try:
        import av
    except ModuleNotFoundError:
        raise MienError(
            'reading videos needs the package av; install it with: pip install "mien[video]"'
        ) from None
    # Errors of libav are reported in our messages, not on stderr.
    av.logging.set_level(None)
    return av
