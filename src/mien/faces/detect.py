"""Photo or frame -> faces with landmarks, in image pixels.

Coordinates are continuous: (0, 0) is the outer corner of the top-left pixel, so its center lies
at (0.5, 0.5) and mirroring an image of width W sends x to W - x.
"""

from __future__ import annotations

import contextlib
import math
import weakref
import zipfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mien.faces.boxes import box_of, distinct, largest_first, overlap, tiles
from mien.faces.model_file import face_landmarker_file
from mien.faces.native import cv2, explained_libraries, ignore_profiling_signal, quiet_stderr
from mien.schema import Box, Face, MienError, Pose, UInt8Array

# BlazeFace, which finds the faces, sees any photo at 128 x 128 pixels. The mesh network sees a face
# at 256 x 256, a resolution that every face it finds still has in a frame shrunk to this side.
_WHOLE_SIDE = 2048
# BlazeFace was trained on faces with space around them: it finds a face in 371 of 400 FER2013 crops
# as they are, and in 391 with this border, a fraction of the longer side.
_BORDER = 0.35
_BORDERED_SIDE = 1024
# A face must take up an eighth of what BlazeFace sees, about 70 pixels of the smallest tile.
_TILED_ABOVE = 1024
_TILE_SIDE = 512
_TILES_PER_SIDE = 8
_TILE_OVERLAP = 0.25

TASK_FILE = "MediaPipe's face_landmarker.task"
_YUNET_FILE = "YuNet's ONNX file"


