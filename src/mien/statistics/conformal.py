"""Intervals around a score that hold for people whom the calibration has not seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.statistics.subjects import subject_numbers

COVERAGE = 0.9


def fewest_subjects(coverage: float) -> int:
    """How many subjects a finite interval takes: k / (k + 1) must reach the coverage.

    >>> fewest_subjects(0.9), fewest_subjects(0.95)
    (9, 19)
    """
    if not 0 < coverage < 1:
        raise ValueError(f"expected a coverage in (0, 1), got {coverage}")
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def conformal_half_width(
    scores: NDArray[np.floating[Any]],
    predictions: NDArray[np.floating[Any]],
    subjects: NDArray[Any],
    *,
    coverage: float = COVERAGE,
) -> float:
    """The w for which prediction +- w covers a new subject's recording with ``coverage``.

    Split conformal prediction with subjects as the units (hierarchical conformal prediction: Lee,
    Barber and Willett, 2023). Each of K subjects carries 1 / (K + 1) of the mass, shared evenly
    by its recordings' absolute errors, and the new subject's share lies at infinity; w is the
    quantile of that. It holds where subjects, those evaluated included, are exchangeable: on
    average over subjects, not for each of them, and not for people or cameras of another kind.

    Parameters
    ----------
    scores, predictions
        ``(n,)``; recordings with a NaN in either are passed over.
    subjects
        ``(n,)`` names; a recording whose subject is "" counts as a subject of its own.

    Returns
    -------
    w >= 0, or infinity where there are fewer than :func:`fewest_subjects`, none included.

    Errors 1 to 9 of nine subjects; the 0.9 * 10 = 9th smallest is the largest:

    >>> names = np.array([f"subject-{number}" for number in range(9)])
    >>> conformal_half_width(np.arange(1.0, 10), np.zeros(9), names)
    9.0
    """
    least = fewest_subjects(coverage)
    if not scores.shape == predictions.shape == subjects.shape or scores.ndim != 1:
        raise ValueError(
            f"expected scores, predictions and subjects (n,), got {scores.shape}, "
            f"{predictions.shape} and {subjects.shape}"
        )
    errors = np.abs(np.asarray(scores, np.float64) - np.asarray(predictions, np.float64))
    known = np.isfinite(errors)
    errors, owners = errors[known], _owners(subjects[known])
    count = len(np.unique(owners))
    if count < least:
        return math.inf
    mass = 1 / np.bincount(owners)[owners] / (count + 1)
    order = np.argsort(errors, kind="stable")
    # Not by a hair's breadth of rounding to the next error.
    reached = np.flatnonzero(np.cumsum(mass[order]) >= coverage - 1e-12)
    return float(errors[order][reached[0]])


def calibrate(
    targets: NDArray[np.floating[Any]],
    predictions: NDArray[np.floating[Any]],
    subjects: NDArray[Any],
    *,
    coverage: float = COVERAGE,
    split: str = "valid",
) -> dict[str, Any]:
    """The entry ``conformal`` of a model: ``coverage``, ``half_width``, ``subjects``, ``split``.

    Arrays are ``(n,)`` as for :func:`conformal_half_width`. ``half_width`` is None where there are
    too few subjects, and ``reason`` says so.
    """
    width = conformal_half_width(targets, predictions, subjects, coverage=coverage)
    labeled = np.isfinite(targets) & np.isfinite(predictions)
    count = len(np.unique(_owners(subjects[labeled])))
    entry = {
        "coverage": coverage,
        "half_width": width if math.isfinite(width) else None,
        "subjects": count,
        "split": split,
    }
    if math.isfinite(width):
        return entry
    return entry | {
        "reason": f"{count} subject{'s' * (count != 1)} of {split} cannot give an interval "
        f"of {100 * coverage:g} %: it takes {fewest_subjects(coverage)}"
    }


def _owners(subjects: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers from 0 for the subjects; those unknown have one each."""
    numbers = subject_numbers(subjects) if len(subjects) else None
    if numbers is None:
        return np.arange(len(subjects))
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)
