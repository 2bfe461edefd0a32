"""From the arrays of one evaluation to ``report.json`` and ``report.html``."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluation import metrics
from mien.evaluation.metrics import FloatArray, IntArray
from mien.evaluation.retrieval import retrieve
from mien.evaluation.uncertainty import Interval, bootstrap_intervals
from mien.labels import LabelSpace
from mien.schema import MienError, UInt8Array

LEVEL = 0.95
FEW_CLUSTERS = 20
"""Percentile intervals from fewer clusters than this are known to be too narrow."""
MISTAKES = 24

RETRIEVAL_METRICS = ("precision_at_1", "map_at_r")


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
        ``(N, D)``; ``(N,)`` names, "" where unknown; ``(N, C)`` annotators' votes; and
        ``(N, S, S, 3)`` uint8 or anything that gives ``(S, S, 3)`` for an integer. Or None.
    provenance
        Anything a reader needs to trace the numbers. ``model`` and ``dataset`` make the title,
        ``terms`` (of use) has a place of its own, the rest is listed.
    left_out
        Rows of the split without a target by reason, those with -1 here included. Rows with -1
        beyond its total are counted without a reason.
    warnings
        Sentences for the first lines of the report.
    """

    ids: Sequence[str] | NDArray[np.str_]
    targets: IntArray
    probabilities: NDArray[np.floating[Any]]
    label_space: LabelSpace
    split: str
    rule: str
    embeddings: NDArray[np.floating[Any]] | None = None
    subjects: NDArray[np.str_] | None = None
    votes: NDArray[Any] | None = None
    crops: UInt8Array | Any | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        n, classes = len(self.ids), len(self.label_space)
        _check_targets("targets", self.targets, n, classes)
        for name, array, shape in (
            ("probabilities", self.probabilities, (n, classes)),
            ("embeddings", self.embeddings, (n, ...)),
            ("subjects", self.subjects, (n,)),
            ("votes", self.votes, (n, classes)),
        ):
            if array is not None and (
                array.shape[:1] != shape[:1]
                or array.ndim != len(shape)
                or shape[1:] not in ((...,), array.shape[1:])
            ):
                raise ValueError(f"expected {name} of shape {shape}, got {array.shape}")
        if self.crops is not None and len(self.crops) != n:
            raise ValueError(f"expected {n} crops, got {len(self.crops)}")
        sums = np.asarray(self.probabilities, np.float64).sum(1)
        # Written so that NaN fails too.
        if not (np.abs(sums - 1) < 1e-3).all() or not (np.asarray(self.probabilities) >= 0).all():
            raise ValueError("expected rows of probabilities in [0, 1] that sum to one")


