"""What a report starts from: a model's predictions for a split by head, checked as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.heads import HeadInfo
from mien.heads.expression import ExpressionInfo
from mien.heads.severity import SeverityInfo
from mien.heads.valence_arousal import ValenceArousalInfo
from mien.metrics.attention import ClassMaps
from mien.metrics.classification import IntArray
from mien.search.neighbors import Neighbors
from mien.statistics.recordings import Recordings
from mien.statistics.subjects import subject_numbers

Unit = Literal["face", "recording"]
"""What a row of an evaluation is."""


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadArrays:
    """A head's predictions for N rows and their targets.

    Attributes
    ----------
    info
        What the head says of itself: classes, scale, calibration.
    targets, predictions
        ``(N, ...)``; each head says of which shape, and how an unknown target is written.
    left_out
        Rows without a target by reason. Such rows beyond its total are counted as "no target".
    """

    info: HeadInfo
    targets: NDArray[Any]
    predictions: NDArray[Any]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """``(N,)`` rows that the head's metrics are over."""
        raise NotImplementedError

    def check(self, n: int) -> None:
        """Raise ``ValueError`` unless the arrays are of ``n`` rows and in range."""
        raise NotImplementedError

    def reasons(self) -> dict[str, int]:
        """Rows that are left out by reason, those without one included."""
        reasons = {reason: count for reason, count in self.left_out.items() if count}
        unexplained = int((~self.labeled).sum()) - sum(reasons.values())
        return reasons | ({"no target": unexplained} if unexplained > 0 else {})


@dataclass(frozen=True, eq=False)
class Reference:
    """The rows of another split, which the embedding is compared with.

    ``embeddings`` ``(M, D)`` are by the model that is evaluated; ``labels`` ``(M,)`` are made by
    the rule of the evaluation, -1 for rows that it leaves out.
    """

    embeddings: NDArray[np.floating[Any]]
    labels: IntArray
    split: str


@dataclass(frozen=True, eq=False, kw_only=True)
class ExpressionArrays(HeadArrays):
    """Targets ``(N,)`` classes, -1 unknown; predictions ``(N, C)`` rows that sum to one.

    Attributes
    ----------
    rule, votes
        In words how the targets were made, and ``(N, C)`` annotators' votes or None.
    other_targets
        By rule, ``(N,)`` targets of the same rows made in another way, -1 for rows left out.
    reference
        Rows whose classes are read off their neighbors beside the softmax, or None.
    attention
        Means of the attention maps by true class, of a model that gives maps.
    """

    info: ExpressionInfo
    rule: str
    votes: NDArray[Any] | None = None
    other_targets: Mapping[str, IntArray] = field(default_factory=dict)
    reference: Reference | None = None
    attention: ClassMaps | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.info.label_space.names

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Rows with a class."""
        labeled: NDArray[np.bool_] = self.targets >= 0
        return labeled

    def check(self, n: int) -> None:
        """Raise ``ValueError`` for arrays of other rows or classes, or out of range."""
        classes = len(self.info.label_space)
        _check_classes("targets", self.targets, n, classes)
        for rule, targets in self.other_targets.items():
            _check_classes(f"targets of rule {rule}", targets, n, classes)
        check_shape("predictions", self.predictions, (n, classes))
        if self.votes is not None:
            check_shape("votes", self.votes, (n, classes))
        if self.reference is not None:
            rows = len(self.reference.embeddings)
            _check_classes("labels of the reference", self.reference.labels, rows, classes)
        if self.attention is not None and len(self.attention.counts) != classes:
            raise ValueError(
                f"expected attention of {classes} classes, got {len(self.attention.counts)}"
            )
        sums = np.asarray(self.predictions, np.float64).sum(1)
        # Written so that NaN fails too.
        if not (np.abs(sums - 1) < 1e-3).all() or not (np.asarray(self.predictions) >= 0).all():
            raise ValueError("expected rows of probabilities in [0, 1] that sum to one")


@dataclass(frozen=True, eq=False, kw_only=True)
class ValenceArousalArrays(HeadArrays):
    """Targets and predictions ``(N, 2)``; targets in [-1, 1], NaN in both where unknown."""

    info: ValenceArousalInfo = field(default_factory=ValenceArousalInfo)

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Rows with both."""
        labeled: NDArray[np.bool_] = ~np.isnan(self.targets[:, 0])
        return labeled

    def reasons(self) -> dict[str, int]:
        """Rows without them."""
        count = int((~self.labeled).sum())
        return {"no valence and arousal": count} if count else {}

    def check(self, n: int) -> None:
        """Raise ``ValueError`` for arrays of other rows, or out of range."""
        check_shape("targets", self.targets, (n, 2))
        check_shape("predictions", self.predictions, (n, 2))
        if not np.isfinite(self.predictions).all():
            raise ValueError("expected finite predictions, got NaN or infinity")
        unknown = np.isnan(self.targets).any(1)
        inside = (np.abs(self.targets[~unknown]) <= 1).all()
        if not np.isnan(self.targets[unknown]).all() or not inside:
            raise ValueError("expected targets in [-1, 1], or NaN for both of a row")


