"""Changes of stored crops that must not change an answer much, to see whether they do.

Each is a function of whole crops ``(N, S, S, 3)`` uint8 in RGB, without randomness: the same crops
give the same changed ones. What a shift, a scale or a rotation uncovers is filled by reflection, as
in training. The amounts are our choice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.reading import ChangeCrops, to_grayscale
from mien.schema import Preprocessing, UInt8Array

JPEG_QUALITY = 50


class Change(NamedTuple):
    """One change: its ``name`` in ``report.json``, a ``title``, and what it does.

    ``of_colors`` marks those that change nothing about gray crops.
    """

    name: str
    title: str
    function: ChangeCrops
    of_colors: bool = False


def move(
    crops: UInt8Array,
    *,
    right: float = 0.0,
    down: float = 0.0,
    scale: float = 1.0,
    degrees: float = 0.0,
) -> UInt8Array:
    """Shift by fractions of the side, enlarge by a factor and turn clockwise about the center."""
    side = crops.shape[1]
    center = (side - 1) / 2
    # OpenCV's angles are counterclockwise.
    matrix = cv2.getRotationMatrix2D((center, center), -degrees, scale)
    matrix[:, 2] += right * side, down * side

    def moved(crop: UInt8Array) -> NDArray[Any]:
        return cv2.warpAffine(
            crop, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )

    return _each(crops, moved)


def swap_channels(crops: UInt8Array) -> UInt8Array:
    """Give red as blue and blue as red: BGR read as RGB."""
    return np.ascontiguousarray(crops[..., ::-1])


def resize_twice(crops: UInt8Array, *, share: float, down: int, up: int) -> UInt8Array:
    """Resize to a share of the side and back, with two of OpenCV's methods."""
    side = crops.shape[1]
    small = max(1, round(share * side))

    def resized(crop: UInt8Array) -> NDArray[Any]:
        less = cv2.resize(crop, (small, small), interpolation=down)
        return cv2.resize(less, (side, side), interpolation=up)

    return _each(crops, resized)


def blur(crops: UInt8Array, *, deviation: float) -> UInt8Array:
    """Blur with a Gaussian whose deviation is a fraction of the side."""
    sigma = deviation * crops.shape[1]
    return _each(crops, lambda crop: cv2.GaussianBlur(crop, (0, 0), sigma))


def compress(crops: UInt8Array, *, quality: int = JPEG_QUALITY) -> UInt8Array:
    """Write each as JPEG and read it again."""

    def reread(crop: UInt8Array) -> NDArray[Any]:
        _, data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]

    return _each(crops, reread)


def scale_levels(crops: UInt8Array, *, gain: float, about: float = 0.0) -> UInt8Array:
    """Move each level away from the level ``about`` by the factor ``gain``, within 0 and 255."""
    levels = np.clip(np.rint((np.arange(256) - about) * gain + about), 0, 255)
    table: UInt8Array = levels.astype(np.uint8)
    return table[crops]


def mirror(crops: UInt8Array) -> UInt8Array:
    """Swap left and right."""
    return np.ascontiguousarray(crops[:, :, ::-1])


CHANGES: tuple[Change, ...] = (
    Change("shift_right", "shifted right by 6 % of the side", partial(move, right=0.06)),
    Change("shift_down", "shifted down by 6 % of the side", partial(move, down=0.06)),
    Change("smaller", "shown at 90 % of the size", partial(move, scale=0.9)),
    Change("larger", "shown at 110 % of the size", partial(move, scale=1.1)),
    Change("turned_right", "turned clockwise by 10 degrees", partial(move, degrees=10.0)),
    Change("turned_left", "turned counterclockwise by 10 degrees", partial(move, degrees=-10.0)),
    Change("bgr", "channels in BGR order", swap_channels, of_colors=True),
    Change(
        "nearest",
        "75 % of the resolution and back, by nearest neighbor",
        partial(resize_twice, share=0.75, down=cv2.INTER_NEAREST, up=cv2.INTER_NEAREST),
    ),
    Change(
        "area",
        "75 % of the resolution by area, back by linear interpolation",
        partial(resize_twice, share=0.75, down=cv2.INTER_AREA, up=cv2.INTER_LINEAR),
    ),
    Change(
        "half",
        "half the resolution by area, back by cubic interpolation",
        partial(resize_twice, share=0.5, down=cv2.INTER_AREA, up=cv2.INTER_CUBIC),
    ),
    Change("blur", "blurred, deviation 1.5 % of the side", partial(blur, deviation=0.015)),
    Change("jpeg", f"JPEG of quality {JPEG_QUALITY}", compress),
    Change("gray", "gray", to_grayscale, of_colors=True),
    Change("darker", "brightness times 0.6", partial(scale_levels, gain=0.6)),
    Change("brighter", "brightness times 1.4", partial(scale_levels, gain=1.4)),
    Change("less_contrast", "half the contrast", partial(scale_levels, gain=0.5, about=127.5)),
    Change("mirror", "mirrored", mirror),
)
"""All changes but that of the margin, which only some datasets have pixels for."""


def changes_for(stored: Preprocessing) -> tuple[list[Change], dict[str, str]]:
    """The changes that can be made to crops of a kind, and by name why others cannot.

    A margin can be cut away where there is one.
    """
    changes = list(CHANGES)
    left_out: dict[str, str] = {}
    if stored.margin > 0:
        title = f"margin 0 in place of {stored.margin:g}"
        changes.insert(4, Change("margin", title, partial(move, scale=1 + 2 * stored.margin)))
    else:
        left_out["margin"] = "the crops have no margin that could be cut away"
    if stored.color == "gray":
        left_out |= {change.name: "the crops are gray" for change in changes if change.of_colors}
        changes = [change for change in changes if not change.of_colors]
    return changes, left_out


def _each(crops: UInt8Array, function: Callable[[UInt8Array], NDArray[Any]]) -> UInt8Array:
    changed = np.empty_like(crops)
    for crop, out in zip(crops, changed, strict=True):
        out[...] = function(crop)
    return changed
