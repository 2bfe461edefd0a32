"""The regions of an aligned crop that expressions move: brows and eyes, nose and folds, mouth.

These are the regions of the partial-image method. Brows and eyes show action units 1, 2, 4, 5, 6
and 7, the nose and nasolabial folds 6, 9 and 10, the mouth 12, 15, 17, 20 and 23 to 27. Which
landmarks bound them is our choice, as the method's paper gives no list.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import LEFT_EYE, RIGHT_EYE, template_points
from mien.schema import Box, FloatArray, Preprocessing

_RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
_LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
_BRIDGE_AND_TIP = (6, 197, 195, 5, 4, 1, 2, 98, 327, 64, 294, 48, 278)
_FOLDS_AND_CHEEKS = (129, 49, 36, 203, 205, 206, 50, 358, 279, 266, 423, 425, 426, 280)
_OUTER_LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)

_POINTS: dict[str, tuple[int, ...]] = {
    "brows-eyes": _RIGHT_BROW + RIGHT_EYE + _LEFT_BROW + LEFT_EYE,
    "nose": _BRIDGE_AND_TIP + _FOLDS_AND_CHEEKS,
    "mouth": _OUTER_LIPS,
}
# Left, top, right, bottom as fractions of the crop at margin 0: medians over the faces that the
# template was measured on, made symmetrical.
_FIXED: dict[str, tuple[float, float, float, float]] = {
    "brows-eyes": (0.174, 0.246, 0.826, 0.416),
    "nose": (0.225, 0.423, 0.775, 0.665),
    "mouth": (0.356, 0.725, 0.644, 0.854),
}
_EXPANSION = 0.15

REGIONS: tuple[str, ...] = tuple(_POINTS)
"""The regions from top to bottom: ``"brows-eyes"``, ``"nose"`` and ``"mouth"``."""


def action_unit_boxes(
    preprocessing: Preprocessing, landmarks: FloatArray | None = None
) -> dict[str, Box]:
    """Return the boxes ``"brows-eyes"``, ``"nose"`` and ``"mouth"`` in crop pixels.

    ``landmarks`` is ``(478, 2)`` in crop pixels. Without them, or with ``(5, 2)``, which outline
    no region, the boxes are fixed fractions of the template. Each is enlarged by 15 % of its
    width and height and clipped to the crop; a box outside the crop is replaced by the fixed one.

    >>> sorted(action_unit_boxes(Preprocessing(size=96)))
    ['brows-eyes', 'mouth', 'nose']
    """
    if landmarks is not None and landmarks.shape not in ((478, 2), (5, 2)):
        raise ValueError(f"expected landmarks of shape (478, 2) or (5, 2), got {landmarks.shape}")
    mesh = landmarks[None] if landmarks is not None and len(landmarks) == 478 else None
    bounds = action_unit_bounds(preprocessing, mesh)[0]
    return {
        name: Box(left, top, right - left, bottom - top)
        for name, (left, top, right, bottom) in zip(REGIONS, bounds.tolist(), strict=True)
    }


def action_unit_bounds(
    preprocessing: Preprocessing, landmarks: FloatArray | None = None
) -> NDArray[np.float64]:
    """Return left, top, right and bottom of the boxes of ``N`` faces, ``(N, 3, 4)``.

    ``landmarks`` is ``(N, 478, 2)`` in crop pixels; without them there is one row, of fixed
    boxes. The second axis is in the order of :data:`REGIONS`.
    """
    size = preprocessing.size
    outlines = np.array(list(_FIXED.values())).reshape(len(REGIONS), 2, 2)
    fixed = _expanded(template_points(outlines, preprocessing), size)
    if landmarks is None:
        return fixed[None]
    outlined = np.stack(
        [
            _expanded(landmarks[:, list(indexes)].astype(np.float64), size)
            for indexes in _POINTS.values()
        ],
        axis=1,
    )
    # False for NaN as well.
    inside = (outlined[..., 2:] > outlined[..., :2]).all(axis=-1, keepdims=True)
    bounds: NDArray[np.float64] = np.where(inside, outlined, fixed)
    return bounds


def _expanded(points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The bounds ``(N, 4)`` of ``(N, K, 2)`` points, enlarged and clipped to the crop.

    They are empty (right not beyond left) where all points lie outside.
    """
    low, high = points.min(axis=1), points.max(axis=1)
    extra = (high - low) * (_EXPANSION / 2)
    bounds = np.concatenate([low - extra, high + extra], axis=-1)
    inside: NDArray[np.float64] = np.clip(bounds, 0, size)
    return inside
