"""From which confidence a model may answer, so that its answers are right as often as stated."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ACCURACY, LEVEL = 0.9, 0.95
_STEPS = 100


class Threshold(NamedTuple):
    """``confidence`` is the least at which to answer; ``answered`` and ``right`` count rows.

    ``least_accuracy`` is the lower confidence bound of the accuracy of what is answered.
    """

    confidence: float
    rows: int
    answered: int
    right: int
    least_accuracy: float


def least_accuracy(right: int, answered: int, *, level: float = LEVEL) -> float:
    """The one-sided lower confidence bound of a share, Clopper and Pearson's (1934); 0 of none.

    It is at most the true share in ``level`` of samples, or more often.

    Of 29 rows that are all right the bound is 0.05 ** (1 / 29):

    >>> round(least_accuracy(29, 29), 3)
    0.902
    """
    if not 0 <= right <= answered or not 0 < level < 1:
        raise ValueError(
            f"expected 0 <= right <= answered and a level in (0, 1), got {right}, {answered}, "
            f"{level}"
        )
    if right == 0:
        return 0.0
    from scipy.stats import beta

    return float(beta.ppf(1 - level, right, answered - right + 1))


def fewest_answers(accuracy: float = ACCURACY, level: float = LEVEL) -> int:
    """How many answers, all of them right, it takes to show an accuracy.

    >>> fewest_answers(0.9), fewest_answers(0.95)
    (29, 59)
    """
    if not (0 < accuracy < 1 and 0 < level < 1):
        raise ValueError(f"expected accuracy and level in (0, 1), got {accuracy} and {level}")
    return math.ceil(math.log(1 - level) / math.log(accuracy) - 1e-9)


def answer_threshold(
    confidences: NDArray[np.floating[Any]],
    right: NDArray[np.bool_],
    *,
    accuracy: float = ACCURACY,
    level: float = LEVEL,
) -> Threshold | None:
    """The lowest confidence from which answers are right in a share ``accuracy``, for sure enough.

    Parameters
    ----------
    confidences, right
        ``(N,)`` of labeled rows that the model was not trained on, independent of each other.
    accuracy, level
        In (0, 1). Where rows to come are like these, what is answered is right in at least this
        share, except in ``1 - level`` of such calibrations.

    Returns
    -------
    None where no threshold can be shown to reach the accuracy.

    Thresholds are tested in steps of 0.01 from the highest down, and the first that fails ends it,
    so that no level has to be shared among them (fixed sequence testing: Angelopoulos, Bates,
    Candes, Jordan and Lei, Learn then Test, 2021); each by the exact bound of its selective risk,
    never by the share that was observed (Geifman and El-Yaniv, Selective classification for deep
    neural networks, 2017). Thresholds from which fewer than :func:`fewest_answers` rows, or fewer
    than a twentieth of them, would be answered are passed over: how many there are says nothing of
    whether they are right.
    """
    if confidences.shape != right.shape or confidences.ndim != 1:
        raise ValueError(
            f"expected confidences and right (N,), got {confidences.shape} and {right.shape}"
        )
    fewest, best = max(fewest_answers(accuracy, level), len(right) / 20), None
    for step in range(_STEPS, -1, -1):
        answered = confidences >= step / _STEPS
        count, hits = int(answered.sum()), int((answered & right).sum())
        if count < fewest:
            continue
        bound = least_accuracy(hits, count, level=level)
        if bound < accuracy:
            break
        best = Threshold(step / _STEPS, len(right), count, hits, bound)
    return best
