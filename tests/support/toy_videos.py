"""Tiny videos for the tests of faces, data and inference: a photo that moves, or no face at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.schema import UInt8Array


def moving_face(
    count: int, size: tuple[int, int] = (160, 120), *, mirrored: bool = False, pace: float = 3.0
) -> list[UInt8Array]:
    """Frames of the astronaut's face, some 50 pixels wide, that sways over the picture."""
    data = pytest.importorskip("skimage.data", reason="the face is scikit-image's astronaut")
    photo = data.astronaut()[:300, 90:390]
    photo = photo[:, ::-1] if mirrored else photo
    scale = size[1] / 300
    frames = []
    for index in range(count):
        left = 20 + pace * np.sin(index / 4)
        matrix = np.array([[scale, 0, left], [0, scale, np.cos(index / 5)]], np.float32)
        frames.append(
            np.asarray(cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_AREA), np.uint8)
        )
    return frames


def faceless(count: int, size: tuple[int, int] = (160, 120)) -> list[UInt8Array]:
    """Frames of a gray level that rises, by which each can be told."""
    return [np.full((size[1], size[0], 3), 20 + 5 * index, np.uint8) for index in range(count)]


def write_video(
    path: Path,
    frames: Iterable[UInt8Array],
    *,
    rate: int = 10,
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    times: Sequence[float] | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
    sound: bool = False,
    **options: str,
) -> Path:
    """Encode ``(H, W, 3)`` frames of one size; ``times`` are in seconds, else ``rate`` a second."""
    av = pytest.importorskip("av", reason="videos are written with PyAV")
    pictures = list(frames)
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        if pictures:
            stream.height, stream.width = pictures[0].shape[:2]
        else:
            stream.height, stream.width = 120, 160
        stream.pix_fmt = pixels
        if codec == "mpeg4":
            stream.bit_rate = 2_000_000
        if codec == "libvpx":
            stream.options = {"deadline": "realtime", "cpu-used": "16"}
        unit = Fraction(1, 1000 if times else rate)
        stream.codec_context.time_base = unit
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        if sound:
            voice = container.add_stream("mp3", rate=44100)
            silence = av.AudioFrame.from_ndarray(
                np.zeros((2, 1152 * 8), np.float32), format="fltp", layout="stereo"
            )
            silence.sample_rate = 44100
            container.mux(voice.encode(silence))
            container.mux(voice.encode(None))
        container.start_encoding()
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = unit
            frame.pts = round(times[index] / unit) if times else index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_short(path: Path, share: float = 0.5) -> Path:
    """Keep the first ``share`` of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
