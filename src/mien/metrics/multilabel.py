"""Metrics of units that are each present or absent, as pure functions of arrays.

As in :mod:`mien.metrics.classification`, ``weights`` ``(B, N)`` give one value for each of their
rows. A value is NaN where the rows, as weighted, are all present or all absent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.labels import ACTION_UNIT_PRESENT
from mien.metrics.classification import FloatArray, grouped_sums, weighted_means
from mien.metrics.metric import Metric, MetricFunction


def presence(targets: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells of ``(N, K)`` targets are annotated, and in which the unit is present."""
    annotated = ~np.isnan(targets)
    return annotated, annotated & (np.nan_to_num(targets) >= ACTION_UNIT_PRESENT)


def binary_metrics(
    present: NDArray[np.bool_],
    probabilities: NDArray[np.floating[Any]],
    *,
    threshold: float = 0.5,
    weights: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """``auc``, ``f1`` and ``accuracy`` of one unit over ``(N,)`` annotated rows.

    A unit is predicted where its probability is at least ``threshold``. F1 is 0 where it is never
    predicted.

    Three rows, present, absent, present, at 0.9, 0.6, 0.4: of the two pairs one is in order; one
    unit is found, one missed, one invented, so F1 is 2 / (2 + 1 + 1).

    >>> values = binary_metrics(np.array([True, False, True]), np.array([0.9, 0.6, 0.4]))
    >>> {name: round(float(value), 3) for name, value in values.items()}
    {'auc': 0.5, 'f1': 0.5, 'accuracy': 0.333}
    """
    w = np.ones((1, present.size)) if weights is None else weights
    predicted = np.asarray(probabilities) >= threshold
    positive, negative = w @ present.astype(float), w @ (~present).astype(float)
    hits, predictions = w @ (present & predicted).astype(float), w @ predicted.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "auc": _pairs_in_order(present, probabilities, w) / (positive * negative),
            "f1": 2 * hits / (predictions + positive),
            "accuracy": weighted_means(w, (present == predicted).astype(float)),
        }
    defined = (positive > 0) & (negative > 0)
    values = {name: np.where(defined, value, np.nan) for name, value in values.items()}
    return values if weights is not None else {name: value[0] for name, value in values.items()}


def _pairs_in_order(
    present: NDArray[np.bool_], probabilities: NDArray[Any], weights: FloatArray
) -> FloatArray:
    """Weighted pairs of a present and an absent row in the right order; ties count half."""
    levels, level = np.unique(probabilities, return_inverse=True)
    positive = grouped_sums(level, levels.size, weights * present)
    negative = grouped_sums(level, levels.size, weights * ~present)
    below = np.cumsum(negative, axis=1) - negative
    pairs: FloatArray = (positive * (below + negative / 2)).sum(1)
    return pairs


def mean_over_units(values: FloatArray) -> FloatArray:
    """Mean of ``(K, ...)`` values over the units that have one; NaN where none has."""
    defined = np.isfinite(values)
    count = defined.sum(0)
    sums = np.where(defined, values, 0.0).sum(0)
    mean: FloatArray = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
    return mean


def _mean_of_units(name: str) -> MetricFunction:
    def measure(targets: NDArray[Any], probabilities: NDArray[Any]) -> float:
        annotated, present = presence(targets)
        values = [
            binary_metrics(present[rows, unit], probabilities[rows, unit])[name]
            for unit, rows in enumerate(annotated.T)
        ]
        # Where no unit is annotated both ways there is no mean; in the log it counts as 0.
        return float(np.nan_to_num(mean_over_units(np.array(values))))

    return measure


ACTION_UNITS = tuple(
    Metric(f"mean_unit_{name}", title, description, "%", True, _mean_of_units(name))
    for name, title, description in (
        ("auc", "Mean AUC", "mean over units of the area under the ROC curve; 50 % is chance"),
        ("f1", "Mean F1", "mean over units of the F1 of their presence, at probability 0.5"),
    )
)
"""Targets ``(N, K)`` in [0, 1], NaN where not annotated, predictions ``(N, K)`` probabilities."""

UNIT_DECISIONS = tuple(
    Metric(f"mean_unit_{name}_calibrated", title, description, "%", True, _mean_of_units(name))
    for name, title, description in (
        ("f1", "Mean F1, calibrated", "mean over units of the F1 at the model's thresholds"),
        ("accuracy", "Mean accuracy, calibrated", "mean over units at the model's thresholds"),
    )
)
"""As :data:`ACTION_UNITS`, of decisions: 1 where a probability reaches the unit's threshold."""
