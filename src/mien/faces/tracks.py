"""Tracks: the faces of a video, with one number per person."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from mien.faces.align import crop_face
from mien.faces.boxes import distinct, overlap
from mien.faces.detect import TASK_FILE, close_all, faces_of, model_file_error, read_bundle
from mien.faces.model_file import face_landmarker_file
from mien.faces.native import cv2, explained_libraries, ignore_profiling_signal, quiet_stderr
from mien.faces.video import Frame
from mien.schema import Box, Face, FloatArray, Preprocessing, UInt8Array

GAP_SECONDS = 1.0
"""A track ends when its person is not seen for longer."""
NO_FACE = "no face found"
_LEAST_OVERLAP, _LARGEST_STEP, _MOST_GROWTH = 0.2, 0.6, 1.8
# Thumbnails of unrelated pictures differ by more, in mean gray levels (99 of 100 pairs).
_CUT = 30.0
_THUMBNAIL = (16, 16)
# Small aligned faces of two people correlate by less than 0.8 (99 of 100 pairs). Those of one
# person in neighboring frames correlate by more (also about 99), and rarely by less than 0.4.
_LOOK = Preprocessing(size=16)
_SAME_LOOK, _OTHER_LOOK, _SOON_SECONDS = 0.8, 0.4, 0.5


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


class MediaPipeFramesDetector:
    """MediaPipe's Face Landmarker in video mode, which follows the faces that it has found.

    Faster than :class:`~mien.faces.detect.MediaPipeDetector`, for the frames of one video in
    order; call :meth:`restart` before the next video. It gives no scores, so each is 1.
    """

    def __init__(
        self, *, model: str | Path | None = None, max_faces: int = 4, min_score: float = 0.5
    ) -> None:
        if max_faces < 1 or not 0 <= min_score <= 1:
            raise ValueError(
                "expected max_faces of at least 1 and min_score in [0, 1], "
                f"got {max_faces} and {min_score}"
            )
        self._path = Path(model) if model is not None else face_landmarker_file()
        _, self._bundle = read_bundle(self._path)
        self._max_faces, self._min_score = max_faces, min_score
        self._landmarker: Any = None
        self._close: Any = None
        self._last = -1
        self._ran_on_face = False

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        """Find the faces of an ``(H, W, 3)`` uint8 RGB frame, unordered; landmarks are (478, 2)."""
        if self._landmarker is None:
            self.restart()
        # Milliseconds must increase, even where two frames share one.
        self._last = max(self._last + 1, round(time * 1000))
        picture = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        with contextlib.nullcontext() if self._ran_on_face else quiet_stderr():
            result = self._landmarker.detect_for_video(picture, self._last)
        faces = faces_of(result, image)
        self._ran_on_face = self._ran_on_face or bool(faces)
        # A face that moved fast is found twice, once where it was expected.
        return distinct(faces)

    def restart(self) -> None:
        """Forget the video: the next frame starts another one."""
        self.close()
        ignore_profiling_signal()
        with explained_libraries(), quiet_stderr():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            self._image, self._format = mediapipe.Image, mediapipe.ImageFormat.SRGB
            try:
                self._landmarker = vision.FaceLandmarker.create_from_options(
                    vision.FaceLandmarkerOptions(
                        base_options=BaseOptions(model_asset_buffer=self._bundle),
                        running_mode=vision.RunningMode.VIDEO,
                        num_faces=self._max_faces,
                        min_face_detection_confidence=self._min_score,
                        output_face_blendshapes=True,
                        output_facial_transformation_matrixes=True,
                    )
                )
            except (RuntimeError, ValueError, FileNotFoundError) as error:
                raise model_file_error(self._path, TASK_FILE) from error
        self._close = weakref.finalize(self, close_all, self._landmarker)
        self._last = -1

    def close(self) -> None:
        """Release the model; the next frame loads it again."""
        if self._close is not None:
            self._close()
        self._landmarker = self._close = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Sighting(NamedTuple):
    box: Box
    points: FloatArray | None
    look: FloatArray | None


@dataclass
class _Track:
    number: int
    last: _Sighting
    time: float
    cut: bool = False


class Tracker:
    """Assigns track numbers, from 0, to the faces of successive frames.

    A face continues the track whose last box it overlaps most, whose landmarks are nearest and
    whose face looks most similar. Its box must overlap a little, or its landmarks must have moved
    by less than 0.6 of the face's width, and its size must have changed by less than a factor of
    1.8. A track without a face for :data:`GAP_SECONDS` ends. After a cut, when most of the
    picture changes at once, only a face that looks the same continues a track; so a dark frame
    ends none. The thresholds are our choice.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0
        self._thumbnail: FloatArray | None = None
        self._last_time = 0.0

    def assign(self, image: UInt8Array, faces: Iterable[Face], time: float) -> list[int]:
        """Return the track number of each face of a frame; they are distinct."""
        sightings = [_Sighting(face.box, _anchors(face), _look(image, face)) for face in faces]
        thumbnail = _thumbnail(image)
        if self._thumbnail is not None and np.abs(thumbnail - self._thumbnail).mean() > _CUT:
            for track in self._tracks:
                track.cut = True
        # With few frames per second, the previous one may be longer ago than the gap.
        self._tracks = [
            track
            for track in self._tracks
            if track.time >= min(self._last_time, time - GAP_SECONDS)
        ]
        self._thumbnail, self._last_time = thumbnail, time
        pairs = sorted(
            (-similarity, track.number, index)
            for track in self._tracks
            for index, sighting in enumerate(sightings)
            if (similarity := _similarity(track, sighting, time)) > 0
        )
        numbers: dict[int, int] = {}
        for _, number, index in pairs:
            if index not in numbers and number not in numbers.values():
                numbers[index] = number
        for index in range(len(sightings)):
            if index not in numbers:
                numbers[index] = self._count
                self._count += 1
        unseen = [track for track in self._tracks if track.number not in numbers.values()]
        self._tracks = unseen + [
            _Track(numbers[index], sighting, time) for index, sighting in enumerate(sightings)
        ]
        return [numbers[index] for index in range(len(sightings))]


