"""Triangles -> the triangle and the place in it that each pixel sees: a z-buffer, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.schema import FloatArray


class Visible(NamedTuple):
    """What ``n`` covered pixels show.

    ``pixels`` are indices into the flattened image, ascending, ``triangles`` row numbers of the
    triangles, both ``(n,)``; ``weights`` ``(n, 3)`` are barycentric, of the triangles' corners.
    """

    pixels: NDArray[np.int64]
    triangles: NDArray[np.int64]
    weights: FloatArray


def rasterize(
    points: FloatArray, depth: FloatArray, triangles: NDArray[np.int64], side: int
) -> Visible:
    """The nearest front-facing triangle at each pixel's center of a ``(side, side)`` image.

    ``points`` ``(V, 2)`` are in pixels, y down, a pixel's center at a half; ``depth`` ``(V,)``
    grows away from the viewer. A triangle faces the viewer when its corners run clockwise on the
    image as it is looked at (counter-clockwise with y up). Of equally near ones the first is seen.
    """
    owner, weights = _fill(points, depth, triangles, side)
    pixels = np.flatnonzero(owner >= 0)
    return Visible(pixels, owner[pixels], weights[pixels])


def interpolate(values: FloatArray, triangles: NDArray[np.int64], visible: Visible) -> FloatArray:
    """``values`` ``(V, K)`` of the corners at what each pixel sees, ``(n, K)``."""
    mixed: FloatArray = _mix(values, triangles[visible.triangles], visible.weights)
    return mixed


@njit(cache=True)
def _fill(points, depth, triangles, side):  # type: ignore[no-untyped-def]
    """By pixel, the triangle seen (-1: none) and its barycentric weights."""
    owner = np.full(side * side, -1, np.int64)
    weights = np.zeros((side * side, 3), np.float32)
    nearest = np.full(side * side, np.inf, np.float32)
    for number in range(len(triangles)):
        a, b, c = triangles[number]
        ax, ay = points[a, 0], points[a, 1]
        ux, uy = points[b, 0] - ax, points[b, 1] - ay
        vx, vy = points[c, 0] - ax, points[c, 1] - ay
        area = ux * vy - uy * vx
        if not area < -1e-9:
            continue
        left = max(int(np.ceil(ax + min(np.float32(0), ux, vx) - 0.5)), 0)
        right = min(int(np.floor(ax + max(np.float32(0), ux, vx) - 0.5)), side - 1)
        top = max(int(np.ceil(ay + min(np.float32(0), uy, vy) - 0.5)), 0)
        bottom = min(int(np.floor(ay + max(np.float32(0), uy, vy) - 0.5)), side - 1)
        for row in range(top, bottom + 1):
            dy = np.float32(row + 0.5) - ay
            for column in range(left, right + 1):
                dx = np.float32(column + 0.5) - ax
                second = (dx * vy - dy * vx) / area
                third = (ux * dy - uy * dx) / area
                first = 1 - second - third
                if second < 0 or third < 0 or first < 0:
                    continue
                far = first * depth[a] + second * depth[b] + third * depth[c]
                pixel = row * side + column
                if far < nearest[pixel]:
                    nearest[pixel] = far
                    owner[pixel] = number
                    weights[pixel, 0] = first
                    weights[pixel, 1] = second
                    weights[pixel, 2] = third
    return owner, weights


@njit(cache=True)
def _mix(values, corners, weights):  # type: ignore[no-untyped-def]
    mixed = np.empty((len(corners), values.shape[1]), np.float32)
    for pixel in range(len(corners)):
        a, b, c = corners[pixel]
        for channel in range(values.shape[1]):
            mixed[pixel, channel] = (
                weights[pixel, 0] * values[a, channel]
                + weights[pixel, 1] * values[b, channel]
                + weights[pixel, 2] * values[c, channel]
            )
    return mixed
