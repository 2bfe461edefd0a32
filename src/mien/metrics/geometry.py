"""The shape of an embedding: how far apart its classes lie, and how much of its space it uses.

Everything here is of unit rows: each row is divided by its length first, and a zero row stays at
the origin. A distance is Euclidean, between 0 and 2, and a mean of distances is their root mean
square: over squares the sum over all pairs follows from sums over rows, exactly and in O(N D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray, IntArray

RESOLUTION = 1e-6
"""Distances up to this are 0: rows that a float32 network meant to be equal differ by as much."""


def spread(embeddings: NDArray[np.floating[Any]]) -> float:
    """Root mean square distance over all pairs of the ``(N, D)`` rows, in [0, 2].

    0 where all rows are alike (a collapsed embedding), about 1.41 for rows in all directions, NaN
    for fewer than two rows. Raises ``ValueError`` for rows that are not finite.

    >>> round(spread(np.array([[1.0, 0], [0, 1], [-1, 0]])), 3)  # sqrt((2 + 2 + 4) / 3)
    1.633
    """
    rows = unit_rows(embeddings)
    if len(rows) < 2:
        return float("nan")
    rows -= rows.mean(0)
    # Twice the variance about the mean, over N (N - 1) pairs in place of N^2.
    root = float(np.sqrt(2 * np.einsum("nd,nd->", rows, rows) / (len(rows) - 1)))
    return root if root > RESOLUTION else 0.0


def effective_rank(embeddings: NDArray[np.floating[Any]]) -> float:
    """How many directions the ``(N, D)`` rows spread over, in [1, D]; 0 for rows all alike.

    The exponential of the entropy of ``p = eigenvalues / their sum`` of the covariance of the unit
    rows. Roy and Vetterli (2007) take the singular values, the square roots of these, of the matrix
    itself; eigenvalues of centered rows weigh a direction by its variance, and neither the mean nor
    the rounding of 500 empty directions counts as rank. Two directions with variances 3 and 1 are
    ``exp(0.562) = 1.75``. NaN without rows; ``ValueError`` for rows that are not finite.
    """
    rows = unit_rows(embeddings)
    if len(rows) == 0:
        return float("nan")
    rows -= rows.mean(0)
    if np.einsum("nd,nd->", rows, rows) <= len(rows) * RESOLUTION**2:
        return 0.0
    # Centered, so float32 is exact enough for an entropy, and half the time.
    small = rows.astype(np.float32)
    gram = small.T @ small if rows.shape[1] <= len(rows) else small @ small.T
    values = np.maximum(np.linalg.eigvalsh(gram.astype(np.float64)), 0)
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def distance_ratio(embeddings: NDArray[np.floating[Any]], targets: IntArray) -> float:
    """Mean distance between rows of two classes over that within a class; 1 is no structure.

    Root mean squares, over all pairs of the unit rows ``(N, D)``: a large class weighs by its
    pairs. ``targets`` is ``(N,)``. NaN where a kind of pair is missing (one class, or classes of
    one row) or all rows are alike; infinite where only the rows of a class are. Raises
    ``ValueError`` for rows that are not finite and shapes that do not fit.

    Two classes, at angles 0 and 90 degrees, and 180 and 270: within ``sqrt(2)``, between
    ``sqrt((4 + 2 + 2 + 4) / 4)``, so the ratio is 1.22.

    >>> rows = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    >>> round(distance_ratio(rows, np.array([0, 0, 1, 1])), 3)
    1.225
    """
    return float(distance_ratios(embeddings, targets)(np.ones((1, len(embeddings))))[0])


def distance_ratios(
    embeddings: NDArray[np.floating[Any]], targets: IntArray
) -> Callable[[FloatArray], FloatArray]:
    """:func:`distance_ratio` as a function of row weights, from ``(B, N)`` to ``(B,)``.

    A pair counts as the product of its rows' weights. A row drawn twice makes no pair with itself,
    which would be at distance 0 only because it was drawn twice. Costs ``B N D`` at a time.
    """
    rows = unit_rows(embeddings)
    if targets.shape != rows.shape[:1]:
        raise ValueError(f"expected targets ({len(rows)},), got {targets.shape}")
    rows -= rows.mean(0) if len(rows) else 0.0
    squares = np.einsum("nd,nd->n", rows, rows)
    rows_of_class = [np.flatnonzero(targets == index) for index in np.unique(targets)]
    means = [rows[members].mean(0) for members in rows_of_class]
    # About the mean of its class, a row of a tight class keeps its digits in float32.
    centered = [
        (rows[members] - mean).astype(np.float32)
        for members, mean in zip(rows_of_class, means, strict=True)
    ]
    lengths = [np.einsum("nd,nd->n", part, part, dtype=np.float64) for part in centered]

    size = rows.shape[1]
    del rows  # The function that is returned holds what it needs, in half the bytes.

    def ratios(weights: FloatArray) -> FloatArray:
        count, paired = weights.sum(1), np.square(weights).sum(1)
        total = np.zeros((len(weights), size))
        within, pairs_within = np.zeros(len(weights)), np.zeros(len(weights))
        for members, mean, part, length in zip(
            rows_of_class, means, centered, lengths, strict=True
        ):
            drawn = weights[:, members]
            n = drawn.sum(1)
            sums = (drawn.astype(np.float32) @ part).astype(np.float64)
            within += np.maximum(n * (drawn @ length) - np.square(sums).sum(1), 0)
            pairs_within += n**2 - np.square(drawn).sum(1)
            total += sums + n[:, None] * mean
        between = np.maximum(count * (weights @ squares) - np.square(total).sum(1) - within, 0)
        pairs_between = count**2 - paired - pairs_within
        return _ratio_of_roots(between, pairs_between, within, pairs_within)

    return ratios


def _ratio_of_roots(
    between: FloatArray, pairs_between: FloatArray, within: FloatArray, pairs_within: FloatArray
) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        # Sums run over ordered pairs of n Q - |S|^2, half of their squared distances.
        far, near = np.sqrt(2 * between / pairs_between), np.sqrt(2 * within / pairs_within)
        far, near = (np.where(root <= RESOLUTION, 0.0, root) for root in (far, near))
        ratio: FloatArray = np.where((pairs_between > 0) & (pairs_within > 0), far / near, np.nan)
    return ratio


def unit_rows(embeddings: NDArray[np.floating[Any]]) -> FloatArray:
    """The ``(N, D)`` rows at length one in float64, a zero row as it is; always a fresh array.

    Raises ``ValueError`` for another number of dimensions and for rows that are not finite.
    """
    if embeddings.ndim != 2:
        raise ValueError(f"expected embeddings (N, D), got {embeddings.shape}")
    rows = np.array(embeddings, np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("expected finite embeddings")
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    rows /= np.where(lengths > 0, lengths, 1.0)[:, None]
    return rows
