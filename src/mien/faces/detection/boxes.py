"""Boxes: around points, their overlaps, and each face once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.schema import Box, Face, FloatArray

_SAME_FACE = 0.3  # intersection over union from which two boxes show one face


def box_of(points: FloatArray) -> Box:
    """The smallest box around ``(N, 2)`` points, at least a thousandth of a pixel wide and high."""
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Box(left, top, max(right - left, 1e-3), max(bottom - top, 1e-3))


def overlaps(one: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Intersection over union of one box and ``(N, 2, 2)`` others, ``(N,)`` in [0, 1].

    A box is its top left and its bottom right corner.
    """
    low, high = np.maximum(one[0], others[:, 0]), np.minimum(one[1], others[:, 1])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 1] - others[:, 0]).prod(axis=1)
    return np.asarray(shared / ((one[1] - one[0]).prod() + areas - shared))


def overlap(one: Box, two: Box) -> float:
    """Intersection over union of two boxes, in [0, 1].

    >>> overlap(Box(0, 0, 2, 2), Box(1, 0, 2, 2)) == 2 / 6
    True
    """
    return float(overlaps(corners(one), corners(two)[None])[0])


def corners(box: Box) -> NDArray[np.float64]:
    """The top left and the bottom right corner of a box, ``(2, 2)``."""
    right, bottom = box.left + box.width, box.top + box.height
    return np.array([[box.left, box.top], [right, bottom]], np.float64)


def largest_first(faces: list[Face]) -> list[Face]:
    """The faces by decreasing area of their boxes."""
    return sorted(faces, key=lambda face: -face.box.width * face.box.height)


def distinct(faces: list[Face]) -> list[Face]:
    """Each face once: of boxes that show one face, the one with the best score."""
    unique: list[Face] = []
    boxes = np.empty((0, 2, 2))
    for face in sorted(faces, key=lambda face: -face.score):
        box = corners(face.box)
        if (overlaps(box, boxes) < _SAME_FACE).all():
            unique.append(face)
            boxes = np.concatenate([boxes, box[None]])
    return unique
