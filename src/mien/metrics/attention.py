"""Where a network looks: mean attention maps and mean crops by class, and their pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.metrics.classification import FloatArray, IntArray

_SIDE = 144  # of a picture, in pixels
_OPACITY = 0.45
_LEAST_RANGE = 0.001  # under this, colors would show rounding and no places


class ClassMaps(NamedTuple):
    """Means over the rows of each class.

    ``counts`` ``(C,)`` says how many rows; ``maps`` ``(C, h, w)`` are of attention, in [0, 1], and
    ``crops`` ``(C, S, S, 3)`` in [0, 255]. A class without rows has zeros.
    """

    counts: IntArray
    maps: FloatArray
    crops: FloatArray


class MapSums:
    """Sums up attention maps and crops by class, a batch at a time: memory stays that of a mean."""

    def __init__(self, classes: int) -> None:
        self._counts = np.zeros(classes, np.int64)
        self._maps: FloatArray | None = None
        self._crops: FloatArray | None = None

    def add(
        self, maps: NDArray[np.floating[Any]], crops: NDArray[np.uint8], targets: IntArray
    ) -> None:
        """Add maps ``(B, h, w)`` of crops ``(B, S, S, 1 or 3)`` as the network sees them.

        ``targets`` ``(B,)`` are the classes; rows with -1 are passed over.
        """
        if not len(maps) == len(crops) == len(targets):
            raise ValueError(
                f"expected as many maps, crops and targets, got {len(maps)}, {len(crops)} and "
                f"{len(targets)}"
            )
        if self._maps is None or self._crops is None:
            self._maps = np.zeros((len(self._counts), *maps.shape[1:]))
            self._crops = np.zeros((len(self._counts), *crops.shape[1:3], 3))
        for index in np.unique(targets[targets >= 0]):
            rows = targets == index
            self._counts[index] += rows.sum()
            self._maps[index] += maps[rows].sum(0, dtype=np.float64)
            self._crops[index] += crops[rows].sum(0, dtype=np.float64)

    def means(self) -> ClassMaps | None:
        """The means, or None where no row with a class was added."""
        if self._maps is None or self._crops is None or not self._counts.any():
            return None
        rows = np.maximum(self._counts, 1)[:, None, None]
        return ClassMaps(self._counts, self._maps / rows, self._crops / rows[..., None])


def attention_section(means: ClassMaps | None, names: Sequence[str]) -> str:
    """The section of the page, or nothing for a model without attention maps.

    All pictures share one scale, from the least to the largest mean weight, so that classes can
    be compared.
    """
    if means is None:
        return ""
    shown = np.flatnonzero(means.counts)
    low, high = float(means.maps[shown].min()), float(means.maps[shown].max())
    flat = high - low < _LEAST_RANGE
    head = (
        "<section>\n<h2>Where the network looks</h2>\n"
        '<p class="lead">The mean attention map of each true class over the mean of its crops, as '
        "the network sees them. It weighs places of its last feature map, each of which sees "
        "far around itself: a large weight means that a place counts much, not why. "
    )
    if flat:
        return (
            f"{head}Here every place has about the same mean weight, {low:.3f}: there is nothing "
            "to show.</p>\n</section>\n"
        )
    scale = _colors(np.linspace(0, 1, _SIDE)[None].repeat(8, 0))
    items = []
    for index in shown.tolist():
        picture = _overlaid(means.crops[index], (means.maps[index] - low) / (high - low))
        n = int(means.counts[index])
        own = f"{means.maps[index].min():.3f} to {means.maps[index].max():.3f}"
        text = escape(f"Mean attention over the mean crop of {names[index]}")
        items.append(
            f"<li>{_image(picture, text)}<p><b>{escape(names[index])}</b></p>"
            f"<p>{n:,} row{'' if n == 1 else 's'}</p><p>{own}</p></li>"
        )
    bar = _image(scale, escape("The scale of colors, from dark blue to yellow"))
    return (
        f"{head}The colors are the same in all pictures: mean weights from {low:.3f} (dark blue) "
        f"to {high:.3f} (yellow).</p>\n"
        f'<p class="lead">{low:.3f} {bar} {high:.3f}</p>\n<ul class="mistakes">{"".join(items)}'
        "</ul>\n</section>\n"
    )


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


def _image(pixels: NDArray[np.uint8], text: str) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    height, width = pixels.shape[:2]
    return (
        f'<img src="data:image/png;base64,{data}" alt="{text}" width="{width}" height="{height}">'
    )
