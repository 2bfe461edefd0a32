"""Is one model of severity better than another? Paired over subjects, and crossed with seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray
from mien.metrics.regression import agreement
from mien.statistics.baselines import COMPARED
from mien.statistics.bootstrap import LEVEL, Bootstrap, Interval, bootstrap
from mien.statistics.paired import crossed_run_differences
from mien.statistics.subjects import subject_numbers


def paired_severity_differences(
    scores: NDArray[np.floating[Any]],
    a: NDArray[np.floating[Any]],
    b: NDArray[np.floating[Any]],
    subjects: NDArray[Any],
    *,
    seed: int = 0,
    draws: int = 1000,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """``a - b`` in ``mae``, ``rmse`` and ``ccc`` of the same recordings; below 0 a has less error.

    Parameters
    ----------
    scores, subjects
        ``(n,)`` finite true scores and names, "" for an unknown subject. Draws take subjects.
    a, b
        ``(n,)`` predictions, or ``(S, n)`` of S seeds, paired in order. Of several seeds each
        measure is taken of every run alone, then averaged: predictions are never fused.
    seed, draws
        Of the bootstrap.

    Returns
    -------
    Intervals as :func:`mien.statistics.paired.crossed_run_differences` makes them. ``ValueError``
    for shapes that differ and values that are not finite.

    >>> scores, names = np.array([0.0, 10, 20]), np.array(["a", "b", "c"])
    >>> differences = paired_severity_differences(scores, scores + 1, scores - [2.0, 3, 4], names)
    >>> differences["mae"].value  # 1 - (2 + 3 + 4) / 3
    -2.0
    """
    first, second = (np.atleast_2d(np.asarray(values, np.float64)) for values in (a, b))
    targets = np.asarray(scores, np.float64)
    shapes = (first.shape[1:], targets.shape, subjects.shape)
    if first.shape != second.shape or len(set(shapes)) > 1:
        raise ValueError(
            f"expected scores and subjects (n,) and two arrays (n,) or (seeds, n), got "
            f"{targets.shape}, {subjects.shape}, {np.shape(a)} and {np.shape(b)}"
        )
    if targets.size == 0 or not all(np.isfinite(v).all() for v in (targets, first, second)):
        raise ValueError("expected finite scores and predictions of at least one recording")
    clusters = subject_numbers(subjects)

    def drawn(predictions: FloatArray) -> Bootstrap[str]:
        def statistics(weights: FloatArray) -> dict[str, FloatArray]:
            values = agreement(predictions, targets, weights=weights)
            return {name: values[name] for name in COMPARED}

        return bootstrap(statistics, targets.size, clusters=clusters, draws=draws, seed=seed)

    return crossed_run_differences(
        [drawn(predictions) for predictions in first],
        [drawn(predictions) for predictions in second],
        level=level,
    )
