"""Tracks: the faces of a video, with one number per person."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from mien.faces.align import crop_face
from mien.faces.detection.boxes import overlap
from mien.faces.video import Frame
from mien.schema import Box, Face, FloatArray, Pose, Preprocessing, UInt8Array

GAP_SECONDS = 1.0
"""A track ends when its person is not seen for longer."""
NO_FACE = "no face found"
_LEAST_OVERLAP, _LARGEST_STEP, _MOST_GROWTH = 0.2, 0.6, 1.8
# Thumbnails of unrelated pictures differ by more, in mean gray levels (99 of 100 pairs); those of
# neighboring frames by less than the first number.
_CALM, _CUT = 10.0, 30.0
_THUMBNAIL = (16, 16)
# Small aligned faces of two people correlate by less than 0.8 (99 of 100 pairs). Those of one
# person in neighboring frames correlate by more (also about 99), and rarely by less than 0.4.
_SAME_LOOK, _OTHER_LOOK, _SOON_SECONDS = 0.8, 0.4, 0.5
# Before one wall, two people's often correlate by more; hair and colors tell them apart as well.
# Of two people in one light and pose some 5 of 100 pairs are more alike, and more than 95 of one
# person. The likeness falls as a head turns, by this much a degree.
_LOOK, _FACE = Preprocessing(size=26, margin=0.3), slice(5, 21)
_SAME_LIKENESS, _LESS_ALIKE = 0.72, 0.01
# After a cut a person may come back, anywhere in the picture: who looks as in one of the last
# different sightings of a track.
_COMES_BACK_LOOK, _COMES_BACK_SECONDS = 0.85, 60.0
_LOOKS, _ANOTHER_LOOK = 5, 0.95


class Tracked(NamedTuple):
    """A frame, its faces with their track numbers, and the reason where there is no face."""

    frame: Frame
    faces: list[tuple[int, Face]]
    reason: str


class FramesDetector(Protocol):
    """Finds the faces of the frames of a video, in order; ``time`` is in seconds and increases."""

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        """Find the faces of one frame."""
        ...


class _Look(NamedTuple):
    """A tiny aligned crop of the head; the face in it and all of it, normalized for light."""

    pixels: FloatArray
    face: FloatArray
    head: FloatArray
    pose: Pose | None

    def correlation(self, other: _Look) -> float:
        """How similar two faces are, up to 1, whatever the light."""
        return float((self.face * other.face).sum())

    def likeness(self, other: _Look) -> float:
        """How similar two heads are in one light, also in their colors, for how they are turned."""
        level = float(self.pixels.mean() + other.pixels.mean()) / 2
        difference = float(np.abs(self.pixels - other.pixels).mean()) / level
        turned = 0.0
        if self.pose is not None and other.pose is not None:
            turned = math.hypot(self.pose.yaw - other.pose.yaw, self.pose.pitch - other.pose.pitch)
        return float((self.head * other.head).sum()) - difference + _LESS_ALIKE * turned


class _Sighting(NamedTuple):
    box: Box
    points: FloatArray | None
    look: _Look | None


@dataclass
class _Track:
    number: int
    last: _Sighting
    time: float
    looks: tuple[_Look, ...] = ()
    changed: bool = False  # since then, most of the picture at once
    cut: bool = False  # since then, a hard cut

    def seen(self, sighting: _Sighting, time: float) -> _Track:
        """The track after another sighting, with its latest different looks."""
        looks, look = self.looks, sighting.look
        if look is not None and all(look.correlation(old) < _ANOTHER_LOOK for old in looks):
            looks = (*looks[1 - _LOOKS :], look)
        return _Track(self.number, sighting, time, looks)


class Tracker:
    """Assigns track numbers, from 0, to the faces of successive frames.

    A face continues the track whose last box it overlaps most, whose landmarks are nearest and
    whose face looks most similar. Its box must overlap a little, or its landmarks must have moved
    by less than 0.6 of the face's width, and its size must have changed by less than a factor of
    1.8, unless it looks the same. A track without a face for :data:`GAP_SECONDS` ends. After a cut,
    or when most of the picture changes at once, only a face that looks the same continues a track,
    for a minute and wherever it is; so a dark frame ends none. After a cut the colors of face and
    hair have to be the same, too. The thresholds are our choice.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0
        self._thumbnail: FloatArray | None = None
        self._last_time = 0.0

    def assign(
        self, image: UInt8Array, faces: Iterable[Face], time: float, *, cut: bool = False
    ) -> list[int]:
        """Return the track number of each face of a frame; they are distinct.

        ``cut`` says that there is a cut between it and the last one.
        """
        sightings = [_Sighting(face.box, _anchors(face), _look(image, face)) for face in faces]
        thumbnail = _thumbnail(image)
        before = thumbnail if self._thumbnail is None else self._thumbnail
        change = float(np.abs(thumbnail - before).mean())
        # With few frames per second, the previous one may be longer ago than the gap.
        alive = min(self._last_time, time - GAP_SECONDS)
        for track in self._tracks:
            if track.time >= alive:
                track.changed = track.changed or change > _CUT
                track.cut = track.cut or cut
        self._tracks = [
            track
            for track in self._tracks
            if track.time >= (time - _COMES_BACK_SECONDS if track.changed or track.cut else alive)
        ]
        self._thumbnail, self._last_time = thumbnail, time
        pairs = sorted(
            (-similarity, track.number, index)
            for track in self._tracks
            for index, sighting in enumerate(sightings)
            if (similarity := _similarity(track, sighting, time, change)) > 0
        )
        numbers: dict[int, int] = {}
        for _, number, index in pairs:
            if index not in numbers and number not in numbers.values():
                numbers[index] = number
        for index in range(len(sightings)):
            if index not in numbers:
                numbers[index] = self._count
                self._count += 1
        known = {track.number: track for track in self._tracks}
        for index, sighting in enumerate(sightings):
            number = numbers[index]
            track = known.get(number) or _Track(number, sighting, time)
            known[number] = track.seen(sighting, time)
        self._tracks = list(known.values())
        return [numbers[index] for index in range(len(sightings))]