def evaluate(
    evaluation: Evaluation,
    *,
    other_targets: Mapping[str, IntArray] | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> dict[str, Any]:
    """Compute the content of ``report.json``: every metric with its 95 % bootstrap interval.

    Parameters
    ----------
    evaluation
        The arrays; at least one row must have a target (:class:`MienError`).
    other_targets
        By rule, ``(N,)`` targets of the same rows made in another way, -1 where the rule leaves
        a row out. Their metrics come under ``other_rules``.
    seed, draws
        Of the bootstrap. Subjects are drawn where they are known; a row whose subject is ""
        counts as a subject of its own.

    Returns
    -------
    Plain numbers, strings, lists and dicts without NaN. A value that is not defined, or has no
    interval, is None and its ``reason`` is beside it.
    """
    _require_train_extra()
    main, names = evaluation.targets, evaluation.label_space.names
    kept = np.flatnonzero(main >= 0)
    if kept.size == 0:
        raise MienError(
            f"expected rows with a target in split {evaluation.split!r}, got none of {main.size} "
            f"by the rule {evaluation.rule!r}: name another split or rule"
        )
    values = _intervals(evaluation, main, seed=seed, draws=draws, per_class=True)
    truth, probabilities = main[kept], evaluation.probabilities[kept]
    bins = metrics.reliability(truth, probabilities)
    confusion = metrics.confusion_matrix(truth, probabilities.argmax(1), len(names))
    left_out = {reason: count for reason, count in evaluation.left_out.items() if count}
    if unexplained := max(0, int(main.size - kept.size) - sum(left_out.values())):
        left_out["no target"] = unexplained
    clusters = None if evaluation.subjects is None else np.unique(_clusters(evaluation, kept))
    others = {
        rule: _other_rule(evaluation, targets, seed=seed, draws=draws)
        for rule, targets in (other_targets or {}).items()
    }
    return {
        "split": evaluation.split,
        "n": int(kept.size),
        "label_space": {"name": evaluation.label_space.name, "names": list(names)},
        "rule": evaluation.rule,
        "metrics": _scalars(values),
        "per_class": {
            name: {"n": int(confusion[index].sum())}
            | {key: values[key, index].as_dict() for key in ("precision", "recall", "f1")}
            for index, name in enumerate(names)
        },
        "confusion": confusion.astype(int).tolist(),
        "confusion_shares": [
            [values["share", row, column].as_dict() for column in range(len(names))]
            for row in range(len(names))
        ],
        "clustered_by": None if clusters is None else "subject",
        "clusters": None if clusters is None else int(clusters.size),
        "intervals": {"level": LEVEL, "draws": draws, "seed": seed},
        "reliability": [
            {"above": low, "to": high, "n": int(n)}
            | ({"confidence": confidence, "accuracy": accuracy} if n else {})
            for low, high, n, confidence, accuracy in zip(
                bins.edges[:-1].tolist(),
                bins.edges[1:].tolist(),
                bins.count.tolist(),
                bins.confidence.tolist(),
                bins.accuracy.tolist(),
                strict=True,
            )
        ],
        "mistakes": _mistakes(evaluation, kept),
        "other_rules": others,
        "left_out": left_out,
        "provenance": dict(evaluation.provenance),
        "warnings": [*evaluation.warnings, *_own_warnings(confusion, names, clusters)],
    }


def write_report(evaluation: Evaluation, report: dict[str, Any], folder: str | Path) -> Path:
    """Write ``report.json`` and ``report.html`` into ``folder`` and return the page's path.

    ``report`` is what :func:`evaluate` made of ``evaluation``. The page needs no other file and
    no network. Both files appear whole or not at all.
    """
    from mien.evaluation.page import render_page

    _require_train_extra()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    page = render_page(evaluation, report)
    _replace(folder / "report.json", text)
    return _replace(folder / "report.html", page)


def _intervals(
    evaluation: Evaluation, targets: IntArray, *, seed: int, draws: int, per_class: bool = False
) -> dict[Hashable, Interval]:
    """Every metric of the rows with a target; class-wise ones under ``(name, class, ...)``."""
    rows = np.flatnonzero(targets >= 0)
    truth = targets[rows]
    probabilities = np.asarray(evaluation.probabilities[rows], np.float64)
    predictions = probabilities.argmax(1)
    classes = len(evaluation.label_space)
    nll = metrics.negative_log_likelihoods(truth, probabilities)
    votes = np.zeros((0, classes)) if evaluation.votes is None else evaluation.votes[rows]
    rated = np.flatnonzero(votes.sum(1) > 0)
    agreement = metrics.vote_agreements(votes[rated], predictions[rated])
    divergence = metrics.vote_divergences(votes[rated], probabilities[rated])

    def statistics(weights: FloatArray) -> dict[Hashable, FloatArray]:
        confusion = metrics.confusion_matrix(truth, predictions, classes, weights=weights)
        found: dict[Hashable, FloatArray] = {
            "accuracy": metrics.accuracy(confusion),
            "mean_class_accuracy": metrics.mean_class_accuracy(confusion),
            "macro_f1": metrics.macro_f1(confusion),
        }
        found["nll"] = metrics.weighted_means(weights, nll)
        if rated.size:
            found["vote_agreement"] = metrics.weighted_means(weights[:, rated], agreement)
            found["vote_kl"] = metrics.weighted_means(weights[:, rated], divergence)
        if per_class:
            for measure in (metrics.precision, metrics.recall, metrics.f1):
                columns = measure(confusion).T
                found |= {(measure.__name__, index): value for index, value in enumerate(columns)}
            shares = metrics.row_shares(confusion)
            found |= {("share", *cell): shares[:, *cell] for cell in np.ndindex(classes, classes)}
        return found

    clusters = None if evaluation.subjects is None else _clusters(evaluation, rows)
    values = bootstrap_intervals(
        statistics, rows.size, clusters=clusters, draws=draws, level=LEVEL, seed=seed
    )
    values["ece"] = Interval(
        metrics.expected_calibration_error(metrics.reliability(truth, probabilities)),
        reason="drawing rows again adds noise to every bin, so a bootstrap of it is biased upwards",
    )
    return values | _retrieval_intervals(evaluation, rows, truth, seed=seed, draws=draws)


def _retrieval_intervals(
    evaluation: Evaluation, rows: IntArray, truth: IntArray, *, seed: int, draws: int
) -> dict[Hashable, Interval]:
    if evaluation.embeddings is None:
        return dict.fromkeys(
            RETRIEVAL_METRICS, Interval(None, reason="the model gave no embedding")
        )
    found = retrieve(evaluation.embeddings[rows], truth)
    if found.queries.size == 0:
        return dict.fromkeys(RETRIEVAL_METRICS, Interval(None, reason="no class has two rows"))

    def statistics(weights: FloatArray) -> dict[Hashable, FloatArray]:
        return {
            "precision_at_1": metrics.weighted_means(weights, found.precision_at_1),
            "map_at_r": metrics.weighted_means(weights, found.map_at_r),
        }

    subjects = evaluation.subjects
    return bootstrap_intervals(
        statistics,
        found.queries.size,
        clusters=None if subjects is None else _clusters(evaluation, rows)[found.queries],
        draws=draws,
        level=LEVEL,
        seed=seed,
    )


def _other_rule(
    evaluation: Evaluation, targets: IntArray, *, seed: int, draws: int
) -> dict[str, Any]:
    _check_targets("other_targets", targets, len(evaluation.ids), len(evaluation.label_space))
    n = int((targets >= 0).sum())
    result: dict[str, Any] = {"n": n, "left_out": int(targets.size - n), "metrics": {}}
    if n:
        result["metrics"] = _scalars(_intervals(evaluation, targets, seed=seed, draws=draws))
    return result


def _scalars(values: Mapping[Hashable, Interval]) -> dict[str, dict[str, Any]]:
    return {name: value.as_dict() for name, value in values.items() if isinstance(name, str)}


def _clusters(evaluation: Evaluation, rows: IntArray) -> NDArray[np.int64]:
    """A number for each row's subject; a row without one is alone."""
    subjects = np.asarray(evaluation.subjects)[rows].astype(str)
    _, numbers = np.unique(subjects, return_inverse=True)
    alone = subjects == ""
    numbers = numbers.astype(np.int64)
    numbers[alone] = numbers.size + np.arange(int(alone.sum()))
    return numbers


def _mistakes(evaluation: Evaluation, rows: IntArray) -> list[dict[str, Any]]:
    names, probabilities = evaluation.label_space.names, evaluation.probabilities
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = rows[predicted[rows] != evaluation.targets[rows]]
    first = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    return [
        {
            "row": int(row),
            "id": str(evaluation.ids[row]),
            "truth": names[evaluation.targets[row]],
            "prediction": names[predicted[row]],
            "confidence": float(confidence[row]),
        }
        for row in first
    ]


def _own_warnings(
    confusion: FloatArray, names: Sequence[str], clusters: NDArray[Any] | None
) -> list[str]:
    found = []
    absent = [name for name, n in zip(names, confusion.sum(1), strict=True) if n == 0]
    if absent:
        found.append(
            f"No row shows {', '.join(absent)}: mean-class accuracy and macro-F1 are over the "
            f"other {len(names) - len(absent)} of {len(names)} classes."
        )
    if clusters is not None and clusters.size < FEW_CLUSTERS:
        found.append(
            f"The rows come from {clusters.size} subject{'s' * (clusters.size != 1)}: intervals "
            f"from fewer than {FEW_CLUSTERS} are too narrow or missing."
        )
    return found


def _check_targets(name: str, targets: IntArray, n: int, classes: int) -> None:
    if targets.shape != (n,) or targets.dtype.kind not in "iu":
        raise ValueError(f"expected integer {name} ({n},), got {targets.dtype} {targets.shape}")
    if n and not (targets.min() >= -1 and targets.max() < classes):
        raise ValueError(
            f"expected {name} in [-1, {classes}), got {targets.min()} to {targets.max()}"
        )


def _require_train_extra() -> None:
    missing = [
        name for name in ("scipy", "sklearn", "matplotlib") if not importlib.util.find_spec(name)
    ]
    if missing:
        raise MienError(
            f"expected the packages that evaluation needs, got no {', '.join(missing)}: "
            'run pip install "mien[train]"'
        )


def _replace(path: Path, text: str) -> Path:
    """Write through a sibling, so that nobody ever finds half a file under the name."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
