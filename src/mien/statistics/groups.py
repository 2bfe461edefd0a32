"""Errors of scores by band and by usable frames, and how many recordings an interval covers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics import classification as metrics
from mien.metrics.classification import FloatArray, IntArray
from mien.scales import Scale
from mien.statistics.bootstrap import Interval, Statistics, bootstrap, intervals
from mien.statistics.recordings import Recordings

USABLE_STEPS = (0.5, 0.8, 0.95)
"""Recordings are grouped by the share of their frames that could be used (our choice)."""


def errors_by_band(
    scale: Scale, recordings: Recordings, *, seed: int, draws: int
) -> list[dict[str, Any]]:
    """The errors in each band of true scores; empty for a scale without bands."""
    if not scale.bands:
        return []
    targets = _bands(scale, recordings.scores)
    tops = [start - 1 for _, start in scale.bands[1:]] + [scale.top]
    entries = _errors_by_group(recordings, targets, len(scale.bands), seed=seed, draws=draws)
    return [
        {"name": name, "from": start, "to": top} | entry
        for (name, start), top, entry in zip(scale.bands, tops, entries, strict=True)
    ]


def errors_by_usable(recordings: Recordings, *, seed: int, draws: int) -> list[dict[str, Any]]:
    """The errors by the share of usable frames; empty where no share is known."""
    if recordings.usable is None or not np.isfinite(recordings.usable).any():
        return []
    edges = (0.0, *USABLE_STEPS, 1.0)
    groups = np.searchsorted(USABLE_STEPS, recordings.usable, side="right")
    groups[~np.isfinite(recordings.usable)] = len(edges) - 1
    entries = _errors_by_group(recordings, groups, len(edges) - 1, seed=seed, draws=draws)
    return [
        {"from": low, "below": high} | entry
        for low, high, entry in zip(edges, edges[1:], entries, strict=False)
    ]


def band_confusion(
    scale: Scale, recordings: Recordings, *, seed: int, draws: int
) -> dict[str, Any]:
    """``confusion`` of true and predicted bands, by the nearest whole score, and its shares."""
    bands = len(scale.bands)
    if not bands:
        return {"confusion": [], "confusion_shares": []}
    targets = _bands(scale, recordings.scores)
    predictions = _bands(scale, np.asarray(recordings.predictions))

    def statistics(weights: FloatArray) -> dict[tuple[int, ...], FloatArray]:
        matrix = metrics.confusion_matrix(targets, predictions, bands, weights=weights)
        shares = metrics.row_shares(matrix)
        return {cell: shares[:, *cell] for cell in np.ndindex(bands, bands)}

    shares = _intervals(statistics, recordings, seed=seed, draws=draws)
    return {
        "confusion": metrics.confusion_matrix(targets, predictions, bands).astype(int).tolist(),
        "confusion_shares": [
            [shares[row, column].as_dict() for column in range(bands)] for row in range(bands)
        ],
    }


def measured_coverage(
    half_width: float,
    recordings: Recordings,
    groups: Mapping[str, NDArray[np.bool_]],
    *,
    seed: int,
    draws: int,
) -> dict[str, Interval]:
    """Share of the recordings within ``half_width`` of their score, of all and by group."""
    errors = np.asarray(recordings.scores, np.float64) - np.asarray(
        recordings.predictions, np.float64
    )
    covered = (np.abs(errors) <= half_width + 1e-9).astype(np.float64)
    shares = {}
    for name, rows in ({"all": np.ones(len(recordings), np.bool_)} | dict(groups)).items():
        members, inside = recordings.take(rows), covered[rows]
        shares[name] = Interval(None, reason="there are no recordings")
        if len(members):
            shares[name] = _mean(inside, members, seed=seed, draws=draws)
    return shares


def _errors_by_group(
    recordings: Recordings, groups: IntArray, count: int, *, seed: int, draws: int
) -> list[dict[str, Any]]:
    """``n``, ``subjects``, ``mae`` and ``bias`` (predicted less true) of each group."""
    errors = np.asarray(recordings.predictions, np.float64) - np.asarray(
        recordings.scores, np.float64
    )

    def statistics(weights: FloatArray) -> dict[tuple[str, int], FloatArray]:
        values = {}
        for group in range(count):
            rows = groups == group
            for name, by_row in (("mae", np.abs(errors)), ("bias", errors)):
                values[name, group] = metrics.weighted_means(weights[:, rows], by_row[rows])
        return values

    drawn = _intervals(statistics, recordings, seed=seed, draws=draws)
    clusters = recordings.clusters
    units = np.arange(len(recordings)) if clusters is None else clusters
    return [
        {
            "n": int((groups == group).sum()),
            "subjects": len(np.unique(units[groups == group])),
            "mae": drawn["mae", group].as_dict(),
            "bias": drawn["bias", group].as_dict(),
        }
        for group in range(count)
    ]


def _bands(scale: Scale, scores: NDArray[Any]) -> IntArray:
    names = [name for name, _ in scale.bands]
    return np.array([names.index(scale.band(float(score))) for score in scores], np.int64)


def _intervals(
    statistics: Statistics[Any], recordings: Recordings, *, seed: int, draws: int
) -> dict[Any, Interval]:
    return intervals(
        bootstrap(statistics, len(recordings), clusters=recordings.clusters, draws=draws, seed=seed)
    )


def _mean(values: FloatArray, recordings: Recordings, *, seed: int, draws: int) -> Interval:
    return _intervals(
        lambda weights: {"mean": metrics.weighted_means(weights, values)},
        recordings,
        seed=seed,
        draws=draws,
    )["mean"]
