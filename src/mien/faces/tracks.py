"""The faces of a video, each person's frames under one number."""

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
from mien.faces.detect import TASK_FILE, close_all, faces_of, no_model, read_bundle
from mien.faces.model_file import face_landmarker_file
from mien.faces.native import cv2, explained_libraries, ignore_profiling_signal, quiet_stderr
from mien.faces.video import Frame
from mien.schema import Box, Face, FloatArray, Preprocessing, UInt8Array

GAP_SECONDS = 1.0
"""A person who is not seen for longer is a new one when seen again."""
NO_FACE = "no face found"
_LEAST_OVERLAP, _LARGEST_STEP, _MOST_GROWTH = 0.2, 0.6, 1.8
# Thumbnails of unrelated pictures differ by more than this mean of gray levels (99 of 100 pairs).
_CUT = 30.0
_THUMBNAIL = (16, 16)
# Small aligned faces of two people correlate by less than 0.8 (99 of 100 pairs), those of one
# person in neighboring frames by more (again about 99), and hardly ever by less than 0.4.
_LOOK = Preprocessing(size=16)
_SAME_LOOK, _OTHER_LOOK, _SOON_SECONDS = 0.8, 0.4, 0.5


class Tracked(NamedTuple):
    """A frame, its faces with the numbers of their tracks, and why there are none."""

    frame: Frame
    faces: list[tuple[int, Face]]
    reason: str


class FramesDetector(Protocol):
    """Finds the faces of frames in order; ``time`` is in seconds and rises."""

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        """The faces of one frame."""
        ...


class MediaPipeFramesDetector:
    """MediaPipe's Face Landmarker in its mode for video, which follows a face it has found.

    As :class:`~mien.faces.detect.MediaPipeDetector`, but faster, for the frames of one video in
    order: :meth:`restart` before another one. It tells no score of a face; it is 1 here.
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
        self._met_a_face = False

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        """The faces of an ``(H, W, 3)`` uint8 RGB frame, in no order; landmarks are (478, 2)."""
        if self._landmarker is None:
            self.restart()
        # Milliseconds must rise, also where two frames share one.
        self._last = max(self._last + 1, round(time * 1000))
        picture = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        with contextlib.nullcontext() if self._met_a_face else quiet_stderr():
            result = self._landmarker.detect_for_video(picture, self._last)
        faces = faces_of(result, image)
        self._met_a_face = self._met_a_face or bool(faces)
        # A face that moved fast is found again beside where it was expected.
        return distinct(faces)

    def restart(self) -> None:
        """Forget the video; the next frame is the first of another one."""
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
                raise no_model(self._path, TASK_FILE) from error
        self._close = weakref.finalize(self, close_all, self._landmarker)
        self._last = -1

    def close(self) -> None:
        """Release the model; another frame makes it anew."""
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


class _Seen(NamedTuple):
    box: Box
    points: FloatArray | None
    look: FloatArray | None


@dataclass
class _Track:
    number: int
    seen: _Seen
    time: float
    cut: bool = False


class Tracker:
    """Gives faces of successive frames the numbers of persons, from 0.

    A face continues the track whose last box it overlaps most, whose landmarks are nearest and
    whose face looks most like it; its box must overlap a little or the landmarks have moved by
    less than 0.6 of the face's width, and its size have changed by less than 1.8 times. A track
    without a face for :data:`GAP_SECONDS` ends. After a cut, when most of the picture changes at
    once, only a face that looks the same continues a track, so a dark frame ends none. The
    thresholds are our choice.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0
        self._thumbnail: FloatArray | None = None
        self._before = 0.0

    def assign(self, image: UInt8Array, faces: Iterable[Face], time: float) -> list[int]:
        """The number of each face of a frame; no two faces of a frame share one."""
        found = [_Seen(face.box, _anchors(face), _look(image, face)) for face in faces]
        thumbnail = _thumbnail(image)
        if self._thumbnail is not None and np.abs(thumbnail - self._thumbnail).mean() > _CUT:
            for track in self._tracks:
                track.cut = True
        # The frame before may be longer ago than the gap, where few a second are looked at.
        self._tracks = [
            track for track in self._tracks if track.time >= min(self._before, time - GAP_SECONDS)
        ]
        self._thumbnail, self._before = thumbnail, time
        pairs = sorted(
            (-likeness, track.number, place)
            for track in self._tracks
            for place, seen in enumerate(found)
            if (likeness := _likeness(track, seen, time)) > 0
        )
        numbers: dict[int, int] = {}
        for _, number, place in pairs:
            if place not in numbers and number not in numbers.values():
                numbers[place] = number
        for place in range(len(found)):
            if place not in numbers:
                numbers[place] = self._count
                self._count += 1
        kept = [track for track in self._tracks if track.number not in numbers.values()]
        self._tracks = kept + [
            _Track(numbers[place], seen, time) for place, seen in enumerate(found)
        ]
        return [numbers[place] for place in range(len(found))]


def track_faces(frames: Iterable[Frame], detector: FramesDetector) -> Iterator[Tracked]:
    """Each frame with its faces and their tracks; memory does not grow with the frames."""
    tracker = Tracker()
    for frame in frames:
        faces = detector.at(frame.pixels, frame.time)
        numbers = tracker.assign(frame.pixels, faces, frame.time)
        pairs = sorted(zip(numbers, faces, strict=True), key=lambda pair: pair[0])
        yield Tracked(frame, pairs, "" if faces else NO_FACE)


def _likeness(track: _Track, seen: _Seen, time: float) -> float:
    """How well a face continues a track, in (0, 3]; 0 where it does not."""
    last = track.seen
    growth = (seen.box.width * seen.box.height) / (last.box.width * last.box.height)
    if not 1 / _MOST_GROWTH**2 < growth < _MOST_GROWTH**2:
        return 0.0
    alike = 1.0 if last.look is None or seen.look is None else float((last.look * seen.look).sum())
    soon = time - track.time <= _SOON_SECONDS
    if alike < (_SAME_LOOK if track.cut else _OTHER_LOOK if soon else -1.0):
        return 0.0
    shared, near = overlap(last.box, seen.box), 0.0
    if last.points is not None and seen.points is not None:
        step = float(np.linalg.norm(seen.points - last.points, axis=1).mean()) / last.box.width
        near = max(0.0, 1 - step / _LARGEST_STEP)
    if shared < _LEAST_OVERLAP and not near:
        return 0.0
    return shared + near + max(alike, 0.0)


def _anchors(face: Face) -> FloatArray | None:
    """Eye corners, nose tip and mouth corners of MediaPipe's mesh, or all five of another one."""
    if face.landmarks is None:
        return None
    if len(face.landmarks) == 5:
        return face.landmarks
    return np.asarray(face.landmarks[[33, 263, 1, 61, 291]], np.float32)


def _thumbnail(image: UInt8Array) -> FloatArray:
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return np.asarray(np.asarray(small, np.float32).mean(axis=2), np.float32)


def _look(image: UInt8Array, face: Face) -> FloatArray | None:
    """The aligned face in a few pixels, without its brightness and contrast; None where flat."""
    try:
        crop, _ = crop_face(image, face, _LOOK)
    except ValueError:  # landmarks that all coincide
        return None
    pixels = np.asarray(crop, np.float32) - np.float32(crop.mean())
    norm = float(np.linalg.norm(pixels))
    return None if norm < pixels.size**0.5 else np.asarray(pixels / norm, np.float32)
