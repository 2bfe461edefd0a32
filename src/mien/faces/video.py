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
# Where the container counts more frames than there are, not even one may be missing at the end.
_SLACK_FRAMES = 0.75
# Times that go back by more are those of another recording, joined to the one before.
_JOINED_SECONDS = 1.0
# Text, which libav draws as the screen of a terminal would.
_NO_VIDEO = {"tty"}


# What files begin with: Matroska and WebM, MPEG, Windows Media, Flash, Ogg.
_BEGINNINGS = (
    *(b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"),
    *(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FLV\x01", b"OggS"),
)
_PHOTO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a video by its name or, under another name, by how it begins."""
    if os.path.splitext(os.fspath(path))[1].lower() in VIDEO_SUFFIXES:
        return not os.path.isdir(path)
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    if head[4:8] == b"ftyp":
        # Photos of telephones are in the same container.
        return head[8:12] not in _PHOTO_BRANDS
    return head.startswith(_BEGINNINGS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


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
    :meth:`frames` has ended, why it ended too early or that pictures are damaged; it is empty for
    a file that is whole.

    Raises :class:`MienError` for a file that cannot be opened or holds no video, and where the
    package av is missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        av = load_av()
        if not self.path.is_file():
            raise MienError(f"expected a video, got no file at {str(self.path)!r}")
        try:
            self._container = av.open(str(self.path))
        except (av.error.FFmpegError, ValueError) as error:
            raise MienError(
                f"expected a video in {str(self.path)!r}, got one that cannot be opened "
                f"({_words(error)}): it may be cut short or no video"
            ) from None
        # A song's cover is a stream of pictures too, so the file is asked for its video.
        self._stream: Any = self._container.streams.best("video")
        if self._stream is None or self._container.format.name in _NO_VIDEO:
            self._container.close()
            raise MienError(f"expected a video in {str(self.path)!r}, got a file without pictures")
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate = float(rate) if rate else None
        self.seconds = self._duration()
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._begun = False
        self.read = 0
        self.damage = ""

    def frames(self, *, rate: float | None = None) -> Iterator[Frame]:
        """The frames in order, of ``rate`` or fewer a second: the first of each ``1 / rate``.

        ``index`` counts all frames of the file, also those passed over. Times are the file's own
        (they may be uneven), from 0 and rising; a frame without one, or with one from before the
        last, follows the last at the file's rate. A damaged file gives its frames up to the
        damage. To be called once.
        """
        if rate is not None and not rate > 0:
            raise ValueError(f"expected a rate above 0, got {rate}")
        if self._begun:
            raise ValueError("expected a video that was not read yet: open it again")
        self._begun = True
        av = load_av()
        origin: float | None = None
        time, gap, slot, smeared = 0.0, self._step, -1, 0
        try:
            for decoded in self._decoded():
                stated = self._time(decoded)
                if origin is None:
                    origin = stated or 0.0
                else:
                    before = time
                    time, origin = self._next(time, stated, origin)
                    gap = time - before
                index, self.read = self.read, self.read + 1
                smeared += decoded.is_corrupt
                place = math.floor(time * rate + 1e-6) if rate else index
                if place > slot:
                    slot = place
                    yield Frame(index, time, self._upright(decoded))
        except (av.error.FFmpegError, ValueError) as error:
            self.damage = f"it is damaged after {self.read} frames ({_words(error)})"
            return
        texts = [f"damaged frames: {smeared} of {self.read}"] if smeared else []
        self.damage = "; ".join([*texts, *self._missing(time, gap)])

    @property
    def _step(self) -> float:
        return 1 / self.rate if self.rate else 0.04

    def _time(self, decoded: Any) -> float | None:
        """What the file says of a frame's time. AVI tells when to decode, which rises alike."""
        if self._container.format.name != "avi":
            return None if decoded.time is None else float(decoded.time)
        return None if decoded.dts is None else float(decoded.dts * decoded.time_base)

    def _next(self, before: float, stated: float | None, origin: float) -> tuple[float, float]:
        """The time of a frame after ``before``, and the stated time that counts as 0."""
        if stated is None:
            return before + self._step, origin
        if stated - origin > before:
            return stated - origin, origin
        if stated - origin > before - _JOINED_SECONDS:
            return before + min(self._step, 1e-3), origin
        return before + self._step, stated - before - self._step

    def _decoded(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except load_av().error.FFmpegError:
                # What the decoder still holds came before the damage.
                yield from self._stream.decode(None)
                raise
            if packet is None:
                return
            yield from packet.decode()

    def _missing(self, last: float, gap: float) -> list[str]:
        """What is missing at the end, after a frame at ``last`` that was ``gap`` from another."""
        if self.seconds is None:
            return []
        seen = last + gap if self.read else 0.0
        slack = max(_SLACK_SECONDS, _SLACK_SHARE * self.seconds)
        if self._stream.frames > self.read:
            slack = _SLACK_FRAMES * gap
        if seen >= self.seconds - slack:
            return []
        return [f"it ends after {seen:.2f} of {self.seconds:.2f} seconds"]

    def _duration(self) -> float | None:
        if self._container.format.name == "avi" and self._stream.frames and self.rate:
            # Its other statement of the duration is made of the size that the file has now.
            return float(self._stream.frames / self.rate)
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration:
            return float(self._container.duration) / 1_000_000
        return None

    def _upright(self, frame: Any) -> UInt8Array:
        pixels = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        # The file says how a camera was held: degrees against the clock, in quarter turns.
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels, np.uint8)

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


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rstrip(".").lower()


def load_av() -> Any:
    """The module av, which tells nothing on stderr; an error that says how to install it."""
    try:
        import av
    except ModuleNotFoundError:
        raise MienError(
            'reading videos needs the package av; install it with: pip install "mien[video]"'
        ) from None
    # What libav finds wrong is told in our words, not on stderr.
    av.logging.set_level(None)
    return av