def track_faces(frames: Iterable[Frame], detector: FramesDetector) -> Iterator[Tracked]:
    """Yield each frame with its faces and their track numbers, in constant memory."""
    tracker = Tracker()
    for frame in frames:
        faces = detector.at(frame.pixels, frame.time)
        numbers = tracker.assign(frame.pixels, faces, frame.time)
        pairs = sorted(zip(numbers, faces, strict=True), key=lambda pair: pair[0])
        yield Tracked(frame, pairs, "" if faces else NO_FACE)


def _similarity(track: _Track, sighting: _Sighting, time: float) -> float:
    """How well a face continues a track, in (0, 3]; 0 where it does not."""
    last, box, points, look = track.last, *sighting
    growth = (box.width * box.height) / (last.box.width * last.box.height)
    if not 1 / _MOST_GROWTH**2 < growth < _MOST_GROWTH**2:
        return 0.0
    correlation = 1.0 if last.look is None or look is None else float((last.look * look).sum())
    soon = time - track.time <= _SOON_SECONDS
    if correlation < (_SAME_LOOK if track.cut else _OTHER_LOOK if soon else -1.0):
        return 0.0
    shared, near = overlap(last.box, box), 0.0
    if last.points is not None and points is not None:
        step = float(np.linalg.norm(points - last.points, axis=1).mean()) / last.box.width
        near = max(0.0, 1 - step / _LARGEST_STEP)
    if shared < _LEAST_OVERLAP and not near:
        return 0.0
    return shared + near + max(correlation, 0.0)


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


def _look(image: UInt8Array, face: Face) -> FloatArray | None:
    """A tiny aligned crop, normalized for brightness and contrast; None where it is flat."""
    try:
        crop, _ = crop_face(image, face, _LOOK)
    except ValueError:  # landmarks that all coincide
        return None
    pixels = np.asarray(crop, np.float32) - np.float32(crop.mean())
    norm = float(np.linalg.norm(pixels))
    return None if norm < pixels.size**0.5 else np.asarray(pixels / norm, np.float32)