class Detector(Protocol):
    """Finds the faces of an ``(H, W, 3)`` uint8 RGB image, largest first."""

    name: str

    def __call__(self, image: UInt8Array) -> list[Face]:
        """Find the faces of one image; an empty list where there is none."""
        ...

    def close(self) -> None:
        """Release the model; the detector cannot be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class MediaPipeDetector:
    """MediaPipe's Face Landmarker: 478 landmarks, 52 blendshapes and the head's pose.

    It finds faces of at least an eighth of the image's longer side. An image without any is
    searched again with a border, for faces that fill the frame, and then, above 1,024 pixels, in
    overlapping tiles, for small ones. For group photos with large and small faces use
    :class:`YuNetDetector`. At most ``max_faces`` faces are returned, with scores of at least
    ``min_score``.

    ``model`` is a ``face_landmarker.task``; by default :func:`face_landmarker_file` finds one.
    Do not use a detector after a fork: make one in each process.
    """

    name = "mediapipe"

    def __init__(
        self, *, model: str | Path | None = None, max_faces: int = 100, min_score: float = 0.5
    ) -> None:
        if max_faces < 1 or not 0 <= min_score <= 1:
            raise ValueError(
                "expected max_faces of at least 1 and min_score in [0, 1], "
                f"got {max_faces} and {min_score}"
            )
        self._max_faces = max_faces
        path = Path(model) if model is not None else face_landmarker_file()
        finder, bundle = read_bundle(path)
        ignore_profiling_signal()
        with explained_libraries(), quiet_stderr():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            self._image = mediapipe.Image
            self._format = mediapipe.ImageFormat.SRGB
            tasks: list[Any] = []
            try:
                # The landmarker gives no scores, so its own face finder runs first: 1.5 ms, which
                # also spares the landmarker images and tiles without a face.
                tasks.append(
                    vision.FaceDetector.create_from_options(
                        vision.FaceDetectorOptions(
                            base_options=BaseOptions(model_asset_buffer=finder),
                            min_detection_confidence=min_score,
                        )
                    )
                )
                tasks.append(
                    vision.FaceLandmarker.create_from_options(
                        vision.FaceLandmarkerOptions(
                            base_options=BaseOptions(model_asset_buffer=bundle),
                            num_faces=max_faces,
                            min_face_detection_confidence=min_score,
                            output_face_blendshapes=True,
                            output_facial_transformation_matrixes=True,
                        )
                    )
                )
            except BaseException as error:
                # A task that the garbage collector closes can wait forever for the thread that it
                # closes itself on.
                close_all(*tasks)
                if isinstance(error, (RuntimeError, ValueError, FileNotFoundError)):
                    raise model_file_error(path, TASK_FILE) from error
                raise
            self._finder, self._landmarker = tasks
            # Once per process it logs a remark on tensor memory; provoke it while stderr is quiet.
            for side in range(100, 1000, 100):
                self._finder.detect(self._picture(np.zeros((side, side, 3), np.uint8)))
        self._ran_on_face = False
        self._close = weakref.finalize(self, close_all, self._finder, self._landmarker)

    def __call__(self, image: UInt8Array) -> list[Face]:
        """Find the faces of an ``(H, W, 3)`` uint8 RGB image, largest first.

        Landmarks are (478, 2). Raises ``ValueError`` after :meth:`close` and for other arrays.
        """
        if not self._close.alive:
            raise ValueError("expected an open detector, got one that was closed")
        _check(image)
        height, width = image.shape[:2]
        longest = max(height, width)
        frame = _shrunk(image, _WHOLE_SIDE)
        faces = self._in_view(frame, (0, 0), max(frame.shape[:2]) / longest)
        if not faces:
            frame = _shrunk(frame, _BORDERED_SIDE)
            scale, edge = max(frame.shape[:2]) / longest, math.ceil(_BORDER * max(frame.shape[:2]))
            frame = _array(cv2.copyMakeBorder(frame, edge, edge, edge, edge, cv2.BORDER_CONSTANT))
            faces = self._in_view(frame, (-edge, -edge), scale)
        if not faces and longest > _TILED_ABOVE:
            side = max(_TILE_SIDE, longest // _TILES_PER_SIDE)
            faces = distinct(
                [
                    face
                    for x, y in tiles(width, height, side, _TILE_OVERLAP)
                    for face in self._in_view(image[y : y + side, x : x + side], (x, y), 1.0)
                ]
            )
        return largest_first(faces)[: self._max_faces]

    def _in_view(self, view: UInt8Array, corner: tuple[int, int], scale: float) -> list[Face]:
        """Find the faces of a view, in pixels of the image that it shows.

        A view is the image times ``scale`` with ``corner`` as its top-left pixel.
        """
        picture = self._picture(view)
        # Both networks may log again until they have run on a face.
        with contextlib.nullcontext() if self._ran_on_face else quiet_stderr():
            boxes = [
                (Box(b.origin_x, b.origin_y, b.width, b.height), d.categories[0].score)
                for d in self._finder.detect(picture).detections
                if (b := d.bounding_box).width > 0 and b.height > 0
            ]
            if not boxes:
                return []
            result = self._landmarker.detect(picture)
        self._ran_on_face = True
        faces = []
        for face in faces_of(result, view):
            if face.landmarks is None:
                continue
            points = (face.landmarks + np.array(corner, np.float32)) / np.float32(scale)
            faces.append(
                replace(
                    face, box=box_of(points), score=_score_at(face.box, boxes), landmarks=points
                )
            )
        return faces

    def _picture(self, view: UInt8Array) -> Any:
        return self._image(image_format=self._format, data=np.ascontiguousarray(view))

    def close(self) -> None:
        """Release both models."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class YuNetDetector:
    """YuNet through ``cv2.FaceDetectorYN``: 5 landmarks, for small faces in group photos.

    It finds faces of about ten pixels. Photos are first shrunk to 2,048 pixels on their longer
    side, as its time grows with the area. ``model`` is YuNet's ONNX file, which mien does not
    ship. Raises :class:`MienError` for a file that is missing or not a model.
    """

    name = "yunet"

    def __init__(self, model: str | Path, *, min_score: float = 0.7) -> None:
        path = Path(model)
        if not path.is_file():
            raise model_file_error(path, _YUNET_FILE)
        with quiet_stderr():
            try:
                self._net: Any = cv2.FaceDetectorYN.create(
                    str(path), "", (320, 320), score_threshold=min_score
                )
                self._net.detect(np.zeros((320, 320, 3), np.uint8))
            except cv2.error as error:
                raise model_file_error(path, _YUNET_FILE) from error

    def __call__(self, image: UInt8Array) -> list[Face]:
        """Find the faces of an ``(H, W, 3)`` uint8 RGB image, largest first, with 5 landmarks."""
        _check(image)
        frame = _shrunk(image, _WHOLE_SIDE)
        scale = max(frame.shape[:2]) / max(image.shape[:2])
        self._net.setInputSize((frame.shape[1], frame.shape[0]))
        _, rows = self._net.detect(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        faces = []
        for row in [] if rows is None else rows:
            left, top, width, height = (float(value) / scale for value in row[:4])
            if width > 0 and height > 0:
                points = row[4:14].reshape(5, 2) / np.float32(scale)
                faces.append(Face(Box(left, top, width, height), float(row[14]), points))
        return largest_first(faces)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def close_all(*tasks: Any) -> None:
    """Close MediaPipe's tasks, silently."""
    with quiet_stderr():
        for task in tasks:
            try:
                task.close()
            except RuntimeError:
                # When the interpreter exits, the thread that MediaPipe closes a task on is gone and
                # the task's __del__ would print a traceback; the process frees the memory.
                task._handle = None


def faces_of(result: Any, view: UInt8Array) -> list[Face]:
    """The faces of a landmarker's result, in pixels of the view, with a score of 1."""
    height, width = view.shape[:2]
    faces = []
    for mesh, shapes, matrix in zip(
        result.face_landmarks,
        result.face_blendshapes,
        result.facial_transformation_matrixes,
        strict=True,
    ):
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


def pose_of(matrix: NDArray[np.float64]) -> Pose:
    """Compute the pose in degrees from MediaPipe's ``(4, 4)`` face-to-camera matrix.

    The matrix (x right, y up) assumes a camera pointed at the center of the image, which a
    cropped photo need not have: moving one face from corner to corner changes yaw by about 4 and
    pitch by about 7 degrees.
    """
    rotation = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arcsin(np.clip(rotation[1, 2], -1, 1))
    roll = -np.arctan2(rotation[1, 0], rotation[1, 1])
    return Pose(*(float(angle) for angle in np.degrees([yaw, pitch, roll])))


def read_bundle(path: Path) -> tuple[bytes, bytes]:
    """Read the face finder inside a ``.task`` file, and the file itself."""
    try:
        with zipfile.ZipFile(path) as bundle:
            return bundle.read("face_detector.tflite"), path.read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise model_file_error(path, TASK_FILE) from error


def model_file_error(path: Path, expected: str) -> MienError:
    """The error for a model file that is missing or something else than ``expected``."""
    got = "another file" if path.is_file() else "no file"
    return MienError(f"expected {expected}, got {got} at {str(path)!r}: check the path")


def _score_at(box: Box, boxes: list[tuple[Box, float]]) -> float:
    """The score of the box that overlaps ``box`` most."""
    return float(max(boxes, key=lambda pair: overlap(pair[0], box))[1])


def _shrunk(image: UInt8Array, side: int) -> UInt8Array:
    """Shrink an image so that no side is longer than ``side`` pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _array(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _array(image: Any) -> UInt8Array:
    # OpenCV's annotations allow any number type.
    return np.asarray(image, np.uint8)


def _check(image: UInt8Array) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"expected a uint8 image (H, W, 3), got {image.dtype} {image.shape}")
