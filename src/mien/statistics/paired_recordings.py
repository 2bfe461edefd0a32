"""Is one model of severity better than another? Paired over subjects, and crossed with seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray
from mien.statistics.arrays import subject_numbers
from mien.statistics.baselines import COMPARED, agreement
from mien.statistics.bootstrap import MOST_UNDEFINED, Bootstrap, Interval, bootstrap, intervals
from mien.statistics.paired import ONE_SEED, combined, crossed_interval
from mien.statistics.scores import LEVEL


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
    For one seed percentile intervals over subjects, with the reason that its luck is left out.
    For several, intervals for other seeds *and* other subjects as
    :func:`mien.statistics.paired.crossed_differences` makes them: the squared error is the
    variance of the seeds' differences over S plus the bootstrap variance over subjects of their
    mean. ``ValueError`` for shapes that differ and values that are not finite.

    >>> truth, names = np.array([0.0, 10, 20]), np.array(["a", "b", "c"])
    >>> found = paired_severity_differences(truth, truth + 1, truth - [2.0, 3, 4], names)
    >>> found["mae"].value  # 1 - (2 + 3 + 4) / 3
    -2.0
    """
    ours, theirs = (np.atleast_2d(np.asarray(said, np.float64)) for said in (a, b))
    truth = np.asarray(scores, np.float64)
    if ours.shape != theirs.shape or ours.shape[1:] != truth.shape or truth.shape != subjects.shape:
        raise ValueError(
            f"expected scores and subjects (n,) and two arrays (n,) or (seeds, n), got "
            f"{truth.shape}, {subjects.shape}, {np.shape(a)} and {np.shape(b)}"
        )
    if truth.size == 0 or not all(np.isfinite(values).all() for values in (truth, ours, theirs)):
        raise ValueError("expected finite scores and predictions of at least one recording")
    clusters = subject_numbers(subjects)

    def drawn(said: FloatArray) -> Bootstrap[str]:
        def statistics(weights: FloatArray) -> dict[str, FloatArray]:
            found = agreement(said, truth, weights=weights)
            return {name: found[name] for name in COMPARED}

        return bootstrap(
            statistics,
            truth.size,
            clusters=clusters,
            cluster_name="subject",
            draws=draws,
            seed=seed,
        )

    mine, yours = [drawn(said) for said in ours], [drawn(said) for said in theirs]
    both = combined(mine, yours)
    over_subjects = intervals(both, level=level)
    if len(ours) == 1:
        return {
            name: Interval(found.value, found.low, found.high, found.reason or ONE_SEED)
            for name, found in over_subjects.items()
        }
    crossed = {}
    for name, found in over_subjects.items():
        values = both.drawn[name][np.isfinite(both.drawn[name])]
        if found.value is None or values.size < (1 - MOST_UNDEFINED) * both.drawn[name].size:
            crossed[name] = found
            continue
        by_seed = np.array(
            [own.values[name] - base.values[name] for own, base in zip(mine, yours, strict=True)]
        )
        parts = [(float(by_seed.var(ddof=1)) / len(by_seed), len(by_seed) - 1)]
        reason = ""
        if values.size > 1:
            parts.append((float(values.var(ddof=1)), both.design.units - 1))
        else:
            reason = f"there is one {both.design.unit}: others are not in the interval"
        crossed[name] = crossed_interval(found.value, parts, level=level, reason=reason)
    return crossed
