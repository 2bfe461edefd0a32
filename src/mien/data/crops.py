"""The pixels of a dataset: whole crops as stored, and partial images composed of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.faces.partial_image import RegionPixels, compose_regions, region_pixels
from mien.schema import Preprocessing, UInt8Array

Index = int | np.integer[Any] | slice | NDArray[np.int64]

_MESH = 478 * 2
_ROWS_AT_ONCE = 4096


class Crops:
    """The crops of a dataset: ``(N, S, S, 3)`` uint8 RGB, read from disk when indexed.

    An integer gives one crop ``(S, S, 3)``; a slice or an integer array gives ``(n, S, S, 3)`` in
    that order, always a new array. Gray crops are stored with one channel, which is repeated.
    Pickling carries the path, not the pixels, so loader processes map the file themselves.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stored: UInt8Array = np.load(path, mmap_mode="r", allow_pickle=False)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(N, S, S, 3)``."""
        count, height, width, _ = self._stored.shape
        return (count, height, width, 3)

    def __len__(self) -> int:
        return int(self._stored.shape[0])

    def __getitem__(self, index: Index) -> UInt8Array:
        picked = self.stored(index)
        return np.repeat(picked, 3, axis=-1) if picked.shape[-1] == 1 else picked

    def stored(self, index: Index) -> UInt8Array:
        """Index without repeating the channel of gray crops: ``(..., S, S, 1 or 3)``."""
        return np.array(self._stored[index])

    def composed(self, crops: UInt8Array, index: Index) -> UInt8Array:
        """Compose whole crops of these rows into the images that are read: here, unchanged."""
        return crops

    def __reduce__(self) -> tuple[type[Crops], tuple[Any, ...]]:
        return (Crops, (self.path,))


class PartialCrops(Crops):
    """The crops of a dataset as partial images, which are composed when indexed.

    The regions of all rows are computed once, on first use: 24 bytes per row.
    """

    def __init__(self, path: Path, faces: Path, preprocessing: Preprocessing) -> None:
        super().__init__(path)
        self._faces, self._preprocessing = faces, preprocessing

    def stored(self, index: Index) -> UInt8Array:
        """Index without repeating the channel of gray crops: ``(..., S, S, 1 or 3)``."""
        return self.composed(super().stored(index), index)

    def composed(self, crops: UInt8Array, index: Index) -> UInt8Array:
        """Compose whole crops of these rows, such as augmented ones, into partial images."""
        regions = self._regions[0][index]
        if crops.ndim == 3:
            return compose_regions(crops, self._preprocessing, regions)
        images = np.empty_like(crops)
        for row, crop in enumerate(crops):
            images[row] = compose_regions(crop, self._preprocessing, regions[row])
        return images

    @property
    def fixed(self) -> NDArray[np.bool_]:
        """Rows without 478 landmarks, whose regions are fixed, ``(N,)`` bool."""
        return self._regions[1]

    @cached_property
    def _regions(self) -> tuple[RegionPixels, NDArray[np.bool_]]:
        return read_regions(self._faces, self._preprocessing)

    def __reduce__(self) -> tuple[type[Crops], tuple[Any, ...]]:
        return (PartialCrops, (self.path, self._faces, self._preprocessing))


def read_regions(
    faces: Path, preprocessing: Preprocessing
) -> tuple[RegionPixels, NDArray[np.bool_]]:
    """Regions ``(N, 3, 4)`` of the rows of ``faces.parquet``, and which are fixed ``(N,)``."""
    with pq.ParquetFile(faces) as file:
        fixed = np.ones(file.metadata.num_rows, bool)
        regions = np.repeat(region_pixels(preprocessing), len(fixed), axis=0)
        start = 0
        # Landmarks take 3.8 kB per row, so they are never all in memory.
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=["landmarks"]):
            column = batch.column(0)
            mesh = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False) == _MESH
            if mesh.any() and not column.flatten().null_count:
                values = column.filter(pa.array(mesh)).flatten().to_numpy(zero_copy_only=False)
                landmarks = values.reshape(-1, _MESH // 2, 2) * np.float32(preprocessing.size)
                rows = start + np.flatnonzero(mesh)
                regions[rows], fixed[rows] = region_pixels(preprocessing, landmarks), False
            start += len(mesh)
    return regions, fixed
