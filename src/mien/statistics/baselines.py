"""Predicted against true scores, and against what one could say without looking at the face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray
from mien.metrics.regression import (
    concordance,
    correlation,
    mean_absolute_error,
    moments,
    root_mean_squared_error,
)
from mien.statistics.bootstrap import Bootstrap, Interval, bootstrap, intervals
from mien.statistics.paired import NOTHING_SHOWN, paired_differences
from mien.statistics.recordings import Recordings
from mien.statistics.scores import LEVEL

MEASURES = ("mae", "rmse", "pcc", "ccc")
COMPARED = ("mae", "rmse", "ccc")
"""Measures whose difference to a baseline is given; a constant has no correlation."""

BASELINES = {
    "mean": "always saying the mean score of the training recordings",
    "median": "always saying the median score of the training recordings",
    "person": (
        "knowing only the person (the mean score of the same subject's other recordings in "
        "training; where there are none, the training mean)"
    ),
}
"""What each baseline says of a recording; none of them looks at it."""


def agreement(
    predictions: FloatArray, scores: FloatArray, *, weights: FloatArray | None = None
) -> dict[str, FloatArray]:
    """MAE, RMSE, Pearson's and Lin's correlation of ``(n,)`` values, n > 0; moments over n.

    With ``weights`` ``(B, n)`` each is ``(B,)``. NaN is what is not defined.

    >>> found = agreement(np.array([0.0, 2.0]), np.array([0.0, 4.0]))
    >>> {name: round(float(value), 3) for name, value in found.items()}  # rmse is sqrt(4 / 2)
    {'mae': 1.0, 'rmse': 1.414, 'pcc': 1.0, 'ccc': 0.667}
    """
    of_both = moments(predictions, scores, weights=weights)
    return {
        "mae": mean_absolute_error(predictions, scores, weights=weights),
        "rmse": root_mean_squared_error(predictions, scores, weights=weights),
        "pcc": correlation(of_both),
        "ccc": concordance(of_both),
    }


class Guesses(NamedTuple):
    """What is said of n recordings: ``(n,)`` by name, the model's under ``model``.

    ``of_person`` ``(n,)`` says whose subject has other recordings in training.
    """

    scores: FloatArray
    by: Mapping[str, FloatArray]
    of_person: NDArray[np.bool_]
    clusters: NDArray[np.int64] | None

    def take(self, rows: NDArray[Any]) -> Guesses:
        """Some of the recordings."""
        return Guesses(
            self.scores[rows],
            {name: values[rows] for name, values in self.by.items()},
            self.of_person[rows],
            None if self.clusters is None else self.clusters[rows],
        )


def guess(recordings: Recordings, training: Recordings) -> Guesses:
    """The model's predictions and each of :data:`BASELINES`, which no known training score omits.

    A recording that is itself in training (by its video) is no help in guessing its own score for
    ``person``.
    """
    if recordings.predictions is None:
        raise ValueError("expected recordings with predictions, got none")
    n = len(recordings)
    said = {"model": np.asarray(recordings.predictions, np.float64)}
    of_person = np.zeros(n, np.bool_)
    known = training.take(np.isfinite(training.scores))
    if len(known):
        scores = np.asarray(known.scores, np.float64)
        person = np.full(n, scores.mean())
        for row in range(n):
            subject = recordings.subjects[row]
            own = (known.subjects == subject) & (known.videos != recordings.videos[row])
            if subject and own.any():
                person[row], of_person[row] = scores[own].mean(), True
        said["mean"] = np.full(n, scores.mean())
        said["median"] = np.full(n, np.median(scores))
        said["person"] = person
    return Guesses(np.asarray(recordings.scores, np.float64), said, of_person, recordings.clusters)


def measure(guesses: Guesses, *, seed: int, draws: int) -> dict[str, Any]:
    """``n``, ``subjects``, every measure, and ``baselines`` with the differences to each.

    A difference is the model's less the baseline's, paired: a draw takes the same subjects for
    both. Its ``word`` is better, worse or no difference shown, by whether 0 is in the interval.
    """
    n = len(guesses.scores)
    entry: dict[str, Any] = {"n": n, "subjects": _units(guesses)}
    if n == 0:
        nothing = Interval(None, reason="there are no recordings").as_dict()
        return entry | dict.fromkeys(MEASURES, nothing) | {"baselines": {}}
    drawn = {name: _draw(guesses, name, seed=seed, draws=draws) for name in guesses.by}
    baselines = {}
    for name in BASELINES:
        if name in drawn:
            found = paired_differences(drawn["model"], drawn[name], level=LEVEL)
            baselines[name] = _measures(guesses, name, drawn[name]) | {
                "differences": {
                    key: found[key].as_dict() | {"word": word(found[key], key)} for key in COMPARED
                }
            }
    if "person" in baselines:
        baselines["person"]["known"] = int(guesses.of_person.sum())
    return entry | _measures(guesses, "model", drawn["model"]) | {"baselines": baselines}


def word(difference: Interval, measure: str) -> str:
    """``better``, ``worse`` or ``no difference shown`` for a difference in a measure."""
    if difference.low is None or difference.high is None:
        return NOTHING_SHOWN
    low, high = difference.low, difference.high
    if measure in ("mae", "rmse"):
        low, high = -high, -low
    return "better" if low > 0 else "worse" if high < 0 else NOTHING_SHOWN


def _draw(guesses: Guesses, name: str, *, seed: int, draws: int) -> Bootstrap[str]:
    said, truth = guesses.by[name], guesses.scores
    return bootstrap(
        lambda weights: agreement(said, truth, weights=weights),
        len(truth),
        clusters=guesses.clusters,
        cluster_name="subject",
        draws=draws,
        seed=seed,
    )


def _measures(guesses: Guesses, name: str, drawn: Bootstrap[str]) -> dict[str, Any]:
    found = intervals(drawn, level=LEVEL)
    said, truth = guesses.by[name], guesses.scores
    alike = [
        what for what, values in (("prediction", said), ("score", truth)) if np.ptp(values) == 0
    ]
    for key in ("pcc", "ccc"):
        if found[key].value is None and alike:
            reason = f"every {' and every '.join(alike)} is the same"
            found[key] = Interval(None, reason=reason)
    return {key: found[key].as_dict() for key in MEASURES}


def _units(guesses: Guesses) -> int | None:
    return None if guesses.clusters is None else len(np.unique(guesses.clusters))
