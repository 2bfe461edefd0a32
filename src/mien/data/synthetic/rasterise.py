"""Triangles -> the triangle and the place in it that each pixel sees: a z-buffer in numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.schema import FloatArray


class Visible(NamedTuple):
    """What ``n`` covered pixels show.

    ``pixels`` are indices into the flattened image, ``triangles`` row numbers of the triangles,
    both ``(n,)``; ``weights`` ``(n, 3)`` are barycentric, of the triangles' corners.
    """

    pixels: NDArray[np.int64]
    triangles: NDArray[np.int64]
    weights: FloatArray


def rasterise(
    points: FloatArray, depth: FloatArray, triangles: NDArray[np.int64], side: int
) -> Visible:
    """The nearest front-facing triangle at each pixel's centre of a ``(side, side)`` image.

    ``points`` ``(V, 2)`` are in pixels, y down, a pixel's centre at a half; ``depth`` ``(V,)``
    grows away from the viewer. A triangle faces the viewer when its corners run clockwise on the
    image as it is looked at (counter-clockwise with y up). All candidate pixels of all triangles
    are tried at once; depth has 65,536 steps.
    """
    corners = points[triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    low = np.ceil(np.clip(corners.min(axis=1), 0, side) - 0.5).astype(np.int32)
    high = np.floor(np.clip(corners.max(axis=1), -1, side) - 0.5).astype(np.int32)
    high = np.minimum(high, side - 1)
    extent = np.maximum(high - low + 1, 0)
    chosen = np.flatnonzero((area < -1e-9) & (extent.prod(axis=1) > 0))
    area, low, extent = area[chosen], low[chosen], extent[chosen]
    first, second, origin = first[chosen], second[chosen], corners[chosen, 0]

    # Each barycentric weight and the depth are planes over the image: a x + b y + c.
    planes = np.empty((len(chosen), 3, 3), np.float32)
    planes[:, 0, 0], planes[:, 0, 1] = second[:, 1] / area, -second[:, 0] / area
    planes[:, 1, 0], planes[:, 1, 1] = -first[:, 1] / area, first[:, 0] / area
    at_corners = depth[triangles[chosen]]
    steps = at_corners[:, 1:] - at_corners[:, :1]
    planes[:, 2, :2] = steps[:, :1] * planes[:, 0, :2] + steps[:, 1:] * planes[:, 1, :2]
    planes[:, :, 2] = -np.einsum("tij,tj->ti", planes[:, :, :2], origin - low - 0.5)
    planes[:, 2, 2] += at_corners[:, 0]

    counts = extent.prod(axis=1)
    owner = np.repeat(np.arange(len(chosen), dtype=np.int32), counts)
    within = np.arange(len(owner), dtype=np.int32) - np.repeat(
        (np.cumsum(counts) - counts).astype(np.int32), counts
    )
    width = extent[owner, 0]
    row = within // width
    column = within - row * width
    # In single precision throughout; mixed with integers NumPy would take double.
    x, y = column.astype(np.float32), row.astype(np.float32)
    coefficients = planes.reshape(-1, 9)[owner].T
    b1 = coefficients[0] * x + coefficients[1] * y + coefficients[2]
    b2 = coefficients[3] * x + coefficients[4] * y + coefficients[5]
    inside = np.flatnonzero((b1 >= 0) & (b2 >= 0) & (b1 + b2 <= 1))
    owner, row, column = owner[inside], row[inside], column[inside]
    b1, b2 = b1[inside], b2[inside]
    slope = coefficients[6:, inside]
    z = slope[0] * x[inside] + slope[1] * y[inside] + slope[2]

    nearest, farthest = float(depth.min()), float(depth.max())
    scale = 65535 / max(farthest - nearest, 1e-9)
    steps16 = np.clip((farthest - z) * scale, 0, 65535).astype(np.uint16)
    order = np.argsort(steps16, kind="stable")  # far to near, by a radix sort
    pixel = (row + low[owner, 1]) * side + column + low[owner, 0]
    winner = np.full(side * side, -1, np.int64)
    winner[pixel[order]] = order  # of several at a pixel the last, nearest one stays
    pixels = np.flatnonzero(winner >= 0)
    seen = winner[pixels]
    weights = np.stack([1 - b1[seen] - b2[seen], b1[seen], b2[seen]], axis=1)
    return Visible(pixels, chosen[owner[seen]], weights)
