"""Augmentation of uint8 crops, as a function of (seed, epoch, row): same numbers, same crop.

It acts on crops, before :func:`mien.faces.tensors.to_tensor`, so that training and inference
share everything behind it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mien.schema import UInt8Array


class Augmentation(BaseModel):
    """How much a crop is changed; all zero changes nothing.

    ``flip`` and ``erase`` are probabilities, ``rotation`` is the largest angle in degrees,
    ``shift`` the largest move as a fraction of the side, ``scale`` the largest change of size
    (0.1: between 0.9 and 1.1), ``brightness`` and ``contrast`` the largest relative change.
    ``erase`` blanks a rectangle with sides between 15 % and 40 % of the crop with its mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    """Augmented copies of ``crops`` ``(B, S, S, 3)``; ``rows`` ``(B,)`` are their dataset rows.

    Grey crops may come as ``(B, S, S, 1)``, which is faster and gives the same values. A row's
    result depends on (seed, epoch, row) only, never on its place in the batch, and the borders
    that a move uncovers are filled by reflection.
    """
    changed = np.empty(crops.shape, np.uint8)
    for crop, row, out in zip(crops, rows, changed, strict=True):
        one = _augment_one(crop, settings, np.random.default_rng((seed, epoch, int(row))))
        # OpenCV drops a single channel's axis.
        out[...] = one.reshape(out.shape)
    return changed


def _augment_one(
    crop: UInt8Array, settings: Augmentation, generator: np.random.Generator
) -> UInt8Array:
    side = crop.shape[0]
    # All numbers are drawn at once and always, so one setting never shifts another's stream.
    draw = generator.random(12)
    spread = 2 * draw - 1
    angle = math.radians(settings.rotation) * spread[0]
    scale = 1 + settings.scale * spread[1]
    mirror = -1.0 if draw[2] < settings.flip else 1.0
    shift = settings.shift * side * spread[3:5]
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    centre = (side - 1) / 2
    linear = np.array([[cosine * mirror, -sine], [sine * mirror, cosine]])
    matrix = np.column_stack([linear, centre + shift - linear @ (centre, centre)])
    warped = cv2.warpAffine(
        crop, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    mean = float(warped[::4, ::4].mean())
    gain = 1 + settings.contrast * spread[5]
    offset = mean * (1 - gain) + 255 * settings.brightness * spread[6]
    table = np.clip(np.arange(256) * gain + offset + 0.5, 0, 255).astype(np.uint8)
    changed = cv2.LUT(warped, table)
    if draw[7] < settings.erase:
        height, width = (int(side * (0.15 + 0.25 * share)) for share in draw[8:10])
        top = int((side - height) * draw[10])
        left = int((side - width) * draw[11])
        changed[top : top + height, left : left + width] = round(mean)
    return np.asarray(changed, np.uint8)
