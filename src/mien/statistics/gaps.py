"""Gaps between groups of rows: a mean within a group less that of all others, and a test of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray
from mien.statistics.bootstrap import Interval, bootstrap, intervals

PERMUTATIONS = 1999
FEW_ROWS, FEW_SUBJECTS = 30, 10
"""A group with fewer is called small and is not tested (our choice)."""

_NUMBERS_AT_ONCE = 2_000_000


def group_means(
    values: FloatArray,
    members: NDArray[np.bool_],
    *,
    clusters: NDArray[Any] | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> tuple[list[Interval], list[Interval]]:
    """Of each group the mean, and its gap: that mean less the mean of all other rows.

    Parameters
    ----------
    values
        ``(N,)`` a score of each row.
    members
        ``(N, G)`` which rows are in which group.
    clusters, seed, draws
        Of the bootstrap; see :func:`mien.statistics.bootstrap.bootstrap_intervals`.
    """
    inside = members.astype(np.float64)

    def statistics(weights: FloatArray) -> dict[tuple[str, int], FloatArray]:
        n, total = weights @ inside, weights @ (inside * values[:, None])
        others = weights.sum(1, keepdims=True) - n
        rest = (weights @ values)[:, None] - total
        with np.errstate(divide="ignore", invalid="ignore"):
            means = total / n
            gaps = means - rest / others
        groups = range(inside.shape[1])
        return {
            **{("mean", group): means[:, group] for group in groups},
            **{("gap", group): gaps[:, group] for group in groups},
        }

    spread = intervals(
        bootstrap(statistics, len(values), clusters=clusters, draws=draws, seed=seed)
    )
    groups = range(inside.shape[1])
    return [spread["mean", group] for group in groups], [spread["gap", group] for group in groups]


def gap_test(
    values: FloatArray,
    inside: NDArray[np.bool_],
    *,
    clusters: NDArray[Any] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float:
    """The two-sided p of a gap by permutation: how often chance gives one as large.

    Where each cluster is in the group or outside of it as a whole, as with sex and subjects, whole
    clusters change places, so that rows of one subject do not pass for independent ones.
    Otherwise, as with angles, rows change places within their cluster. ``values`` and ``inside``
    are ``(N,)``; both sides need a row.

    >>> values = np.repeat([1.0, 0.0], 20)
    >>> gap_test(values, values > 0, permutations=99)
    0.01
    """
    if not inside.any() or inside.all():
        raise ValueError("expected rows inside and outside of the group, got one of these only")
    sums, counts, labels, strata = _units(values, inside, clusters)
    order = np.argsort(strata, kind="stable")
    sums, counts, labels, strata = sums[order], counts[order], labels[order], strata[order]
    rng = np.random.default_rng(seed)
    drawn = []
    at_once = max(1, _NUMBERS_AT_ONCE // len(labels))
    for start in range(0, permutations, at_once):
        rows = min(at_once, permutations - start)
        # Sorted by stratum and chance: each stratum stays in its place and is shuffled.
        places = np.argsort(strata + rng.random((rows, len(labels))), axis=1)
        drawn.append(_gaps(labels[places], sums, counts))
    chance = np.concatenate(drawn)
    center = chance.mean()
    observed = abs(float(_gaps(labels[None], sums, counts)[0]) - center)
    as_large = int((np.abs(chance - center) >= observed - 1e-12).sum())
    return (1 + as_large) / (1 + permutations)


def _units(
    values: FloatArray, inside: NDArray[np.bool_], clusters: NDArray[Any] | None
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_], NDArray[np.int64]]:
    """What changes places: the sum, count, label and stratum of each cluster or each row."""
    ones = np.ones(len(values))
    if clusters is None:
        return values.astype(np.float64), ones, inside, np.zeros(len(values), np.int64)
    numbers = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
    counts = np.bincount(numbers).astype(np.float64)
    of_group = np.bincount(numbers, weights=inside).astype(np.float64)
    if ((of_group == 0) | (of_group == counts)).all():
        sums = np.bincount(numbers, weights=values).astype(np.float64)
        return sums, counts, of_group > 0, np.zeros(len(counts), np.int64)
    return values.astype(np.float64), ones, inside, numbers


def _gaps(labels: NDArray[np.bool_], sums: FloatArray, counts: FloatArray) -> FloatArray:
    """The gap under each row of ``(B, U)`` labels, ``(B,)``."""
    chosen = labels.astype(np.float64)
    total, n = chosen @ sums, chosen @ counts
    gaps: FloatArray = total / n - (sums.sum() - total) / (counts.sum() - n)
    return gaps
