"""Where the network looked, as a translucent layer of color over a face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.schema import FloatArray, Patch

FLAT = 0.001
"""A map whose weights all lie this close together says nothing of where, and is not drawn."""
_OPACITY = 0.5
_FADE = 0.12  # the part of a patch's side over which the layer fades in
_FINE = 256  # a map is enlarged to this side; OpenCV warps in 32nds of a pixel of what it is given
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_TILE = 512  # the layer is laid on in tiles, so that a face as large as its photo costs no memory

# Perceptually even and readable for color-blind eyes.
_COLORS = np.asarray(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_VIRIDIS)[0, :, ::-1],
    np.float32,
)


def draw_attention(
    picture: Image.Image, attention: FloatArray, patches: Sequence[Patch], *, scale: float = 1.0
) -> None:
    """Lay an attention map ``(h, w)`` over the face that it belongs to.

    Colors run from the map's least weight (dark blue) to its largest (yellow): they compare places
    of one face, not faces, and not with zero or one. ``patches`` are the prediction's, and
    ``scale`` is how many pixels of the picture one of the image's has become. The layer fades at
    the edge of what the network saw. The picture is changed in place.
    """
    low, high = float(attention.min()), float(attention.max())
    if high - low < FLAT:
        return
    stretched = np.asarray((attention - low) / (high - low), np.float32)
    enlarged = cv2.resize(stretched, (_FINE, _FINE), interpolation=cv2.INTER_CUBIC)
    fine = np.asarray(enlarged, np.float32)
    scaled = [Patch(patch.matrix / [scale, scale, 1], patch.top, patch.bottom) for patch in patches]
    for left, top, right, bottom in _tiles(scaled, picture.size):
        x, y = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
        weight = total = cover = np.zeros(x.shape, np.float32)
        for patch in scaled:
            opacity, values = _layer(fine, patch, x, y)
            weight = weight + opacity
            total = total + opacity * values
            # Regions of a partial image overlap; the layer is not twice as thick there.
            cover = np.maximum(cover, opacity)
        if not cover.any():
            continue
        mean = np.clip(total / np.maximum(weight, 1e-6), 0, 1)
        colors = _COLORS[np.round(mean * 255).astype(np.uint8)]
        tile = np.array(picture.crop((left, top, right, bottom)), np.float32)
        # Gray below, so that all color is the map's and none the skin's.
        gray = tile @ _LUMA
        tile += cover[..., None] * ((1 - _OPACITY) * gray[..., None] + _OPACITY * colors - tile)
        picture.paste(Image.fromarray(np.round(tile).astype(np.uint8)), (left, top))


def _layer(
    fine: FloatArray, patch: Patch, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[FloatArray, FloatArray]:
    """Opacity in [0, 1] and value of a patch at places of the picture."""
    (a, b, c), (d, e, f) = patch.matrix
    across, down = a * x + b * y + c, d * x + e * y + f
    within = (down - patch.top) / (patch.bottom - patch.top)
    edge = np.minimum(np.minimum(across, 1 - across), np.minimum(within, 1 - within))
    ramp = np.clip(edge / _FADE, 0, 1)
    column, row = (np.asarray(axis * _FINE - 0.5, np.float32) for axis in (across, down))
    values = cv2.remap(fine, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32), np.asarray(values, np.float32)


def _tiles(patches: Sequence[Patch], size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, right and bottom of tiles that hold all patches as far as the picture goes."""
    corners = np.concatenate([_corners(patch) for patch in patches])
    low = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(int).tolist()
    high = np.clip(np.ceil(corners.max(axis=0)), 0, size).astype(int).tolist()
    for top in range(low[1], high[1], _TILE):
        for left in range(low[0], high[0], _TILE):
            yield left, top, min(left + _TILE, high[0]), min(top + _TILE, high[1])


def _corners(patch: Patch) -> NDArray[np.float64]:
    """A patch's corners ``(4, 2)`` in the picture."""
    ends = np.array([[0, 1, 0, 1], [patch.top, patch.top, patch.bottom, patch.bottom]])
    places = np.linalg.solve(patch.matrix[:, :2], ends - patch.matrix[:, 2:])
    return np.asarray(places.T, np.float64)
