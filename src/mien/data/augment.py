"""Augmentation of uint8 crops, as a function of (seed, epoch, row): same numbers, same crop.

It precedes :func:`mien.faces.tensors.to_tensor`, so that training and inference share everything
after it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mien.schema import UInt8Array


class Augmentation(BaseModel):
    """How much a crop is changed; nothing where all are zero.

    ``flip`` and ``erase`` are probabilities. ``rotation`` is the largest angle in degrees,
    ``shift`` the largest shift as a fraction of the side, ``scale`` the largest change in size
    (0.1: between 0.9 and 1.1), ``brightness`` and ``contrast`` the largest relative change.
    ``erase`` fills a rectangle, with sides of 15 % to 40 % of the crop's, with the crop's mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    flip: float = Field(default=0.5, ge=0, le=1)
    rotation: float = Field(default=10.0, ge=0, le=180)
    shift: float = Field(default=0.05, ge=0, le=0.5)
    scale: float = Field(default=0.1, ge=0, lt=1)
    brightness: float = Field(default=0.1, ge=0, lt=1)
    contrast: float = Field(default=0.3, ge=0, lt=1)
    erase: float = Field(default=0.0, ge=0, le=1)


def augment(
    crops: UInt8Array, rows: NDArray[np.int64], settings: Augmentation, *, seed: int, epoch: int
) -> UInt8Array:
    """Return augmented copies of ``crops`` ``(B, S, S, 3)``; ``rows`` ``(B,)`` are their rows.

    Gray crops may be ``(B, S, S, 1)``, which is faster and gives the same values. A result depends
    on (seed, epoch, row) only, not on its position in the batch. Uncovered borders are filled by
    reflection.
    """
    # All numbers are always drawn, so that one setting never shifts the stream of another.
    draws = [np.random.default_rng((seed, epoch, int(row))).random(12) for row in rows]
    draw = np.array(draws).reshape(-1, 12)
    spread = 2 * draw - 1
    side = crops.shape[1]
    changed = np.empty(crops.shape, np.uint8)
    for crop, out, share, signed in zip(crops, changed, draw, spread, strict=True):
        matrix = _matrix(settings, side, signed, mirror=bool(share[2] < settings.flip))
        warped = cv2.warpAffine(
            crop, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        # OpenCV drops the axis of a single channel.
        out[...] = warped.reshape(out.shape)
    means = changed[:, ::4, ::4].mean(axis=(1, 2, 3))
    gain = 1 + settings.contrast * spread[:, 5]
    offset = means * (1 - gain) + 255 * settings.brightness * spread[:, 6]
    levels = np.arange(256) * gain[:, None] + offset[:, None] + 0.5
    for out, table in zip(changed, np.clip(levels, 0, 255).astype(np.uint8), strict=True):
        cv2.LUT(out, table, dst=out)
    for index in np.flatnonzero(draw[:, 7] < settings.erase):
        height, width = (int(side * (0.15 + 0.25 * share)) for share in draw[index, 8:10])
        top = int((side - height) * draw[index, 10])
        left = int((side - width) * draw[index, 11])
        changed[index, top : top + height, left : left + width] = round(float(means[index]))
    return changed


def _matrix(
    settings: Augmentation, side: int, spread: NDArray[np.float64], *, mirror: bool
) -> NDArray[np.float64]:
    """Rotation, scale, reflection and shift about the crop's center, ``(2, 3)``, in pixels."""
    angle = math.radians(settings.rotation) * spread[0]
    scale = 1 + settings.scale * spread[1]
    sign = -1.0 if mirror else 1.0
    shift = settings.shift * side * spread[3:5]
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    center = (side - 1) / 2
    linear = np.array([[cosine * sign, -sine], [sine * sign, cosine]])
    return np.column_stack([linear, center + shift - linear @ (center, center)])
