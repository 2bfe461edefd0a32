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

from mien.faces.boxes import box_of, overlap
from mien.faces.detect import _TASK_FILE, _close_all, _no_model, _read_bundle, pose_of
from mien.faces.model_file import face_landmarker_file
from mien.faces.native import cv2, explained_libraries, ignore_profiling_signal, quiet_stderr
from mien.faces.video import Frame
from mien.schema import Box, Face, FloatArray, UInt8Array

GAP_SECONDS = 1.0
"""A person who is not seen for longer is a new one when seen again."""
NO_FACE = "no face found"
_LEAST_OVERLAP, _LARGEST_STEP, _MOST_GROWTH = 0.2, 0.6, 1.8
_CUT = 45.0  # mean difference of two thumbnails' grey levels that only another shot makes
_THUMBNAIL = (16, 16)


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
        _, self._bundle = _read_bundle(self._path)
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
        height, width = image.shape[:2]
        faces = []
        for mesh, shapes, matrix in zip(
            result.face_landmarks,
            result.face_blendshapes,
            result.facial_transformation_matrixes,
            strict=True,
        ):
            self._met_a_face = True
            points = np.array([(p.x * width, p.y * height) for p in mesh], np.float32)
            if np.ptp(points, axis=0).min() <= 0:
                continue
            faces.append(
                Face(
                    box=box_of(points),
                    score=1.0,
                    landmarks=points,
                    pose=pose_of(np.asarray(matrix, np.float64)),
                    blendshapes={s.category_name: float(s.score) for s in shapes},
                )
            )
        return faces

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
                raise _no_model(self._path, _TASK_FILE) from error
        self._close = weakref.finalize(self, _close_all, self._landmarker)
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


@dataclass
class _Track:
    number: int
    box: Box
    points: FloatArray | None
    time: float


class Tracker:
    """Gives faces of successive frames the numbers of persons, from 0.

    A face continues the track whose last box it overlaps most, or whose landmarks are nearest, if
    they moved by less than 0.6 of the face's width and its size changed by less than 1.8 times. A
    track without a face for :data:`GAP_SECONDS` ends; after a cut, when most of the picture
    changes at once, all do.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0
        self._thumbnail: FloatArray | None = None

    def assign(self, image: UInt8Array, faces: Iterable[Face], time: float) -> list[int]:
        """The number of each face of a frame; no two faces of a frame share one."""
        found = list(faces)
        thumbnail = _thumbnail(image)
        if self._thumbnail is not None and np.abs(thumbnail - self._thumbnail).mean() > _CUT:
            self._tracks = []
        self._thumbnail = thumbnail
        self._tracks = [track for track in self._tracks if time - track.time <= GAP_SECONDS]
        pairs = sorted(
            (
                (-_likeness(track, face), track.number, place)
                for track in self._tracks
                for place, face in enumerate(found)
                if _likeness(track, face) > 0
            ),
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
            _Track(numbers[place], face.box, _anchors(face), time)
            for place, face in enumerate(found)
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


def _likeness(track: _Track, face: Face) -> float:
    """How well a face continues a track, 0 where it does not, in (0, 2]."""
    growth = (face.box.width * face.box.height) / (track.box.width * track.box.height)
    if not 1 / _MOST_GROWTH**2 < growth < _MOST_GROWTH**2:
        return 0.0
    shared = overlap(track.box, face.box)
    points = _anchors(face)
    if track.points is None or points is None:
        return shared if shared >= _LEAST_OVERLAP else 0.0
    step = float(np.linalg.norm(points - track.points, axis=1).mean()) / track.box.width
    if step >= _LARGEST_STEP and shared < _LEAST_OVERLAP:
        return 0.0
    return shared + max(0.0, 1 - step / _LARGEST_STEP) + 1e-6


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