@dataclass(frozen=True, eq=False, kw_only=True)
class SeverityArrays(HeadArrays):
    """Targets and predictions ``(N,)`` on the head's scale, NaN where unknown or not given.

    Attributes
    ----------
    training
        The recordings trained on; predictions are not needed.
    validation
        With predictions: what the conformal interval is calibrated on. None gives no interval.
    tasks, sessions, usable
        Of the N rows, as :class:`~mien.statistics.recordings.Recordings` has them.
    corpus
        The corpus, of which published results are given for context; "" for none.
    """

    info: SeverityInfo
    training: Recordings
    validation: Recordings | None = None
    tasks: NDArray[Any] | None = None
    sessions: NDArray[Any] | None = None
    usable: NDArray[np.floating[Any]] | None = None
    corpus: str = ""

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Rows with a score and a prediction."""
        labeled: NDArray[np.bool_] = np.isfinite(self.targets) & np.isfinite(self.predictions)
        return labeled

    def reasons(self) -> dict[str, int]:
        """Rows without a score, and those with one that the model has no prediction for."""
        scored = np.isfinite(self.targets)
        counts = {
            "no score": int((~scored).sum()),
            "no prediction": int((scored & ~self.labeled).sum()),
        }
        return {reason: count for reason, count in counts.items() if count}

    def check(self, n: int) -> None:
        """Raise ``ValueError`` for arrays of other rows, or values off the scale."""
        for name in ("targets", "predictions", "tasks", "sessions", "usable"):
            array = getattr(self, name)
            if array is not None:
                check_shape(name, array, (n,))
        if self.validation is not None and self.validation.predictions is None:
            raise ValueError("expected validation recordings with predictions, got none")
        top = self.info.scale.top
        for name, values in (
            ("targets", self.targets),
            ("predictions", self.predictions),
            ("training scores", self.training.scores),
            ("validation scores", None if self.validation is None else self.validation.scores),
        ):
            if values is None:
                continue
            if np.isinf(values).any() or (values < 0).any() or (values > top).any():
                low, high = np.nanmin(values), np.nanmax(values)
                raise ValueError(f"expected {name} in [0, {top}] or NaN, got {low} to {high}")


@dataclass(frozen=True, eq=False)
class Changed:
    """What a model says of the same rows after one change of their crops.

    ``heads`` are the predictions of each head, as its arrays have them; ``examples``
    ``(K, S, S, 3)`` some of the changed crops.
    """

    name: str
    title: str
    heads: Mapping[str, NDArray[Any]]
    examples: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The changes that were made, why others were not, and the crops behind their examples."""

    changes: Sequence[Changed]
    left_out: Mapping[str, str]
    examples: NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """A model's predictions for the N rows of a split, and what is known about them.

    Attributes
    ----------
    ids, split, unit
        ``(N,)`` names of the rows, the name of the split, and what a row is.
    heads
        The arrays of each head by its name.
    subjects, embeddings, crops
        ``(N,)`` names, "" or None where unknown; ``(N, D)``; and ``(N, S, S, 3)`` uint8 or
        anything that gives ``(S, S, 3)`` for an integer. Or None.
    groups
        By column ``(N,)`` names of the group of each row, "" where unknown.
    sensitivity
        What the model says of changed crops, or None.
    graph
        Of a model with an emotion graph: ``nodes`` (names, valence and arousal last),
        ``adjacency`` and ``correlation`` (or None), as lists. Else None.
    neighbors
        Gives the faces of an index that are nearest to a row's, which explain its prediction.
    provenance
        Anything a reader needs to trace the numbers. ``model`` and ``dataset`` make the title,
        ``license_terms`` and ``trained_on`` have a place of their own, the rest is listed.
    left_out
        What the split has that is not among the rows, by reason.
    warnings
        Sentences for the first lines of the report.
    """

    ids: Sequence[str] | NDArray[np.str_]
    split: str
    heads: Mapping[str, HeadArrays]
    unit: Unit = "face"
    subjects: NDArray[Any] | None = None
    embeddings: NDArray[np.floating[Any]] | None = None
    crops: Any = None
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    sensitivity: Sensitivity | None = None
    graph: Mapping[str, Any] | None = None
    neighbors: Neighbors | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        n = len(self.ids)
        for name, array, shape in (
            ("embeddings", self.embeddings, (n, ...)),
            ("subjects", self.subjects, (n,)),
            *((f"groups {name}", names, (n,)) for name, names in self.groups.items()),
        ):
            if array is not None:
                check_shape(name, array, shape)
        if self.crops is not None and len(self.crops) != n:
            raise ValueError(f"expected {n} crops, got {len(self.crops)}")
        for name, arrays in self.heads.items():
            try:
                arrays.check(n)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """``(N,)`` rows that at least one head has a target for."""
        labeled = np.zeros(len(self.ids), np.bool_)
        for arrays in self.heads.values():
            labeled |= arrays.labeled
        return labeled

    def clusters(self, rows: NDArray[Any]) -> NDArray[np.int64] | None:
        """A number for the subject of each of some rows, or None where no subject is known.

        A row whose subject is unknown has a number of its own.
        """
        return None if self.subjects is None else subject_numbers(self.subjects[rows])


Arrays = TypeVar("Arrays", bound=HeadArrays)


def arrays_of(evaluation: Evaluation, head: str, kind: type[Arrays]) -> Arrays:
    """The arrays of a head, which have to be of a kind (``TypeError``)."""
    arrays = evaluation.heads[head]
    if not isinstance(arrays, kind):
        raise TypeError(f"expected {kind.__name__} of head {head}, got {type(arrays).__name__}")
    return arrays


def check_shape(name: str, array: NDArray[Any], shape: tuple[Any, ...]) -> None:
    """Raise ``ValueError`` unless ``array`` has ``shape``, in which ... fits any length."""
    fits = array.ndim == len(shape) and all(
        size in (..., length) for size, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"expected {name} of shape {shape}, got {array.shape}")


def _check_classes(name: str, targets: IntArray, n: int, classes: int) -> None:
    if targets.shape != (n,) or targets.dtype.kind not in "iu":
        raise ValueError(f"expected integer {name} ({n},), got {targets.dtype} {targets.shape}")
    if n and not (targets.min() >= -1 and targets.max() < classes):
        raise ValueError(
            f"expected {name} in [-1, {classes}), got {targets.min()} to {targets.max()}"
        )
