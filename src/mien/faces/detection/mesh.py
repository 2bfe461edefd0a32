"""The face mesh: 478 landmarks of the face in a square region, and whether there is one.

The network sees the region at 256 x 256 pixels. Landmarks are computed as MediaPipe's Face
Landmarker does, so that its blendshapes and poses keep their meaning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.detection.tflite import Network
from mien.schema import FloatArray, UInt8Array

MESH_OUTPUTS = ("Identity", "Identity_1")
SHAPES_OUTPUTS = ("StatefulPartitionedCall:0",)
_SIDE = 256
_ENLARGED = 1.5  # of the box around a face, as MediaPipe does
RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 33, 263
_OPENCV_LIMIT = 32_000
# Outline, nose and lips on the middle line, then corners of the eyes and the mouth, and brows.
_MIDDLE = (10, 152, 1, 13, 14)
_PAIRS = ((33, 263), (133, 362), (61, 291), (105, 334))
_PLACES = np.array([*_MIDDLE, *(point for pair in _PAIRS for point in pair)])
_MIRROR_PLACES = np.array([*_MIDDLE, *(point for pair in _PAIRS for point in pair[::-1])])

# fmt: off
_SHAPE_POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66,
    67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144,
    145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173,
    176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284,
    285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332,
    334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
])
BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft",
    "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)
# fmt: on


class Region(NamedTuple):
    """A square of an image: center and side in pixels, turned clockwise by ``angle`` radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0


class Mesh(NamedTuple):
    """``points`` ``(478, 3)`` in pixels of the image, z toward the camera negative; ``presence``.

    ``presence`` in [0, 1] says how sure the network is that the region shows a face.
    """

    points: NDArray[np.float64]
    presence: float


def find_mesh(
    network: Network,
    image: UInt8Array,
    region: Region,
    border: int = cv2.BORDER_REPLICATE,
    *,
    mirrored: bool = False,
) -> Mesh:
    """The mesh of the face in a region; what lies beyond the image is made up by ``border``.

    With ``mirrored`` the network sees the region's mirror image: the landmarks lie where they are
    in the image, but the right eye's are those of the left one.
    """
    view = cut_region(image, region, _SIDE, border)
    view = view[:, ::-1] if mirrored else view
    values, logit = network(np.multiply(view[None], np.float32(1 / 255), dtype=np.float32))
    points = values.reshape(478, 3).astype(np.float64) / _SIDE
    if mirrored:
        points[:, 0] = 1 - points[:, 0]
    across, down = (points[:, 0] - 0.5) * region.side, (points[:, 1] - 0.5) * region.side
    cos, sin = math.cos(region.angle), math.sin(region.angle)
    placed = np.stack(
        [
            region.x + cos * across - sin * down,
            region.y + sin * across + cos * down,
            points[:, 2] * region.side,
        ],
        axis=1,
    )
    return Mesh(placed, float(1 / (1 + np.exp(-np.clip(float(logit.ravel()[0]), -100, 100)))))


def mirror_distance(mesh: Mesh, mirrored: Mesh) -> float:
    """How far a mesh and that of the mirror image lie apart: the mean of 13 landmarks, in pixels.

    ``mirrored`` is a mesh that :func:`find_mesh` made from a mirror image.
    """
    steps = mesh.points[_PLACES, :2] - mirrored.points[_MIRROR_PLACES, :2]
    return float(np.linalg.norm(steps, axis=1).mean())


def find_blendshapes(network: Network, mesh: Mesh) -> dict[str, float]:
    """The 52 blendshapes of a mesh, by name, in [0, 1]."""
    [values] = network(mesh.points[_SHAPE_POINTS, :2].astype(np.float32)[None])
    return dict(zip(BLENDSHAPES, values.ravel().tolist(), strict=True))


class Blendshapes(Mapping[str, float]):
    """:func:`find_blendshapes`, computed when the first value is looked at.

    Most photos are read without anybody asking for them. The network must be one that several
    threads may call, see :func:`~mien.faces.detection.tflite.one_at_a_time`. A pickle is a plain
    dictionary.
    """

    def __init__(self, network: Network, mesh: Mesh) -> None:
        self._network, self._mesh = network, mesh

    @cached_property
    def _values(self) -> dict[str, float]:
        return find_blendshapes(self._network, self._mesh)

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(BLENDSHAPES)

    def __len__(self) -> int:
        return len(BLENDSHAPES)

    def __repr__(self) -> str:
        return repr(self._values)

    def __reduce__(self) -> tuple[Any, tuple[dict[str, float]]]:
        return dict, (self._values,)


def region_of_candidate(points: FloatArray) -> Region:
    """Where the face of one of BlazeFace's candidates, ``(8, 2)`` points, is to be looked at."""
    low, high = points[0].tolist(), points[1].tolist()
    side = _ENLARGED * max(high[0] - low[0], high[1] - low[1])
    return Region(
        (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, side, _angle(points[2], points[3])
    )


def region_of_landmarks(points: NDArray[np.floating]) -> Region:
    """Where a face with landmarks ``(478, 2 or 3)`` is to be looked for in the next frame."""
    flat = points[:, :2].astype(np.float64)
    low, high = flat.min(axis=0), flat.max(axis=0)
    x, y = ((low + high) / 2).tolist()
    angle = _angle(flat[RIGHT_EYE_CORNER], flat[LEFT_EYE_CORNER])
    return Region(x, y, _ENLARGED * float((high - low).max()), angle)


def cut_region(image: UInt8Array, region: Region, side: int, border: int) -> UInt8Array:
    """Cut a region out of an image and resize it to ``(side, side, 3)``."""
    cos, sin = math.cos(region.angle), math.sin(region.angle)
    half = region.side / 2

    def place(across: float, down: float) -> tuple[float, float]:
        return region.x + cos * across - sin * down, region.y + sin * across + cos * down

    corners = np.array([place(-half, -half), place(half, -half), place(-half, half)], np.float64)
    height, width = image.shape[:2]
    if max(height, width) > _OPENCV_LIMIT:
        # OpenCV warps no image wider than 32,767 pixels.
        reach = np.array([region.x, region.y])
        low = np.clip(reach - region.side - 2, 0, np.array([width, height]) - 1).astype(int)
        high = np.clip(reach + region.side + 2, low + 1, (width, height)).astype(int)
        image, corners = image[low[1] : high[1], low[0] : high[0]], corners - low
    target = np.array([(0, 0), (side, 0), (0, side)], np.float32)
    matrix = cv2.getAffineTransform(corners.astype(np.float32), target)
    cut = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(cut, np.uint8)


def _angle(right_eye: NDArray[np.floating], left_eye: NDArray[np.floating]) -> float:
    return math.atan2(float(left_eye[1] - right_eye[1]), float(left_eye[0] - right_eye[0]))
