"""How well predicted values agree with their targets, as pure functions of arrays.

As in :mod:`mien.metrics.classification`, ``weights`` ``(B, N)`` give one value for each of their
rows, so one definition serves a metric and its bootstrap draws; without weights a value has shape
``()``. What is not defined is NaN.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray

DIMENSIONS = ("valence", "arousal")


class Moments(NamedTuple):
    """Means, variances and covariance over all rows, divided by n, not n - 1; ``()`` or ``(B,)``.

    The variance of a constant is 0 exactly.
    """

    mean: FloatArray
    target_mean: FloatArray
    variance: FloatArray
    target_variance: FloatArray
    covariance: FloatArray


def moments(
    predictions: NDArray[np.floating[Any]],
    targets: NDArray[np.floating[Any]],
    *,
    weights: FloatArray | None = None,
) -> Moments:
    """The moments of ``(N,)`` predictions and targets, N > 0, from which CCC and PCC follow."""
    if predictions.shape != targets.shape or targets.ndim != 1 or targets.size == 0:
        raise ValueError(
            f"expected predictions and targets (N,), got {predictions.shape} and {targets.shape}"
        )
    w = np.ones((1, targets.size)) if weights is None else weights
    total = w.sum(1)
    x, y = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    mean, target_mean = w @ x / total, w @ y / total
    off, target_off = x - mean[:, None], y - target_mean[:, None]

    def product(one: FloatArray, two: FloatArray) -> FloatArray:
        mean: FloatArray = np.einsum("bn,bn,bn->b", w, one, two) / total
        return mean

    # The rounding of its mean leaves a constant a variance of about (eps * size)^2.
    rounding = (16 * np.finfo(np.float64).eps) ** 2
    variance, target_variance = product(off, off), product(target_off, target_off)
    variance[variance <= rounding * (w @ x**2 / total)] = 0
    target_variance[target_variance <= rounding * (w @ y**2 / total)] = 0
    joint = Moments(mean, target_mean, variance, target_variance, product(off, target_off))
    return joint if weights is not None else Moments(*(value[0] for value in joint))


def concordance(moments: Moments) -> FloatArray:
    """Lin's concordance correlation coefficient over the whole set, in [-1, 1].

    ``2 cov / (var + var + (difference of means)^2)``. It is never the mean of batches' values,
    which is another number. A constant prediction has 0; where both are one constant it is NaN.

    Predictions (0, 2), targets (0, 4): 2*2 / (1 + 4 + 1). With n - 1 it would be 8 / 11.

    >>> concordance(moments(np.array([0.0, 2.0]), np.array([0.0, 4.0]))).round(4)
    np.float64(0.6667)
    """
    spread = (
        moments.variance + moments.target_variance + np.square(moments.mean - moments.target_mean)
    )
    varying = (moments.variance > 0) & (moments.target_variance > 0)
    return _ratio(np.where(varying, 2 * moments.covariance, 0.0), spread)


def correlation(moments: Moments) -> FloatArray:
    """Pearson's correlation coefficient, in [-1, 1]; NaN where either is constant.

    >>> correlation(moments(np.array([0.0, 2.0]), np.array([0.0, 4.0])))
    np.float64(1.0)
    """
    scale = np.sqrt(moments.variance) * np.sqrt(moments.target_variance)
    coefficient: FloatArray = np.clip(_ratio(moments.covariance, scale), -1, 1)
    return coefficient


def consistency(moments: Moments) -> FloatArray:
    """ICC(3,1) of predictions and targets as two raters, in [-1, 1]; NaN where both are constant.

    Shrout and Fleiss, Intraclass correlations (Psychol. Bull. 86, 1979), case 3: with two raters
    (MSR - MSE) / (MSR + MSE) is ``2 cov / (var + var)``. A constant offset between the two costs
    nothing, another spread does.

    Predictions (0, 2), targets (1, 5): 2 * 2 / (1 + 4).

    >>> consistency(moments(np.array([0.0, 2.0]), np.array([1.0, 5.0])))
    np.float64(0.8)
    """
    return _ratio(2 * moments.covariance, moments.variance + moments.target_variance)


def root_mean_squared_error(
    predictions: FloatArray, targets: FloatArray, *, weights: FloatArray | None = None
) -> FloatArray:
    """Root of the mean squared difference of ``(N,)`` values.

    >>> root_mean_squared_error(np.array([0.0, 2.0]), np.array([0.0, 4.0])).round(4)  # sqrt(4 / 2)
    np.float64(1.4142)
    """
    root: FloatArray = np.sqrt(_means(np.square(predictions - targets), weights))
    return root


def mean_absolute_error(
    predictions: FloatArray, targets: FloatArray, *, weights: FloatArray | None = None
) -> FloatArray:
    """Mean absolute difference of ``(N,)`` values."""
    return _means(np.abs(predictions - targets), weights)


def sign_agreement(
    predictions: FloatArray, targets: FloatArray, *, weights: FloatArray | None = None
) -> FloatArray:
    """SAGR: share of rows whose prediction has the sign of the target, in [0, 1].

    A target of exactly 0 has no sign, so its row is left out (our choice; ``sign(0) == sign(x)``
    would count nearly every such row as wrong). A prediction of 0 agrees with neither sign.

    >>> sign_agreement(np.array([0.2, -0.1, 0.3, 0.0]), np.array([0.9, 0.1, 0.0, 0.5])).round(4)
    np.float64(0.3333)
    """
    signed = targets != 0
    agreed = np.sign(predictions[signed]) == np.sign(targets[signed])
    return _means(agreed.astype(np.float64), None if weights is None else weights[:, signed])


def agreement(
    predictions: NDArray[np.floating[Any]],
    targets: NDArray[np.floating[Any]],
    *,
    weights: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """``mae``, ``rmse``, ``pcc`` and ``ccc`` of ``(N,)`` values, N > 0; moments divided by N.

    With ``weights`` ``(B, N)`` each is ``(B,)``. NaN is what is not defined.

    >>> metrics = agreement(np.array([0.0, 2.0]), np.array([0.0, 4.0]))
    >>> {name: round(float(value), 3) for name, value in metrics.items()}  # rmse is sqrt(4 / 2)
    {'mae': 1.0, 'rmse': 1.414, 'pcc': 1.0, 'ccc': 0.667}
    """
    joint = moments(predictions, targets, weights=weights)
    x, y = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    return {
        "mae": mean_absolute_error(x, y, weights=weights),
        "rmse": root_mean_squared_error(x, y, weights=weights),
        "pcc": correlation(joint),
        "ccc": concordance(joint),
    }


def valence_arousal_metrics(
    predictions: NDArray[np.floating[Any]],
    targets: NDArray[np.floating[Any]],
    *,
    weights: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """Every metric of ``(N, 2)`` valence and arousal, named as in :mod:`mien.metrics.catalog`.

    ``mean_ccc`` is the mean of ``ccc_valence`` and ``ccc_arousal``, NaN where either is.
    """
    x, y = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    metrics: dict[str, FloatArray] = {}
    for column, dimension in enumerate(DIMENSIONS):
        values = agreement(x[:, column], y[:, column], weights=weights)
        values["sagr"] = sign_agreement(x[:, column], y[:, column], weights=weights)
        metrics |= {f"{name}_{dimension}": value for name, value in values.items()}
    return {"mean_ccc": (metrics["ccc_valence"] + metrics["ccc_arousal"]) / 2} | metrics


def _means(values: FloatArray, weights: FloatArray | None) -> FloatArray:
    if weights is None:
        return _ratio(values.sum(), np.float64(values.size))
    return _ratio(weights @ values, weights.sum(1))


def _ratio(part: FloatArray, whole: FloatArray | np.float64) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: FloatArray = np.where(whole > 0, np.divide(part, whole), np.nan)[()]
    return ratio
