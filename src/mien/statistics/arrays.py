"""What an evaluation starts from: the arrays of a split, checked against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.labels import LabelSpace
from mien.metrics.attention import ClassMaps
from mien.metrics.classification import IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """What a model said about the N faces of a split, and what is known about them.

    Attributes
    ----------
    ids, targets, probabilities
        ``(N,)`` names of the rows, ``(N,)`` classes with -1 for a row without a target, and
        ``(N, C)`` rows that sum to one.
    label_space, split, rule
        What the classes mean, which rows these are, and in words how the targets were made.
    embeddings, subjects, votes, crops
        ``(N, D)``; ``(N,)`` names, "" or None where unknown; ``(N, C)`` annotators' votes; and
        ``(N, S, S, 3)`` uint8 or anything that gives ``(S, S, 3)`` for an integer. Or None.
    valence_arousal, valence_arousal_targets
        ``(N, 2)`` as the model says and as they are known, the latter in [-1, 1] with NaN for a
        row where they are not. Either may be None.
    attention
        Means of the attention maps by true class, of a model that gives maps.
    provenance
        Anything a reader needs to trace the numbers. ``model`` and ``dataset`` make the title,
        ``terms`` (of use) has a place of its own, the rest is listed.
    left_out
        Rows of the split without a target by reason, those with -1 here included. Rows with -1
        beyond its total are counted without a reason.
    warnings
        Sentences for the first lines of the report.
    graph
        Of a model with an emotion graph: ``nodes`` (names, valence and arousal last),
        ``adjacency`` and ``correlation`` (or None), as lists. Else None.
    """

    ids: Sequence[str] | NDArray[np.str_]
    targets: IntArray
    probabilities: NDArray[np.floating[Any]]
    label_space: LabelSpace
    split: str
    rule: str
    embeddings: NDArray[np.floating[Any]] | None = None
    subjects: NDArray[Any] | None = None
    votes: NDArray[Any] | None = None
    crops: Any = None
    valence_arousal: NDArray[np.floating[Any]] | None = None
    valence_arousal_targets: NDArray[np.floating[Any]] | None = None
    attention: ClassMaps | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    graph: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        n, classes = len(self.ids), len(self.label_space)
        check_targets("targets", self.targets, n, classes)
        for name, array, shape in (
            ("probabilities", self.probabilities, (n, classes)),
            ("embeddings", self.embeddings, (n, ...)),
            ("subjects", self.subjects, (n,)),
            ("votes", self.votes, (n, classes)),
            ("valence_arousal", self.valence_arousal, (n, 2)),
            ("valence_arousal_targets", self.valence_arousal_targets, (n, 2)),
        ):
            if array is not None and (
                array.shape[:1] != shape[:1]
                or array.ndim != len(shape)
                or shape[1:] not in ((...,), array.shape[1:])
            ):
                raise ValueError(f"expected {name} of shape {shape}, got {array.shape}")
        if self.crops is not None and len(self.crops) != n:
            raise ValueError(f"expected {n} crops, got {len(self.crops)}")
        if self.attention is not None and len(self.attention.counts) != classes:
            raise ValueError(
                f"expected attention of {classes} classes, got {len(self.attention.counts)}"
            )
        sums = np.asarray(self.probabilities, np.float64).sum(1)
        # Written so that NaN fails too.
        if not (np.abs(sums - 1) < 1e-3).all() or not (np.asarray(self.probabilities) >= 0).all():
            raise ValueError("expected rows of probabilities in [0, 1] that sum to one")
        if self.valence_arousal is not None and not np.isfinite(self.valence_arousal).all():
            raise ValueError("expected finite valence_arousal, got NaN or infinity")
        if (truth := self.valence_arousal_targets) is not None:
            unknown = np.isnan(truth).any(1)
            if not np.isnan(truth[unknown]).all() or not (np.abs(truth[~unknown]) <= 1).all():
                raise ValueError(
                    "expected valence_arousal_targets in [-1, 1], or NaN for both of a row"
                )

    @property
    def rated(self) -> NDArray[np.int64]:
        """Rows whose valence and arousal are both known and predicted, ascending."""
        if self.valence_arousal is None or self.valence_arousal_targets is None:
            return np.zeros(0, np.int64)
        return np.flatnonzero(~np.isnan(self.valence_arousal_targets[:, 0]))

    def clusters(self, rows: IntArray) -> NDArray[np.int64] | None:
        """A number for each row's subject, or None where no subject is known.

        A row whose subject is unknown has a number of its own.
        """
        return None if self.subjects is None else subject_numbers(self.subjects[rows])


def subject_numbers(subjects: NDArray[Any]) -> NDArray[np.int64] | None:
    """A number for the subject of each of ``(N,)`` rows, or None where no subject is known.

    A row whose subject is unknown ("" or None) has a number of its own.
    """
    names = np.array(["" if name is None else str(name) for name in subjects])
    alone = names == ""
    if alone.all():
        return None
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int64)
    numbers[alone] = names.size + np.arange(int(alone.sum()))
    return numbers


def check_targets(name: str, targets: IntArray, n: int, classes: int) -> None:
    """Raise ``ValueError`` unless they are ``(n,)`` integers in [-1, classes)."""
    if targets.shape != (n,) or targets.dtype.kind not in "iu":
        raise ValueError(f"expected integer {name} ({n},), got {targets.dtype} {targets.shape}")
    if n and not (targets.min() >= -1 and targets.max() < classes):
        raise ValueError(
            f"expected {name} in [-1, {classes}), got {targets.min()} to {targets.max()}"
        )
