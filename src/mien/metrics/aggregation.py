"""From the clips of a recording to its one prediction."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray, IntArray

Aggregate = Literal["mean", "median", "trimmed"]


def aggregate_clips(
    values: NDArray[np.floating[Any]], owners: IntArray, count: int, how: Aggregate
) -> FloatArray:
    """One value of each of ``count`` recordings from those of their clips, ``(count,)``.

    ``owners`` ``(n,)`` is the recording of each of the ``(n,)`` values; each has at least one.
    ``trimmed`` is the mean without a quarter of the clips at each end, rounded down.

    >>> aggregate_clips(np.array([1.0, 2, 3, 10]), np.zeros(4, int), 1, "trimmed")
    array([2.5])
    """
    aggregates = np.empty(count)
    for number in range(count):
        clips = np.sort(np.asarray(values, np.float64)[owners == number])
        if not clips.size:
            raise ValueError(f"expected a clip of each recording, got none of number {number}")
        if how == "median":
            aggregates[number] = np.median(clips)
        else:
            cut = len(clips) // 4 if how == "trimmed" else 0
            aggregates[number] = clips[cut : len(clips) - cut].mean()
    return aggregates


def pool_clips(
    values: NDArray[Any], owners: NDArray[np.int64], count: int, how: Aggregate
) -> NDArray[Any]:
    """One row for each of ``count`` recordings from those of their clips, column by column.

    ``values`` are ``(n,)`` or ``(n, K)``, ``owners`` ``(n,)`` say whose each row is. Where the rows
    are distributions, which sum to one, so are the recordings': medians and trimmed means of
    columns are not by themselves.
    """
    if values.ndim == 1:
        return aggregate_clips(values, owners, count, how)
    columns = [aggregate_clips(column, owners, count, how) for column in values.T]
    pooled = np.stack(columns, axis=1)
    distributions = (values >= 0).all() and np.allclose(values.sum(1), 1, atol=1e-4)
    if how == "mean" or not distributions:
        return pooled
    return np.asarray(pooled / pooled.sum(1, keepdims=True))
