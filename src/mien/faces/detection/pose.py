"""How a head is turned, from its mesh, as MediaPipe's geometry pipeline computes it.

The bundle's metadata hold a canonical face and weights of 33 landmarks; a weighted Procrustes
alignment of that face with the mesh gives the head's rotation.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.schema import Pose

# MediaPipe's assumption on the camera: its vertical field of view.
_FIELD_OF_VIEW = np.radians(63.0)
_LANDMARKS = 468  # without the irises


class FaceGeometry(NamedTuple):
    """The canonical face ``(K, 3)`` in centimeters, its rows of the mesh and their weights."""

    points: NDArray[np.float64]
    rows: NDArray[np.int64]
    weights: NDArray[np.float64]


def read_geometry(metadata: bytes) -> FaceGeometry:
    """Read the bundle's ``geometry_pipeline_metadata_landmarks.binarypb``.

    Raises ``ValueError`` for other bytes.
    """
    vertices, weights = b"", np.zeros(_LANDMARKS)
    try:
        for number, value in _fields(metadata):
            if number == 1 and isinstance(value, bytes):  # the canonical mesh
                vertices = b"".join(
                    part for inner, part in _fields(value) if inner == 3 and isinstance(part, bytes)
                )
            elif number == 2 and isinstance(value, bytes):  # one landmark's weight
                pair = dict(_fields(value))
                weights[int(pair.get(1, 0))] = struct.unpack("<f", pair[2])[0]  # type: ignore[arg-type]
        places = np.frombuffer(vertices, "<f4").reshape(_LANDMARKS, 5)[:, :3].astype(np.float64)
    except (IndexError, KeyError, TypeError, struct.error) as error:
        raise ValueError(f"expected the geometry of a face, got other bytes ({error})") from error
    rows = np.flatnonzero(weights)
    if not len(rows):
        raise ValueError("expected the geometry of a face, got no weights")
    return FaceGeometry(places[rows], rows, weights[rows] / weights.sum())


def head_matrix(
    mesh: NDArray[np.float64], shape: tuple[int, ...], geometry: FaceGeometry
) -> NDArray[np.float64]:
    """The ``(4, 4)`` face-to-camera matrix of a mesh ``(478, 3)`` in pixels of an image.

    x right, y up, z toward the camera. ``shape`` is the image's, height before width; the camera
    is assumed to point at its center.
    """
    height, width = shape[:2]
    tall = 2 * np.tan(_FIELD_OF_VIEW / 2)
    wide = tall * width / height
    x, y, z = (mesh[geometry.rows] / (width, height, width)).T
    screen = np.stack([x * wide - wide / 2, (1 - y) * tall - tall / 2, z * wide], axis=1)
    middle = (mesh[:_LANDMARKS, 2] / width * wide).mean()

    def scale_of(points: NDArray[np.float64]) -> float:
        return _procrustes(geometry.points, points * (1, 1, -1), geometry.weights)[1]

    def lifted(scale: float) -> NDArray[np.float64]:
        depth = (screen[:, 2] - middle + 1) / scale
        return np.stack([screen[:, 0] * depth, screen[:, 1] * depth, depth], axis=1)

    first = scale_of(screen)
    placed = lifted(first * scale_of(lifted(first))) * (1, 1, -1)
    return _procrustes(geometry.points, placed, geometry.weights)[0]


def pose_of(matrix: NDArray[np.float64]) -> Pose:
    """Compute the pose in degrees from a ``(4, 4)`` face-to-camera matrix.

    The matrix (x right, y up) assumes a camera pointed at the center of the image, which a
    cropped photo need not have: moving one face from corner to corner changes yaw by about 4 and
    pitch by about 7 degrees.
    """
    rotation = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arcsin(np.clip(rotation[1, 2], -1, 1))
    roll = -np.arctan2(rotation[1, 0], rotation[1, 1])
    return Pose(*(float(angle) for angle in np.degrees([yaw, pitch, roll])))


def _procrustes(
    source: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The similarity ``(4, 4)`` that takes ``(K, 3)`` points to others, and its scale.

    It minimizes the weighted squares of what remains.
    """
    middles = weights @ source, weights @ target
    one, two = source - middles[0], (target - middles[1]) * weights[:, None]
    left, sizes, right = np.linalg.svd(two.T @ one)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * signs) @ right
    scale = float(sizes @ signs / (weights @ (one**2).sum(axis=1)))
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    matrix[:3, :3] = scale * rotation
    matrix[:3, 3] = middles[1] - scale * rotation @ middles[0]
    return matrix, scale


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer's message: their numbers and values."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        number, wire = divmod(varint(), 8)
        if wire == 0:
            yield number, varint()
            continue
        size = {1: 8, 5: 4}.get(wire) or varint()
        yield number, message[at : at + size]
        at += size
