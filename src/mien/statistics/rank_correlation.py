"""Does similarity of embeddings follow nearness of scores? A rank correlation over pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray
from mien.statistics.bootstrap import Interval, bootstrap, intervals

MOST_PAIRS = 30_000
"""Of more pairs than these, this many are drawn at random."""

_TIED = 6  # decimals: cosines that agree in a millionth are tied, as in retrieval


def rank_correlation(x: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> float:
    """Spearman's correlation of ``(P,)`` values, tied ones at their mean rank; NaN for a constant.

    A weight counts a value as often as it says, 0 included.

    >>> rank_correlation(np.array([1.0, 2, 3]), np.array([1.0, 3, 2]))
    0.5
    """
    w = np.ones(x.size) if weights is None else weights
    return _correlated([np.unique(values, return_inverse=True)[1] for values in (x, y)], w)


def similarity_rank_correlation(
    embeddings: NDArray[np.floating[Any]] | None,
    scores: NDArray[np.floating[Any]],
    clusters: NDArray[np.int64] | None,
    *,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """Spearman's correlation of the cosine of two recordings with minus the gap of their scores.

    ``other_subjects`` is over pairs of two subjects, ``all_pairs`` over all; an embedding of who
    is on a recording raises the second and not the first. Subjects are drawn: a
    pair of two subjects counts as often as the product of their numbers of times, a pair within
    one as often as its subject; the copies of a subject that is drawn twice make no pairs with
    each other. Each entry has ``pairs`` and, where not all of them are used, ``drawn``.
    """
    n = len(scores)
    if embeddings is None:
        return _nothing("the model gave no embedding")
    if n < 3:
        return _nothing("it takes three recordings")
    units = np.arange(n) if clusters is None else clusters
    vectors = np.asarray(embeddings, np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = vectors / np.where(norms > 0, norms, 1)
    first, second = np.triu_indices(n, 1)
    apart = units[first] != units[second]
    counts = {"other_subjects": int(apart.sum()), "all_pairs": int(first.size)}
    if first.size > MOST_PAIRS:
        some = np.random.default_rng(seed).choice(first.size, MOST_PAIRS, replace=False)
        some.sort()
        first, second, apart = first[some], second[some], apart[some]
    similarity = np.einsum("pd,pd->p", rows[first], rows[second]).round(_TIED)
    nearness = -np.abs(np.asarray(scores, np.float64)[first] - scores[second])
    orders = [np.unique(values, return_inverse=True)[1] for values in (similarity, nearness)]
    orders_apart = [np.unique(order[apart], return_inverse=True)[1] for order in orders]

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        values = {name: np.empty(len(weights)) for name in counts}
        for draw, taken in enumerate(weights):
            w = np.where(apart, taken[first] * taken[second], taken[first])
            values["all_pairs"][draw] = _correlated(orders, w)
            values["other_subjects"][draw] = _correlated(orders_apart, w[apart])
        return values

    drawn = bootstrap(statistics, n, clusters=clusters, draws=draws, seed=seed)
    reasons = {
        "other_subjects": _why(similarity[apart]),
        "all_pairs": _why(similarity),
    }
    used = {"other_subjects": int(apart.sum()), "all_pairs": int(first.size)}
    entries: dict[str, Any] = {}
    for name, correlation in intervals(drawn).items():
        if correlation.value is None:
            correlation = Interval(None, reason=reasons[name])
        entries[name] = correlation.as_dict() | {"pairs": counts[name]}
        if used[name] < counts[name]:
            entries[name]["drawn"] = used[name]
    return entries


def _nothing(reason: str) -> dict[str, Any]:
    entry = Interval(None, reason=reason).as_dict() | {"pairs": 0}
    return {"other_subjects": dict(entry), "all_pairs": dict(entry)}


def _why(similarity: FloatArray) -> str:
    if similarity.size < 2:
        return "it takes two pairs"
    alike = "similarity" if np.ptp(similarity) == 0 else "gap of scores"
    return f"every {alike} is the same"


def _correlated(orders: Sequence[NDArray[np.int64]], weights: FloatArray) -> float:
    """Spearman's correlation of two variables given by the rank order of their values."""
    total = weights.sum()
    if total == 0:
        return float("nan")
    x, y = (_ranks(order, weights, total) for order in orders)
    spread = (weights @ x**2) * (weights @ y**2)
    # Ranks are halves of whole numbers: a constant's spread is rounding only.
    if spread <= (1e-9 * total) ** 2:
        return float("nan")
    return float(np.clip(weights @ (x * y) / np.sqrt(spread), -1, 1))


def _ranks(order: NDArray[np.int64], weights: FloatArray, total: float) -> FloatArray:
    """Mean ranks less their mean, each value counted by its weight."""
    group = np.bincount(order, weights)
    ranks: FloatArray = (np.cumsum(group) - group / 2)[order]
    return ranks - weights @ ranks / total
