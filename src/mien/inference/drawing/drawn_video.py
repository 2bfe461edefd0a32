"""A video with its predictions drawn in, written frame by frame in memory that does not grow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.errors import MienError
from mien.faces.video import Frame, load_av
from mien.files import explaining, replacing
from mien.inference.drawing.annotate import annotate
from mien.schema import Box, Prediction, UInt8Array

_SECOND = 30_000  # the usual frame rates, 30000 / 1001 too, divide it; MPEG-4 allows up to 65,535
_MOST_WAITING = 128_000_000  # bytes


@contextmanager
def drawn_video(out: str | os.PathLike[str]) -> Iterator[DrawnVideo]:
    """A video to draw, in a file that appears under its name at the end, whole or not at all.

    Without a frame there is none. Raises :class:`~mien.errors.MienError` where it cannot be
    written.
    """
    with ExitStack() as stack:
        video = DrawnVideo(Path(out), stack)
        try:
            yield video
            video.finish()
        finally:
            video.close()


class DrawnVideo:
    """Frames of a video with boxes and cards, at the times of the original.

    :meth:`add` takes the frames with predictions, :meth:`skip` those in between, whose boxes are
    interpolated and whose cards are those of the frame before. H.264 where the encoder
    is there, else MPEG-4, as MP4 without sound; frames of another size than the first are fitted
    into it.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self._stack = stack
        self._container: Any = None
        self._stream: Any = None
        self._last = -1
        self._previous: tuple[Frame, list[Prediction]] | None = None
        self._waiting: list[Frame] = []

    def add(self, frame: Frame, predictions: Sequence[Prediction]) -> None:
        """Take a frame with its predictions; frames come in order."""
        faces = [each for each in predictions if each.face is not None]
        self._draw_waiting(frame.time, faces)
        self._write(frame, faces)
        self._previous = frame, faces

    def skip(self, frame: Frame) -> None:
        """Take a frame without predictions of its own."""
        self._waiting.append(frame)
        if sum(each.pixels.nbytes for each in self._waiting) > _MOST_WAITING:
            # Predictions far apart in a large video: the boxes stay where they are.
            self._draw_waiting(frame.time, [])

    def _draw_waiting(self, until: float, faces: Sequence[Prediction]) -> None:
        after = {each.track: each for each in faces}
        start, before = self._previous or (None, [])
        for frame in self._waiting:
            since = frame.time if start is None else start.time
            share = (frame.time - since) / max(until - since, 1e-9)
            self._write(frame, [_moved(each, after.get(each.track), share) for each in before])
        self._waiting = []

    def _write(self, frame: Frame, predictions: Sequence[Prediction]) -> None:
        self.add_drawn(annotate(frame.pixels, predictions), frame.time)

    def add_drawn(self, picture: UInt8Array, time: float) -> None:
        """Take a frame that is drawn already, at its time in seconds."""
        with _explained(self.path):
            if self._stream is None:
                self._open(picture)
            picture = _fitted(picture, self._stream.width, self._stream.height)
            image = load_av().VideoFrame.from_ndarray(picture, format="rgb24")
            self._last = max(self._last + 1, round(time * _SECOND))
            image.pts, image.time_base = self._last, Fraction(1, _SECOND)
            self._container.mux(self._stream.encode(image))

    def _open(self, picture: UInt8Array) -> None:
        av = load_av()
        partial = self._stack.enter_context(replacing(self.path, explain=False, private=True))
        self._container = av.open(str(partial), "w", format="mp4")
        try:
            av.Codec("libx264", "w")
            codec, options = "libx264", {"crf": "20", "preset": "veryfast"}
        except ValueError:  # a libav without it
            codec, options = "mpeg4", {"qscale": "3"}
        self._stream = self._container.add_stream(codec, rate=30, options=options)
        # The encoder takes even sides only.
        self._stream.height, self._stream.width = (side - side % 2 for side in picture.shape[:2])
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _SECOND)

    def finish(self) -> None:
        """Write the frames that wait, and what the encoder holds back."""
        self._draw_waiting(float("inf"), [])
        with _explained(self.path):
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            with _explained(self.path):
                self._container.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    with explaining(path):
        try:
            yield
        except load_av().error.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise MienError(
                f"expected to write {str(path)!r}, got {error}; choose another place"
            ) from error


def _moved(earlier: Prediction, later: Prediction | None, share: float) -> Prediction:
    """A prediction with its box on the way to where the person is later."""
    if later is None or earlier.face is None or later.face is None:
        return earlier
    start, end = earlier.face.box, later.face.box
    box = Box(
        *(
            (1 - share) * getattr(start, side) + share * getattr(end, side)
            for side in ("left", "top", "width", "height")
        )
    )
    return replace(earlier, face=replace(earlier.face, box=box))


def _fitted(picture: UInt8Array, width: int, height: int) -> UInt8Array:
    """A picture in a frame of another size, with black beside it where the shape differs."""
    if 0 <= picture.shape[0] - height <= 1 and 0 <= picture.shape[1] - width <= 1:
        return np.ascontiguousarray(picture[:height, :width])
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    frame = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = small
    return frame
