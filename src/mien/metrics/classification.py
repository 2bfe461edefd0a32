"""Classification metrics as pure functions on arrays.

Everything that counts is a function of a confusion matrix with any number of leading axes, so one
definition serves the value of a metric and its thousand bootstrap draws. A quantity that is not
defined (the recall of a class without rows) is NaN in an array; the documents of
:mod:`mien.reports` turn it into null with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer[Any]]

SMALLEST_PROBABILITY = 1e-12
"""Probabilities are clipped here before a logarithm, so one certain mistake costs 27.6 nats."""


def grouped_sums(groups: IntArray, count: int, weights: FloatArray) -> FloatArray:
    """Sums of ``(B, N)`` weights over the rows of each group, ``(B, count)``.

    ``groups`` is ``(N,)`` in [0, count).
    """
    from scipy.sparse import csr_array

    rows = np.arange(groups.size)
    indicator = csr_array((np.ones(groups.size), (groups, rows)), shape=(count, groups.size))
    sums: FloatArray = (indicator @ weights.T).T
    return sums


def weighted_means(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Means of ``(N,)`` values under each row of ``(B, N)`` weights, ``(B,)``; NaN for all 0."""
    return _ratio(weights @ values, weights.sum(1))


def confusion_matrix(
    targets: IntArray,
    predictions: IntArray,
    classes: int,
    *,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Rows by true and predicted class, ``(C, C)``; true classes in rows.

    ``targets`` and ``predictions`` are ``(N,)`` in [0, classes), else ``ValueError``. With
    ``weights`` ``(B, N)``, one weighted matrix for each of its rows, ``(B, C, C)``.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1., 1.],
           [0., 1.]])
    """
    if targets.shape != predictions.shape or targets.ndim != 1:
        raise ValueError(
            f"expected targets and predictions (N,), got {targets.shape} and {predictions.shape}"
        )
    for name, values in (("targets", targets), ("predictions", predictions)):
        if values.size and not (values.min() >= 0 and values.max() < classes):
            raise ValueError(
                f"expected {name} in [0, {classes}), got {values.min()} to {values.max()}"
            )
    cells = targets.astype(np.int64) * classes + predictions
    if weights is None:
        counts = np.bincount(cells, minlength=classes * classes).astype(np.float64)
        return counts.reshape(classes, classes)
    return grouped_sums(cells, classes * classes, weights).reshape(-1, classes, classes)


def accuracy(confusion: FloatArray) -> FloatArray:
    """Share of rows on the diagonal of ``(..., C, C)``; NaN without rows."""
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum((-2, -1)))


def row_shares(confusion: FloatArray) -> FloatArray:
    """Each row divided by its sum, ``(..., C, C)``; NaN in the row of a class without rows."""
    return _ratio(confusion, confusion.sum(-1, keepdims=True))


def recall(confusion: FloatArray) -> FloatArray:
    """Share of each true class that is predicted as it, ``(..., C)``; NaN for one without rows."""
    return _ratio(_hits(confusion), confusion.sum(-1))


def precision(confusion: FloatArray) -> FloatArray:
    """Share of each predicted class that is right, ``(..., C)``; NaN for a class never predicted.

    scikit-learn puts 0 where this is NaN.
    """
    return _ratio(_hits(confusion), confusion.sum(-2))


def f1(confusion: FloatArray) -> FloatArray:
    """F1 of each class, 2 tp / (2 tp + fp + fn), ``(..., C)``.

    0 for a class with rows that is never predicted, NaN for one neither true nor predicted.
    """
    return _ratio(2 * _hits(confusion), confusion.sum(-1) + confusion.sum(-2))


def mean_class_accuracy(confusion: FloatArray) -> FloatArray:
    """Mean recall over the classes that have rows, as ``sklearn``'s ``balanced_accuracy_score``.

    Class 0 right 1 of 2, class 1 right 1 of 1, class 2 without rows: (0.5 + 1) / 2.

    >>> float(mean_class_accuracy(np.array([[1.0, 1, 0], [0, 1, 0], [0, 0, 0]])))
    0.75
    """
    return _mean_over_present(recall(confusion), confusion)


def macro_f1(confusion: FloatArray) -> FloatArray:
    """Mean F1 over the classes that have rows in the targets.

    A class that is only predicted lowers the others' precision but has no term of its own;
    ``f1_score(average="macro")`` without ``labels`` counts it as a 0.

    >>> float(macro_f1(np.array([[1.0, 0, 1], [0, 2, 0], [0, 0, 0]])))  # (2/3 + 1) / 2
    0.8333333333333333
    """
    return _mean_over_present(f1(confusion), confusion)


def negative_log_likelihoods(targets: IntArray, probabilities: FloatArray) -> FloatArray:
    """``-log p(target)`` of each row in nats, ``(N,)``; the metric is their mean."""
    of_targets = np.asarray(probabilities, np.float64)[np.arange(targets.size), targets]
    losses: FloatArray = -np.log(np.maximum(of_targets, SMALLEST_PROBABILITY))
    return losses


def vote_divergences(votes: NDArray[Any], probabilities: FloatArray) -> FloatArray:
    """``KL(votes || probabilities)`` of each row in nats, ``(N,)``; 0 where they are equal.

    ``votes`` ``(N, C)`` are counts or shares; each row needs at least one vote (``ValueError``).
    """
    shares = _vote_shares(votes)
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST_PROBABILITY))
    vote_logs = np.log(np.where(shares > 0, shares, 1.0))
    divergences: FloatArray = (shares * (vote_logs - logs)).sum(1)
    return divergences


def vote_agreements(votes: NDArray[Any], predictions: IntArray) -> FloatArray:
    """Share of each row's votes that went to the predicted class, ``(N,)``.

    The mean is the chance that a random annotator of the face agrees with the model.
    """
    return _vote_shares(votes)[np.arange(predictions.size), predictions]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of confidence: ``edges`` ``(K+1,)``, and ``(K,)`` rows, mean confidence, accuracy.

    ``confidence`` and ``accuracy`` of an empty bin are NaN.
    """

    edges: FloatArray
    count: FloatArray
    confidence: FloatArray
    accuracy: FloatArray


