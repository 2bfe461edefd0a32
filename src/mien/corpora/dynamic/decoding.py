"""Frames of video files as items, decoded once for each file while a corpus is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mien.corpora.items import Item, LeftOut, Reading, VideoItem
from mien.errors import MienError
from mien.faces.kinds import VIDEO_SUFFIXES
from mien.faces.video import Video, load_av
from mien.schema import UInt8Array

T = TypeVar("T")

Choose = Callable[[Iterable[UInt8Array]], Sequence[UInt8Array]]
"""Which frames of a video are read."""


def is_video(image: object) -> bool:
    """Whether an item's image is the path of a video file."""
    return isinstance(image, Path) and image.suffix.lower() in VIDEO_SUFFIXES


def decoded(reading: Reading, choose: Choose) -> Reading:
    """The reading with pixels for items whose image is a video file.

    ``frame`` of such an item is the place among the frames that ``choose`` returns; items of one
    file are adjacent. One beyond the last place, or of an unreadable file, is left out. Reading
    raises :class:`MienError` where the package that decodes videos is missing.
    """

    def items() -> Iterator[Item | VideoItem | LeftOut]:
        file: object = None
        frames: Sequence[UInt8Array] = ()
        for entry in reading.items():
            if not isinstance(entry, Item) or not is_video(entry.image):
                yield entry
                continue
            if entry.image != file:
                file, frames = entry.image, _frames(Path(str(entry.image)), choose)
            number = entry.frame or 0
            if number < len(frames):
                yield replace(entry, image=frames[number])
            else:
                yield LeftOut(entry.id, entry.source, "video unreadable or too short")

    return replace(reading, items=items)


def evenly(frames: Iterable[T], count: int) -> list[T]:
    """At most ``count`` frames, two or more, at even distances, the first among them.

    No more than twice as many are held at a time, however long the video is.

    >>> evenly(range(100), 4), evenly(range(3), 4)
    ([0, 32, 64, 96], [0, 1, 2])
    """
    held: list[T] = []
    stride = 1
    for number, frame in enumerate(frames):
        if number % stride == 0:
            held.append(frame)
        if len(held) >= 2 * count:
            held, stride = held[::2], 2 * stride
    if len(held) <= count:
        return held
    return [held[round(place * (len(held) - 1) / (count - 1))] for place in range(count)]


def _frames(path: Path, choose: Choose) -> Sequence[UInt8Array]:
    """The chosen frames of a video; none where it cannot be read."""
    load_av()  # raises where the package is missing, which is no fault of the video
    try:
        with Video(path) as video:
            return choose(frame.pixels for frame in video.frames())
    except MienError:
        return ()
