"""Triangles -> the triangle that each pixel sees, and where in it: a compiled z-buffer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.schema import FloatArray


class Visible(NamedTuple):
    """What ``n`` covered pixels show.

    ``pixels`` ``(n,)`` are ascending indices into the flattened image, ``triangles`` ``(n,)`` the
    rows of their triangles, and ``weights`` ``(n, 3)`` barycentric weights of the corners.
    """

    pixels: NDArray[np.int64]
    triangles: NDArray[np.int64]
    weights: FloatArray


def rasterize(
    points: FloatArray, depth: FloatArray, triangles: NDArray[np.int64], side: int
) -> Visible:
    """Find the nearest front-facing triangle at each pixel center of a ``(side, side)`` image.

    ``points`` ``(V, 2)`` are in pixels, y down, with pixel centers at a half. ``depth`` ``(V,)``
    increases away from the viewer. A triangle faces the viewer when its corners are clockwise in
    the image (counterclockwise with y up). Of equally near triangles the first is visible.
    """
    owner, weights = _fill(points, depth, triangles, side)
    pixels = np.flatnonzero(owner >= 0)
    return Visible(pixels, owner[pixels], weights[pixels])


def interpolate(values: FloatArray, triangles: NDArray[np.int64], visible: Visible) -> FloatArray:
    """Interpolate ``values`` ``(V, K)`` of vertices at each visible pixel, ``(n, K)``."""
    mixed: FloatArray = _mix(values, triangles[visible.triangles], visible.weights)
    return mixed


@njit(cache=True)
def _fill(points, depth, triangles, side):  # type: ignore[no-untyped-def]
    """The triangle of each pixel (-1: none) and its barycentric weights."""
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