def reliability(
    targets: IntArray, probabilities: NDArray[np.floating[Any]], *, bins: int = 15
) -> Reliability:
    """Confidence (the largest probability) against accuracy in bins of equal width.

    Bin k is (k/K, (k+1)/K], as in Guo et al. 2017.
    """
    confidence = np.asarray(probabilities, np.float64).max(1)
    correct = np.asarray(probabilities).argmax(1) == targets
    # float32's 0.6 is 0.60000002, which still belongs to the bin that ends at 0.6.
    bin_of = np.ceil(np.round(confidence * bins, 5)).astype(np.int64) - 1
    bin_of = np.clip(bin_of, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins).astype(np.float64)
    return Reliability(
        edges=np.linspace(0, 1, bins + 1),
        count=count,
        confidence=_ratio(np.bincount(bin_of, confidence, bins), count),
        accuracy=_ratio(np.bincount(bin_of, correct.astype(np.float64), bins), count),
    )


def expected_calibration_error(bins: Reliability) -> float:
    """Mean over rows of their bin's |accuracy - mean confidence|, in [0, 1]."""
    used = bins.count > 0
    gaps = np.abs(bins.accuracy[used] - bins.confidence[used])
    return float(np.average(gaps, weights=bins.count[used]))


def _hits(confusion: FloatArray) -> FloatArray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> FloatArray:
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    ratio: FloatArray = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def _mean_over_present(values: FloatArray, confusion: FloatArray) -> FloatArray:
    present = confusion.sum(-1) > 0
    return _ratio(np.where(present, values, 0.0).sum(-1), present.sum(-1))


def _vote_shares(votes: NDArray[Any]) -> FloatArray:
    totals = np.asarray(votes, np.float64).sum(1, keepdims=True)
    if not (totals > 0).all():
        raise ValueError(f"expected a vote in every row, got {int((totals <= 0).sum())} without")
    shares: FloatArray = votes / totals
    return shares
