"""Bootstrap intervals that respect subjects."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray

Key = TypeVar("Key", bound=Hashable)
Statistics = Callable[[FloatArray], Mapping[Key, FloatArray]]
"""From ``(B, n)`` row weights to ``(B,)`` values by name, NaN where a value is undefined."""

LEVEL = 0.95
"""Coverage of the intervals of reports and comparisons."""

MOST_UNDEFINED = 0.05
"""A statistic that is undefined in more than this share of the draws gets no interval."""

FEW_CLUSTERS = 20
"""Percentile intervals from fewer clusters than this are known to be too narrow."""

_WEIGHTS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A value with its interval; what is None or meaningless is explained in ``reason``."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """``value``, ``low`` and ``high`` for a document, and ``reason`` where there is one."""
        document: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        return document | ({"reason": self.reason} if self.reason else {})


def bootstrap_intervals(
    statistics: Statistics[Key],
    n: int,
    *,
    clusters: NDArray[Any] | None = None,
    cluster_name: str = "subject",
    draws: int = 1000,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[Key, Interval]:
    """Percentile bootstrap of several statistics at once.

    Each draw takes as many clusters as there are, with replacement, and each brings all its
    rows; without ``clusters`` the rows are drawn. A draw reaches ``statistics`` as the number of
    times that each row was taken, so the work the statistics share is done once and in bulk.

    Parameters
    ----------
    statistics
        From weights ``(B, n)`` to ``(B,)`` values by name; the plain value is its answer to ones.
    n
        Number of rows, at least 1.
    clusters, cluster_name
        ``(n,)`` cluster of each row, or None, and what the reasons call one.
    draws, level, seed
        Number of draws, coverage in (0, 1), and the seed; the global generators are not touched.

    Returns
    -------
    An :class:`Interval` for each name. ``low`` and ``high`` are None, with a reason, when there
    is one cluster only or the statistic is undefined in more than 5 % of the draws (few clusters
    carry it); draws in which it is undefined are otherwise passed over.

    >>> values = np.array([0.0, 1.0, 1.0, 1.0])
    >>> mean = lambda weights: {"mean": weights @ values / weights.sum(1)}
    >>> bootstrap_intervals(mean, 4)["mean"]
    Interval(value=0.75, low=0.25, high=1.0, reason='')
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level in (0, 1), got {level}")
    drawn = bootstrap(
        statistics, n, clusters=clusters, cluster_name=cluster_name, draws=draws, seed=seed
    )
    return intervals(drawn, level=level)


class Design(NamedTuple):
    """What makes two bootstraps take the same rows in each draw."""

    n: int
    units: int
    unit: str
    draws: int
    seed: int


@dataclass(frozen=True, eq=False)
class Bootstrap(Generic[Key]):
    """Statistics by name: their ``values``, and ``drawn`` ``(draws,)`` values of each.

    ``drawn`` is empty where there is one unit only, so that nothing can be resampled.
    """

    values: Mapping[Key, float]
    drawn: Mapping[Key, FloatArray]
    design: Design


def bootstrap(
    statistics: Statistics[Key],
    n: int,
    *,
    clusters: NDArray[Any] | None = None,
    cluster_name: str = "subject",
    draws: int = 1000,
    seed: int = 0,
) -> Bootstrap[Key]:
    """The draws of :func:`bootstrap_intervals`, for differences of what was drawn alike."""
    if n < 1 or draws < 1:
        raise ValueError(f"expected n and draws of at least 1, got {n}, {draws}")
    if clusters is not None and clusters.shape != (n,):
        raise ValueError(f"expected clusters of shape ({n},), got {clusters.shape}")
    values = {name: float(value[0]) for name, value in statistics(np.ones((1, n))).items()}
    row_cluster = None if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = n if row_cluster is None else int(row_cluster.max()) + 1
    design = Design(n, units, "row" if row_cluster is None else cluster_name, draws, seed)
    if units == 1:
        return Bootstrap(values, {name: np.empty(0) for name in values}, design)

    rng = np.random.default_rng(seed)
    drawn: dict[Key, list[FloatArray]] = {name: [] for name in values}
    at_once = max(1, _WEIGHTS_AT_ONCE // n)
    for start in range(0, draws, at_once):
        weights = np.empty((min(at_once, draws - start), units))
        for row in weights:
            row[:] = np.bincount(rng.integers(0, units, units), minlength=units)
        for name, value in statistics(
            weights if row_cluster is None else weights[:, row_cluster]
        ).items():
            drawn[name].append(value)
    return Bootstrap(values, {name: np.concatenate(parts) for name, parts in drawn.items()}, design)


def intervals(drawn: Bootstrap[Key], *, level: float = LEVEL) -> dict[Key, Interval]:
    """The percentile interval of each statistic that was drawn."""
    if drawn.design.units == 1:
        reason = f"there is one {drawn.design.unit}, so nothing to resample"
        return {name: _without_interval(value, reason) for name, value in drawn.values.items()}
    return {
        name: _interval(value, drawn.drawn[name], level, drawn.design.unit)
        for name, value in drawn.values.items()
    }


def _without_interval(value: float, reason: str) -> Interval:
    if np.isfinite(value):
        return Interval(value, reason=reason)
    return Interval(None, reason="not defined for these rows")


def _interval(value: float, drawn: FloatArray, level: float, unit: str) -> Interval:
    defined = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or 1 - defined.size / drawn.size > MOST_UNDEFINED:
        return _without_interval(value, f"too few {unit}s carry it for an interval")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    # All draws alike (every row right) is no certainty, only more than this method can see.
    alike = f"the same in every draw; more {unit}s might differ" if np.ptp(defined) == 0 else ""
    return Interval(value, float(low), float(high), alike)
