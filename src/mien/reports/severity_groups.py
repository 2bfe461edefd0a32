"""Parts of an evaluation of severity: by band, by usable frames, and what an interval covers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics import classification as metrics
from mien.metrics.classification import FloatArray, IntArray
from mien.statistics.bootstrap import Interval, bootstrap, intervals
from mien.statistics.conformal import calibrate
from mien.statistics.recordings import Recordings, SeverityEvaluation
from mien.statistics.scores import LEVEL
from mien.statistics.subjects import calibration_warnings

USABLE_STEPS = (0.5, 0.8, 0.95)
"""Recordings are told apart by the share of their frames that could be used (our choice)."""


def _grouped(
    kept: Recordings, groups: IntArray, count: int, *, seed: int, draws: int
) -> list[dict[str, Any]]:
    """``n``, ``subjects``, ``mae`` and ``bias`` (predicted less true) of each group."""
    said = np.asarray(kept.predictions, np.float64)
    off = said - np.asarray(kept.scores, np.float64)

    def statistics(weights: FloatArray) -> dict[tuple[str, int], FloatArray]:
        found = {}
        for group in range(count):
            own = groups == group
            for name, values in (("mae", np.abs(off)), ("bias", off)):
                found[name, group] = metrics.weighted_means(weights[:, own], values[own])
        return found

    drawn = _intervals(statistics, kept, seed=seed, draws=draws)
    owners = np.arange(len(kept)) if kept.clusters is None else kept.clusters
    return [
        {
            "n": int((groups == group).sum()),
            "subjects": len(np.unique(owners[groups == group])),
            "mae": drawn["mae", group].as_dict(),
            "bias": drawn["bias", group].as_dict(),
        }
        for group in range(count)
    ]


def _bands(evaluation: SeverityEvaluation, values: NDArray[Any]) -> IntArray:
    names = [name for name, _ in evaluation.scale.bands]
    return np.array([names.index(evaluation.scale.band(float(v))) for v in values], np.int64)


def by_band(
    evaluation: SeverityEvaluation, kept: Recordings, *, seed: int, draws: int
) -> list[dict[str, Any]]:
    """The errors in each band of true scores; empty for a scale without bands."""
    bands = evaluation.scale.bands
    if not bands:
        return []
    truth = _bands(evaluation, kept.scores)
    tops = [start - 1 for _, start in bands[1:]] + [evaluation.scale.top]
    found = _grouped(kept, truth, len(bands), seed=seed, draws=draws)
    return [
        {"name": name, "from": start, "to": top} | entry
        for (name, start), top, entry in zip(bands, tops, found, strict=True)
    ]


def by_usable(kept: Recordings, *, seed: int, draws: int) -> list[dict[str, Any]]:
    """The errors by the share of usable frames; empty where no share is known."""
    if kept.usable is None or not np.isfinite(kept.usable).any():
        return []
    edges = (0.0, *USABLE_STEPS, 1.0)
    groups = np.searchsorted(USABLE_STEPS, kept.usable, side="right")
    groups[~np.isfinite(kept.usable)] = len(edges) - 1
    found = _grouped(kept, groups, len(edges) - 1, seed=seed, draws=draws)
    return [
        {"from": low, "below": high} | entry
        for low, high, entry in zip(edges, edges[1:], found, strict=False)
    ]


def confusion(
    evaluation: SeverityEvaluation, kept: Recordings, *, seed: int, draws: int
) -> dict[str, Any]:
    """Bands as they are against bands as predicted, by the nearest whole score."""
    bands = len(evaluation.scale.bands)
    if not bands:
        return {"confusion": [], "confusion_shares": []}
    truth = _bands(evaluation, kept.scores)
    said = _bands(evaluation, np.asarray(kept.predictions))

    def statistics(weights: FloatArray) -> dict[tuple[int, ...], FloatArray]:
        shares = metrics.row_shares(metrics.confusion_matrix(truth, said, bands, weights=weights))
        return {cell: shares[:, *cell] for cell in np.ndindex(bands, bands)}

    drawn = _intervals(statistics, kept, seed=seed, draws=draws)
    return {
        "confusion": metrics.confusion_matrix(truth, said, bands).astype(int).tolist(),
        "confusion_shares": [
            [drawn[row, column].as_dict() for column in range(bands)] for row in range(bands)
        ],
    }


def conformal(
    evaluation: SeverityEvaluation,
    kept: Recordings,
    groups: Mapping[str, NDArray[np.bool_]],
    *,
    coverage: float,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """The interval calibrated on the validation recordings, and how many it covers here."""
    validation = evaluation.validation
    if validation is None:
        reason = "there are no validation recordings to calibrate an interval on"
        entry: dict[str, Any] = {
            "coverage": coverage, "half_width": None, "subjects": 0, "split": None, "reason": reason
        }  # fmt: skip
    else:
        entry = calibrate(
            validation.scores, validation.predictions, validation.subjects, coverage=coverage
        )
    nothing = Interval(None, reason=entry.get("reason", "")).as_dict()
    measured = {"all": nothing} | dict.fromkeys(groups, nothing)
    half = entry["half_width"]
    if half is not None:
        same = evaluation.split == entry["split"]
        off = np.abs(np.asarray(kept.scores, np.float64) - np.asarray(kept.predictions, np.float64))
        covered = (off <= half + 1e-9).astype(np.float64)
        for name, rows in ({"all": np.ones(len(kept), np.bool_)} | dict(groups)).items():
            own, inside = kept.take(rows), covered[rows]
            found = Interval(None, reason="there are no recordings")
            if same:
                found = Interval(None, reason="the interval was calibrated on this very split")
            elif len(own):
                found = _mean(inside, own, seed=seed, draws=draws)
            measured[name] = found.as_dict()
    counts = {"all": len(kept)} | {name: int(rows.sum()) for name, rows in groups.items()}
    return entry | {
        "measured": measured,
        "n": counts,
        "warnings": calibration_warnings(evaluation, kept),
    }


def _intervals(
    statistics: Any, recordings: Recordings, *, seed: int, draws: int
) -> dict[Any, Interval]:
    drawn = bootstrap(
        statistics,
        len(recordings),
        clusters=recordings.clusters,
        cluster_name="subject",
        draws=draws,
        seed=seed,
    )
    return intervals(drawn, level=LEVEL)


def _mean(values: FloatArray, recordings: Recordings, *, seed: int, draws: int) -> Interval:
    return _intervals(
        lambda weights: {"mean": metrics.weighted_means(weights, values)},
        recordings,
        seed=seed,
        draws=draws,
    )["mean"]
