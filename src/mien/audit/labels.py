"""Labels against a model's predictions: classes that took each other's names, doubtful labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.floating[Any]]

LEAST_P = 0.001
"""Classes are called mixed up where chance would do it less often than this (our choice)."""


class MixedUp(NamedTuple):
    """Classes whose labels fit better under each other's names.

    ``names`` is a ring: the faces labeled with each name look like the next one, those of the last
    like the first. ``fits`` of ``n`` rows with these labels are predicted as the ring says and
    ``fits_now`` as they are labeled; ``p`` is the chance of that where the labels are right, as an
    upper bound.
    """

    names: tuple[str, ...]
    n: int
    fits: int
    fits_now: int
    p: float

    @property
    def sentence(self) -> str:
        """What to make of it."""
        if len(self.names) == 2:
            change = f"{self.names[0]} and {self.names[1]} swapped"
        else:
            rings = zip(self.names, (*self.names[1:], self.names[0]), strict=True)
            change = ", ".join(f"{name} read as {other}" for name, other in rings)
        return (
            f"this fits better with {change}: {self.fits:,} instead of {self.fits_now:,} of "
            f"{self.n:,} labels agree with the model"
        )


def mixed_up_classes(targets: IntArray, preds: IntArray, names: Sequence[str]) -> list[MixedUp]:
    """Rings of classes that took each other's names, most rows first.

    ``targets`` and ``preds`` ``(N,)`` are indices of ``names``; rows with a negative target are
    skipped. The best assignment of labels to predictions is the one with which most rows agree.
    Of those rows on which a ring and the labels differ, the labels have to be the rarer ones, by
    an exact binomial test whose p is raised by the number of pairs of classes (Bonferroni).
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import binom

    labeled = targets >= 0
    count = len(names)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (targets[labeled], preds[labeled]), 1)
    _, assigned = linear_sum_assignment(confusion, maximize=True)
    mixed = []
    for ring in _rings([int(each) for each in assigned]):
        following = [*ring[1:], ring[0]]
        fits = int(confusion[ring, following].sum())
        fits_now = int(confusion[ring, ring].sum())
        chance = float(binom.sf(fits - 1, fits + fits_now, 0.5))
        p = min(1.0, chance * count * (count - 1) / 2)
        if p < LEAST_P:
            n = int(confusion[ring].sum())
            mixed.append(MixedUp(tuple(names[each] for each in ring), n, fits, fits_now, p))
    return sorted(mixed, key=lambda each: -each.n)


def _rings(assigned: Sequence[int]) -> list[list[int]]:
    """The cycles of a permutation that move something."""
    rings: list[list[int]] = []
    seen: set[int] = set()
    for start in range(len(assigned)):
        ring: list[int] = []
        each = start
        while each not in seen:
            seen.add(each)
            ring.append(each)
            each = assigned[each]
        if len(ring) > 1:
            rings.append(ring)
    return rings


def doubtful_rows(targets: IntArray, probabilities: FloatArray) -> IntArray:
    """Labeled rows that the model predicts as another class, the most confident first.

    ``probabilities`` ``(N, C)``. They are ordered by the probability of the predicted class less
    that of the label.
    """
    preds = probabilities.argmax(axis=1)
    rows = np.flatnonzero((targets >= 0) & (preds != targets))
    excess = probabilities[rows, preds[rows]] - probabilities[rows, targets[rows]]
    return rows[np.argsort(-excess, kind="stable")].astype(np.int64)