def track_faces(frames: Iterable[Frame], detector: FramesDetector) -> Iterator[Tracked]:
    """Yield each frame with its faces and their track numbers, in constant memory."""
    tracker = Tracker()
    for frame in frames:
        faces = detector.at(frame.pixels, frame.time)
        numbers = tracker.assign(frame.pixels, faces, frame.time, cut=frame.cut)
        pairs = sorted(zip(numbers, faces, strict=True), key=lambda pair: pair[0])
        yield Tracked(frame, pairs, "" if faces else NO_FACE)


def _similarity(track: _Track, sighting: _Sighting, time: float, change: float) -> float:
    """How well a face continues a track, in (0, 3]; 0 where it does not.

    ``change`` is how much the picture has changed since the last frame, in gray levels.
    """
    last, box, points, look = track.last, *sighting
    correlation, recalled = 1.0, 0.0
    if last.look is not None and look is not None:
        if track.cut:
            likeness = max(look.likeness(old) for old in (last.look, *track.looks))
            return likeness if likeness >= _SAME_LIKENESS else 0.0
        correlation = look.correlation(last.look)
        recalled = max(look.correlation(old) for old in track.looks)
    if track.changed and recalled >= _COMES_BACK_LOOK:
        return recalled
    soon = time - track.time <= _SOON_SECONDS
    needed = float(np.interp(change, (_CALM, _CUT), (_OTHER_LOOK, _SAME_LOOK))) if soon else -1.0
    if correlation < (_SAME_LOOK if track.changed else needed):
        return 0.0
    growth = (box.width * box.height) / (last.box.width * last.box.height)
    if not 1 / _MOST_GROWTH**2 < growth < _MOST_GROWTH**2:
        # A zoom, or a step toward the camera between two frames.
        return recalled if recalled >= _SAME_LOOK and _one_holds_the_other(last.box, box) else 0.0
    shared, near = overlap(last.box, box), 0.0
    if last.points is not None and points is not None:
        step = float(np.linalg.norm(points - last.points, axis=1).mean()) / last.box.width
        near = max(0.0, 1 - step / _LARGEST_STEP)
    if shared < _LEAST_OVERLAP and not near:
        return 0.0
    return shared + near + max(correlation, 0.0)


def _one_holds_the_other(one: Box, two: Box) -> bool:
    """Whether the middle of the smaller box lies in the larger one."""
    small, large = sorted((one, two), key=lambda box: box.width * box.height)
    x, y = small.left + small.width / 2 - large.left, small.top + small.height / 2 - large.top
    return 0 <= x <= large.width and 0 <= y <= large.height


def _anchors(face: Face) -> FloatArray | None:
    """Eye corners, nose tip and mouth corners of MediaPipe's mesh, or all five landmarks."""
    if face.landmarks is None:
        return None
    if len(face.landmarks) == 5:
        return face.landmarks
    return np.asarray(face.landmarks[[33, 263, 1, 61, 291]], np.float32)


def _thumbnail(image: UInt8Array) -> FloatArray:
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return np.asarray(np.asarray(small, np.float32).mean(axis=2), np.float32)


def _look(image: UInt8Array, face: Face) -> _Look | None:
    """How a face looks; None where it is flat."""
    try:
        crop, _ = crop_face(image, face, _LOOK)
    except ValueError:  # landmarks that all coincide
        return None
    pixels = np.asarray(crop, np.float32)
    eyes_to_mouth, head = _normalized(pixels[_FACE, _FACE]), _normalized(pixels)
    return (
        None
        if eyes_to_mouth is None or head is None
        else _Look(pixels, eyes_to_mouth, head, face.pose)
    )


def _normalized(pixels: FloatArray) -> FloatArray | None:
    """The pixels with mean 0 and norm 1; None where they hardly differ."""
    centered = pixels - pixels.mean()
    norm = float(np.linalg.norm(centered))
    return None if norm < pixels.size**0.5 else np.asarray(centered / norm, np.float32)
