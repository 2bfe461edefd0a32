"""Other crops of one photo: looked for by a model's embeddings, confirmed by the pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.audit.duplicates import gray_picture
from mien.audit.hashing import IntArray
from mien.schema import FloatArray, UInt8Array

NEIGHBORS = 3
"""With how many of the nearest embeddings in its part, and in the others, a row is compared."""
LEAST_INNER_CORRELATION = 0.95
"""The least correlation of the middle of a crop with a place in another (our choice)."""
LEAST_RANK = 0.997
"""Of random pairs of rows, the share whose embeddings have to be farther apart (our choice)."""
SCALES = (0.8, 0.89, 1.0, 1.12, 1.25)
"""How much larger a face may be in one crop than in the other (our choice)."""

_WIDTH, _FITTED = 128, 4096
_AT_ONCE = 1 << 25  # products in one step
_MARGIN = 0.19  # of a picture, outside of its middle
_SIDES, _LEAST = (32, 64), (0.87, LEAST_INNER_CORRELATION)  # a small picture rules most pairs out
_SAMPLE, _SEED = 100_000, 0


class Embeddings:
    """Embeddings of many rows in 128 half-precision numbers each.

    Unit rows are projected onto the main directions of the first 4,096 of them, which changes
    their products little: duplicates stay among the nearest.
    """

    def __init__(self) -> None:
        self._waiting: list[FloatArray] = []
        self._directions: NDArray[np.float32] | None = None
        self._parts: list[NDArray[np.float16]] = []

    def add(self, embeddings: FloatArray) -> None:
        """Add rows ``(n, D)``."""
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        self._waiting.append(embeddings / np.maximum(lengths, 1e-12))
        if self._directions is not None or sum(map(len, self._waiting)) >= _FITTED:
            self._project()

    def rows(self) -> NDArray[np.float16]:
        """All rows that were added, ``(N, 128)`` or narrower."""
        if self._waiting:
            self._project()
        return np.concatenate(self._parts) if self._parts else np.zeros((0, 1), np.float16)

    def _project(self) -> None:
        rows = np.concatenate(self._waiting)
        if self._directions is None:
            _, vectors = np.linalg.eigh(rows.T @ rows)
            self._directions = np.asarray(vectors[:, ::-1][:, :_WIDTH], np.float32)
        self._parts.append((rows @ self._directions).astype(np.float16))
        self._waiting.clear()


def nearest_pairs(embeddings: NDArray[Any], parts: IntArray) -> IntArray:
    """Pairs of each row with the nearest of its part and of the others, ``(M, 2)``, once each.

    ``embeddings`` ``(N, D)`` and ``parts`` ``(N,)``. They are at least as near as
    :data:`LEAST_RANK` says. All products are computed, a block at a time, so time grows with the
    square of the rows and memory does not.
    """
    if len(parts) < 2:
        return np.zeros((0, 2), np.int64)
    first, second = np.random.default_rng(_SEED).integers(0, len(parts), (2, _SAMPLE))
    chance = (embeddings[first].astype(np.float32) * embeddings[second]).sum(axis=1)
    least = float(np.quantile(chance[first != second], LEAST_RANK))
    order = np.argsort(parts, kind="stable")
    sorted_rows = embeddings[order].astype(np.float32)
    bounds = np.flatnonzero(np.diff(parts[order], prepend=-1, append=-1))
    keys = []
    for begin, end in pairwise(bounds.tolist()):
        for start in range(begin, end, max(1, _AT_ONCE // len(order))):
            stop = min(end, start + max(1, _AT_ONCE // len(order)))
            products = sorted_rows[start:stop] @ sorted_rows.T
            products[np.arange(stop - start), np.arange(start, stop)] = -np.inf
            for row, other in _greatest(products, slice(begin, end), least):
                first, second = order[start + row], order[other]
                keys.append(np.minimum(first, second) * len(order) + np.maximum(first, second))
    pairs = np.unique(np.concatenate(keys)) if keys else np.zeros(0, np.int64)
    return np.stack(np.divmod(pairs, max(1, len(order))), axis=1)


def _greatest(
    products: FloatArray, part: slice, least: float
) -> Iterator[tuple[IntArray, IntArray]]:
    """The columns with each row's greatest products of ``least`` or more: in ``part``, and out."""
    rows = np.arange(len(products))
    for columns in (part, slice(None)):
        for _ in range(NEIGHBORS):
            best = products[:, columns].argmax(axis=1) + (columns.start or 0)
            near = products[rows, best] >= least
            yield rows[near], best[near]
            products[rows, best] = -np.inf
        products[:, part] = -np.inf


def recropped_pairs(
    pairs: IntArray, crop_of: Callable[[int], UInt8Array]
) -> tuple[IntArray, NDArray[np.float64]]:
    """The pairs that show one photo, ``(K, 2)``, and how well their pixels correlate.

    The middle of the second crop of a pair has to fit into the first one somewhere, at one of
    several scales, as it is or mirrored. Pairs of one first crop are best adjacent.
    """
    correlations = np.zeros(len(pairs))
    row, wholes = -1, list[_Whole]()
    for number, (first, second) in enumerate(pairs.tolist()):
        if first != row:
            crop = crop_of(first)
            row, wholes = first, [_whole(crop, side) for side in _SIDES]
        crop = crop_of(second)
        for side, whole, least in zip(_SIDES, wholes, _LEAST, strict=True):
            correlations[number] = _fit(gray_picture(crop, side), whole)
            if correlations[number] < least:
                correlations[number] = 0
                break
    alike = correlations > 0
    return pairs[alike], correlations[alike]


_Whole = list[UInt8Array]


def _whole(crop: UInt8Array, side: int) -> _Whole:
    """A crop in gray, of ``side`` pixels at each of the scales, as it is and mirrored."""
    scaled = [gray_picture(crop, round(side * scale)) for scale in SCALES]
    return [*scaled, *(np.ascontiguousarray(each[:, ::-1]) for each in scaled)]


def _fit(second: UInt8Array, whole: _Whole) -> float:
    """The best correlation of the middle of a picture with a place in another, in [-1, 1]."""
    margin = round(_MARGIN * len(second))
    inner = np.ascontiguousarray(second[margin:-margin, margin:-margin])
    fits = (cv2.matchTemplate(each, inner, cv2.TM_CCOEFF_NORMED).max() for each in whole)
    return min(1.0, max(map(float, fits)))
