"""Crop -> partial image: the regions that expressions move, as one image of the same size.

After N. Yu and D. Bai, IEEE Access 8:4700-4707, 2020, doi 10.1109/ACCESS.2019.2963201, whose
abstract says that the units most active in expressions are cropped and assembled. The regions,
layouts and proportions are our reconstruction.

The modes of :class:`~mien.schema.Preprocessing`:

- ``"stack"``: brows and eyes, nose, and mouth, each resized to the crop's width and stacked with
  heights of 40 : 16 : 40;
- ``"stack-eyes-mouth"``: brows and eyes above the mouth, half of the height each;
- ``"mask"``: the crop with everything outside the regions blanked.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.align import INTERPOLATION, Cut
from mien.faces.regions import REGIONS, action_unit_bounds
from mien.schema import FloatArray, Patch, Preprocessing, UInt8Array

_ROWS: dict[str, dict[str, int]] = {
    "stack": {"brows-eyes": 40, "nose": 16, "mouth": 40},
    "stack-eyes-mouth": {"brows-eyes": 1, "mouth": 1},
}

BLANK = 128
"""The value of masked pixels. Mid-gray is near zero in the tensor and the same for every face; a
crop's mean color would show the network the skin and light that the mask hides."""

RegionPixels = NDArray[np.int16]


def compose_partial_image(
    crop: UInt8Array, preprocessing: Preprocessing, landmarks: FloatArray | None = None
) -> UInt8Array:
    """Compose the ``(S, S, C)`` uint8 partial image of a whole ``(S, S, C)`` crop, ``C`` 1 or 3.

    ``landmarks`` is ``(478, 2)`` in crop pixels. Without them, or with ``(5, 2)``, which outline
    no region, the regions are fixed fractions of the crop. With mode ``"full"`` the crop itself is
    returned. Raises ``ValueError`` for a crop or landmarks of another shape or dtype.

    >>> crop = np.zeros((96, 96, 3), np.uint8)
    >>> mask = compose_partial_image(crop, Preprocessing(size=96, partial_image="mask"))
    >>> mask[0, 0].tolist(), mask[40, 48].tolist()
    ([128, 128, 128], [0, 0, 0])
    """
    if landmarks is not None and landmarks.shape not in ((478, 2), (5, 2)):
        raise ValueError(f"expected landmarks of shape (478, 2) or (5, 2), got {landmarks.shape}")
    mesh = landmarks[None] if landmarks is not None and len(landmarks) == 478 else None
    return compose_regions(crop, preprocessing, region_pixels(preprocessing, mesh)[0])


def composed_crop(cut: Cut, preprocessing: Preprocessing) -> UInt8Array:
    """The crop of a face as a network reads it: whole, or composed into a partial image."""
    landmarks = cut.landmarks
    if landmarks is not None:
        landmarks = landmarks * np.float32(preprocessing.size)
    return compose_partial_image(cut.crop, preprocessing, landmarks)


def region_pixels(
    preprocessing: Preprocessing, landmarks: FloatArray | None = None
) -> RegionPixels:
    """Return the regions of ``N`` faces in whole pixels, ``(N, 3, 4)``: left, top, right, bottom.

    ``landmarks`` is ``(N, 478, 2)`` in crop pixels; without them there is one row, of fixed
    regions. A pixel that a region touches belongs to it, so no region is empty.
    """
    bounds = action_unit_bounds(preprocessing, landmarks)
    whole = np.concatenate([np.floor(bounds[..., :2]), np.ceil(bounds[..., 2:])], axis=-1)
    return whole.astype(np.int16)


def compose_regions(
    crop: UInt8Array, preprocessing: Preprocessing, regions: RegionPixels
) -> UInt8Array:
    """Compose a partial image, see :func:`compose_partial_image`, from ``(3, 4)`` known regions."""
    size, mode = preprocessing.size, preprocessing.partial_image
    if crop.dtype != np.uint8 or crop.shape not in ((size, size, 3), (size, size, 1)):
        raise ValueError(
            f"expected a uint8 crop ({size}, {size}, 3 or 1), got {crop.dtype} {crop.shape}"
        )
    if mode == "full":
        return crop
    if preprocessing.color == "gray" and crop.shape[2] == 3:
        # Luma is repeated: one channel is a third of the work, and rounds as in a dataset.
        luma = compose_regions(np.ascontiguousarray(crop[..., :1]), preprocessing, regions)
        return np.repeat(luma, 3, axis=-1)
    if mode == "mask":
        image = np.full_like(crop, BLANK)
        for left, top, right, bottom in regions.tolist():
            image[top:bottom, left:right] = crop[top:bottom, left:right]
        return image
    image = np.empty_like(crop)
    interpolation = INTERPOLATION[preprocessing.interpolation]
    for (left, top, right, bottom), start, end in _strips(preprocessing, regions):
        strip = cv2.resize(
            crop[top:bottom, left:right], (size, end - start), interpolation=interpolation
        )
        image[start:end] = np.asarray(strip, np.uint8).reshape(end - start, size, -1)
    return image


def patches_of(
    matrix: NDArray[np.float64], preprocessing: Preprocessing, landmarks: FloatArray | None = None
) -> tuple[Patch, ...]:
    """Return where in the image the rows of a partial image come from.

    ``matrix`` ``(2, 3)`` maps image pixels to fractions of the whole crop, see
    :class:`~mien.faces.align.Cut`; ``landmarks`` is as in :func:`compose_partial_image`. Modes
    ``"full"`` and ``"mask"`` move nothing and give one patch.
    """
    if preprocessing.partial_image not in _ROWS:
        return (Patch(matrix),)
    mesh = landmarks[None] if landmarks is not None and len(landmarks) == 478 else None
    size, patches = preprocessing.size, []
    for region, start, end in _strips(preprocessing, region_pixels(preprocessing, mesh)[0]):
        left, top, right, bottom = (edge / size for edge in region)
        first, last = start / size, end / size
        stretch = np.array([1 / (right - left), (last - first) / (bottom - top)])
        moved = matrix - [[0, 0, left], [0, 0, top]]
        moved = moved * stretch[:, None] + [[0, 0, 0], [0, 0, first]]
        patches.append(Patch(moved, first, last))
    return tuple(patches)


def _strips(
    preprocessing: Preprocessing, regions: RegionPixels
) -> Iterator[tuple[list[int], int, int]]:
    """Each strip's region (left, top, right, bottom in the crop) and its rows in the stack."""
    shares = _ROWS[preprocessing.partial_image]
    start = height = 0
    for name, share in shares.items():
        height += share
        end = round(preprocessing.size * height / sum(shares.values()))
        yield regions[REGIONS.index(name)].tolist(), start, end
        start = end
