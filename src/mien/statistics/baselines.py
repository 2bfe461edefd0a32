"""Predicted against true scores, and against what needs no look at the face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.metrics.catalog import SEVERITY, by_name
from mien.metrics.classification import FloatArray
from mien.metrics.regression import agreement
from mien.statistics.bootstrap import Bootstrap, Interval, bootstrap, intervals
from mien.statistics.paired import paired_differences, verdict_of_interval
from mien.statistics.recordings import Recordings
from mien.statistics.subjects import count_subjects

METRICS = by_name(SEVERITY)
COMPARED = ("mae", "rmse", "ccc")
"""Metrics whose difference to a baseline is given; a constant has no correlation."""

BASELINES = {
    "mean": "always predicting the mean score of the training recordings",
    "median": "always predicting the median score of the training recordings",
    "subject": (
        "knowing only the subject (the mean score of the same subject's other recordings in "
        "training; where there are none, the training mean)"
    ),
}
"""What each baseline predicts for a recording; none of them looks at it."""


class ScorePredictions(NamedTuple):
    """Predictions for n recordings: ``(n,)`` by name, the model's under ``model``.

    ``from_subject`` ``(n,)`` marks recordings whose subject has others in training.
    """

    scores: FloatArray
    by_name: Mapping[str, FloatArray]
    from_subject: NDArray[np.bool_]
    clusters: NDArray[np.int64] | None

    def take(self, rows: NDArray[Any]) -> ScorePredictions:
        """Some of the recordings."""
        return ScorePredictions(
            self.scores[rows],
            {name: values[rows] for name, values in self.by_name.items()},
            self.from_subject[rows],
            None if self.clusters is None else self.clusters[rows],
        )


def baseline_predictions(recordings: Recordings, training: Recordings) -> ScorePredictions:
    """The model's predictions and, where a training score is known, each of :data:`BASELINES`.

    A recording that is itself in training (by its id) does not help to predict its own score in
    ``subject``.
    """
    if recordings.predictions is None:
        raise ValueError("expected recordings with predictions, got none")
    n = len(recordings)
    predictions = {"model": np.asarray(recordings.predictions, np.float64)}
    from_subject = np.zeros(n, np.bool_)
    scored = training.take(np.isfinite(training.scores))
    if len(scored):
        scores = np.asarray(scored.scores, np.float64)
        of_subject = np.full(n, scores.mean())
        for row in range(n):
            subject = recordings.subjects[row]
            others = (scored.subjects == subject) & (scored.ids != recordings.ids[row])
            if subject and others.any():
                of_subject[row], from_subject[row] = scores[others].mean(), True
        predictions["mean"] = np.full(n, scores.mean())
        predictions["median"] = np.full(n, np.median(scores))
        predictions["subject"] = of_subject
    return ScorePredictions(
        np.asarray(recordings.scores, np.float64), predictions, from_subject, recordings.clusters
    )


def measure_scores(predictions: ScorePredictions, *, seed: int, draws: int) -> dict[str, Any]:
    """``n``, ``subjects``, ``metrics`` of the model, and ``baselines`` with differences to each.

    A difference is the model's less the baseline's, paired: a draw takes the same subjects for
    both. Its ``verdict`` is better, worse or no difference shown, by whether the interval holds 0.
    """
    n = len(predictions.scores)
    entry: dict[str, Any] = {"n": n, "subjects": count_subjects(predictions.clusters)}
    if n == 0:
        nothing = Interval(None, reason="there are no recordings").as_dict()
        return entry | {"metrics": dict.fromkeys(METRICS, nothing), "baselines": {}}
    drawn = {
        name: draw_agreement(
            values, predictions.scores, predictions.clusters, seed=seed, draws=draws
        )
        for name, values in predictions.by_name.items()
    }
    entry["metrics"] = _metrics(predictions, "model", drawn["model"])
    entry["baselines"] = {}
    for name in BASELINES:
        if name not in drawn:
            continue
        differences = paired_differences(drawn["model"], drawn[name])
        entry["baselines"][name] = {
            "metrics": _metrics(predictions, name, drawn[name]),
            "differences": {key: differences_entry(key, differences[key]) for key in COMPARED},
        }
    if "subject" in entry["baselines"]:
        entry["baselines"]["subject"]["known"] = int(predictions.from_subject.sum())
    return entry


def differences_entry(metric: str, difference: Interval) -> dict[str, Any]:
    """A difference in a metric for a document, with the verdict that its interval gives."""
    greater = METRICS[metric].greater_is_better
    verdict = verdict_of_interval(difference, greater_is_better=greater)
    return difference.as_dict() | {"verdict": verdict}


def draw_agreement(
    predictions: FloatArray,
    scores: FloatArray,
    clusters: NDArray[np.int64] | None,
    *,
    seed: int,
    draws: int,
) -> Bootstrap[str]:
    """The bootstrap of :func:`~mien.metrics.regression.agreement` over subjects."""
    return bootstrap(
        lambda weights: agreement(predictions, scores, weights=weights),
        len(scores),
        clusters=clusters,
        draws=draws,
        seed=seed,
    )


def _metrics(predictions: ScorePredictions, name: str, drawn: Bootstrap[str]) -> dict[str, Any]:
    values = intervals(drawn)
    pairs = (("prediction", predictions.by_name[name]), ("score", predictions.scores))
    constant = [what for what, array in pairs if np.ptp(array) == 0]
    for key in ("pcc", "ccc"):
        if values[key].value is None and constant:
            reason = f"every {' and every '.join(constant)} is the same"
            values[key] = Interval(None, reason=reason)
    return {key: values[key].as_dict() for key in METRICS}
