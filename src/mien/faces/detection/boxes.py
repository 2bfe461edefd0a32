"""Boxes: around points, their overlaps, and each face once."""

from __future__ import annotations

from mien.schema import Box, Face, FloatArray

_SAME_FACE = 0.3  # intersection over union from which two boxes show one face


def box_of(points: FloatArray) -> Box:
    """The smallest box around ``(N, 2)`` points, at least a thousandth of a pixel wide and high."""
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Box(left, top, max(right - left, 1e-3), max(bottom - top, 1e-3))


def overlap(one: Box, two: Box) -> float:
    """Intersection over union of two boxes, in [0, 1].

    >>> overlap(Box(0, 0, 2, 2), Box(1, 0, 2, 2)) == 2 / 6
    True
    """
    width = min(one.left + one.width, two.left + two.width) - max(one.left, two.left)
    height = min(one.top + one.height, two.top + two.height) - max(one.top, two.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + two.width * two.height - shared)


def largest_first(faces: list[Face]) -> list[Face]:
    """The faces by decreasing area of their boxes."""
    return sorted(faces, key=lambda face: -face.box.width * face.box.height)


def distinct(faces: list[Face]) -> list[Face]:
    """Each face once: of boxes that show one face, the one with the best score."""
    unique: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(overlap(face.box, other.box) < _SAME_FACE for other in unique):
            unique.append(face)
    return unique
