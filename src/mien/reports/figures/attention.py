"""Mean attention maps of classes over their mean crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.metrics.attention import ClassMaps
from mien.metrics.classification import FloatArray
from mien.reports.figures.pictures import Picture, picture

_SIDE = 144  # of a picture, in pixels
_OPACITY = 0.45
_LEAST_RANGE = 0.001  # under this, colors would show rounding and no structure


class AttentionPictures(NamedTuple):
    """Pictures of the classes that have rows, on one scale of colors from ``low`` to ``high``.

    ``classes`` has for each a ``name``, ``n``, its own ``low`` and ``high`` and a ``picture``; it
    is empty, and ``scale`` None, where every weight is about the same.
    """

    low: float
    high: float
    scale: Picture | None
    classes: list[dict[str, Any]]


def attention_pictures(means: ClassMaps, names: Sequence[str]) -> AttentionPictures:
    """All pictures share one scale, from the least to the largest mean weight of any class."""
    present = np.flatnonzero(means.counts)
    low, high = float(means.maps[present].min()), float(means.maps[present].max())
    if high - low < _LEAST_RANGE:
        return AttentionPictures(low, high, None, [])
    classes = [
        {
            "name": names[index],
            "n": int(means.counts[index]),
            "low": float(means.maps[index].min()),
            "high": float(means.maps[index].max()),
            "picture": picture(
                _overlaid(means.crops[index], (means.maps[index] - low) / (high - low))
            ),
        }
        for index in present.tolist()
    ]
    scale = picture(_colors(np.linspace(0, 1, _SIDE)[None].repeat(8, 0)))
    return AttentionPictures(low, high, scale, classes)


def _overlaid(crop: FloatArray, weights: FloatArray) -> NDArray[np.uint8]:
    """A mean crop ``(S, S, 3)`` under weights ``(h, w)`` in [0, 1], ``(SIDE, SIDE, 3)``."""
    bicubic = Image.Resampling.BICUBIC
    face = Image.fromarray(np.round(crop).astype(np.uint8)).resize((_SIDE, _SIDE), bicubic)
    smooth = Image.fromarray(weights.astype(np.float32)).resize((_SIDE, _SIDE), bicubic)
    # Bicubic shoots over where the map is steep.
    layer = _colors(np.clip(np.asarray(smooth), 0, 1))
    mixed = (1 - _OPACITY) * np.asarray(face, np.float64) + _OPACITY * layer
    return np.round(mixed).astype(np.uint8)


def _colors(values: FloatArray) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](values, bytes=True)[..., :3], np.uint8)
