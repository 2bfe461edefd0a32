"""The metrics of each head by name: how each is titled, its unit, and which direction is better.

The first metric of a head selects the epoch by default. Reports and comparisons take names, titles
and units from here, so each is spelled once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics import classification, geometry, regression, retrieval
from mien.metrics.metric import Metric, MetricFunction

Array = NDArray[Any]


def by_name(*groups: Iterable[Metric]) -> dict[str, Metric]:
    """Metrics by their name, in order; ``ValueError`` where two share one."""
    metrics = [metric for group in groups for metric in group]
    named = {metric.name: metric for metric in metrics}
    if len(named) < len(metrics):
        raise ValueError(f"expected distinct names, got {[metric.name for metric in metrics]}")
    return named


def _of_confusion(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> MetricFunction:
    def measure(targets: Array, probabilities: Array) -> float:
        classes = probabilities.shape[1]
        return float(
            function(classification.confusion_matrix(targets, probabilities.argmax(1), classes))
        )

    return measure


def _calibration_error(targets: Array, probabilities: Array) -> float:
    bins = classification.reliability(targets, probabilities)
    return classification.expected_calibration_error(bins)


def _log_loss(targets: Array, probabilities: Array) -> float:
    return float(classification.negative_log_likelihoods(targets, probabilities).mean())


EXPRESSION = (
    Metric(
        "accuracy",
        "Accuracy",
        "rows whose most probable class is the target",
        "%",
        True,
        _of_confusion(classification.accuracy),
    ),
    Metric(
        "mean_class_accuracy",
        "Mean-class accuracy",
        "mean recall of the classes that have rows",
        "%",
        True,
        _of_confusion(classification.mean_class_accuracy),
    ),
    Metric(
        "macro_f1",
        "Macro F1",
        "mean F1 of the classes that have rows",
        "%",
        True,
        _of_confusion(classification.macro_f1),
    ),
    Metric(
        "ece",
        "Calibration error",
        "gap between confidence and accuracy; 0 is best",
        "%",
        False,
        _calibration_error,
    ),
    Metric("nll", "Log loss", "nats per row; 0 is best", "nats", False, _log_loss),
)
"""Targets ``(N,)`` classes, predictions ``(N, C)`` probabilities."""


def classification_metrics(targets: Array, probabilities: Array) -> dict[str, float]:
    """The metrics :data:`EXPRESSION` of ``(N,)`` classes and ``(N, C)`` probabilities, N > 0.

    >>> classification_metrics(np.array([0, 1]), np.eye(2))["macro_f1"]
    1.0
    """
    if targets.size == 0:
        raise ValueError("expected at least one row, got none")
    return {metric.name: metric.function(targets, probabilities) for metric in EXPRESSION}


def _vote_agreement(votes: Array, probabilities: Array) -> float:
    return float(classification.vote_agreements(votes, probabilities.argmax(1)).mean())


def _vote_divergence(votes: Array, probabilities: Array) -> float:
    return float(classification.vote_divergences(votes, probabilities).mean())


VOTES = (
    Metric(
        "vote_agreement",
        "Vote agreement",
        "share of the annotators' votes for the predicted class, averaged over rows",
        "%",
        True,
        _vote_agreement,
    ),
    Metric(
        "vote_kl",
        "Vote divergence",
        "nats from votes to probabilities; 0 is best",
        "nats",
        False,
        _vote_divergence,
    ),
)
"""Targets ``(N, C)`` votes, predictions ``(N, C)`` probabilities."""


def _precision_at_1(targets: Array, embeddings: Array) -> float:
    return float(retrieval.retrieve(embeddings, targets).precision_at_1.mean())


def _map_at_r(targets: Array, embeddings: Array) -> float:
    return float(retrieval.retrieve(embeddings, targets).map_at_r.mean())


def _distance_ratio(targets: Array, embeddings: Array) -> float:
    return geometry.distance_ratio(embeddings, targets)


EMBEDDING = (
    Metric(
        "precision_at_1",
        "Precision at 1",
        "rows whose nearest other row is of their class",
        "%",
        True,
        _precision_at_1,
    ),
    Metric(
        "map_at_r",
        "MAP at R",
        "mean average precision over the R nearest rows, R being the others of a class",
        "%",
        True,
        _map_at_r,
    ),
    Metric(
        "distance_ratio",
        "Distance ratio",
        "distance between classes over distance within; 1 is no structure",
        "",
        True,
        _distance_ratio,
    ),
)
"""Targets ``(N,)`` classes, predictions ``(N, D)`` embeddings."""


def _agreement_of(name: str, *columns: int) -> MetricFunction:
    def measure(targets: Array, predictions: Array) -> float:
        values = [
            float(regression.agreement(predictions[:, column], targets[:, column])[name])
            for column in columns
        ]
        # Where both are one constant there is no concordance, and it counts as 0, as in the loss.
        return float(np.nan_to_num(sum(values) / len(values)))

    return measure


def _sign_agreement_of(column: int) -> MetricFunction:
    def measure(targets: Array, predictions: Array) -> float:
        return float(regression.sign_agreement(predictions[:, column], targets[:, column]))

    return measure


_OF_DIMENSION = (
    ("ccc", "CCC", "Lin's concordance; 1 is best, a constant has 0", "", True),
    ("pcc", "PCC", "Pearson's correlation; 1 is best", "", True),
    ("rmse", "RMSE", "root mean squared error on the scale from -1 to 1; 0 is best", "", False),
    ("mae", "MAE", "mean absolute error on the scale from -1 to 1; 0 is best", "", False),
    ("sagr", "SAGR", "share of rows whose prediction has the sign of the target", "%", True),
)

VALENCE_AROUSAL = (
    Metric(
        "mean_ccc",
        "Mean CCC",
        "mean of the concordances of valence and arousal; 1 is best",
        "",
        True,
        _agreement_of("ccc", 0, 1),
    ),
    *(
        Metric(
            f"{name}_{dimension}",
            f"{title} of {dimension}",
            description,
            unit,
            greater,
            _sign_agreement_of(column) if name == "sagr" else _agreement_of(name, column),
        )
        for name, title, description, unit, greater in _OF_DIMENSION
        for column, dimension in enumerate(regression.DIMENSIONS)
    ),
)
"""Targets and predictions ``(N, 2)``. The first three are concordances."""


def _scalar_agreement(name: str) -> MetricFunction:
    def measure(targets: Array, predictions: Array) -> float:
        # A constant has no correlation; in the log of training it counts as none.
        return float(np.nan_to_num(regression.agreement(predictions, targets)[name]))

    return measure


SEVERITY = tuple(
    Metric(name, title, description, unit, greater, _scalar_agreement(name))
    for name, title, description, unit, greater in (
        ("mae", "MAE", "mean absolute error in points of the scale; 0 is best", "points", False),
        (
            "rmse",
            "RMSE",
            "root mean squared error in points of the scale; large errors weigh more",
            "points",
            False,
        ),
        ("pcc", "PCC", "Pearson's correlation; 1 is best", "", True),
        ("ccc", "CCC", "Lin's concordance; 1 is best, a constant has 0", "", True),
    )
)
"""Targets and predictions ``(N,)`` in points of a scale."""
