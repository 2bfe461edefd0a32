"""Where a network looks: mean attention maps and mean crops by class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray, IntArray


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
