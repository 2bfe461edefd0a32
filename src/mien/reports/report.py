"""From the arrays of one evaluation to ``report.json`` and ``report.html``."""

from __future__ import annotations

import importlib.util
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.files import write_json, write_text
from mien.metrics import classification as metrics
from mien.metrics.classification import FloatArray, IntArray
from mien.metrics.regression import DIMENSIONS
from mien.reports.readings import Reference, compare_readings
from mien.schema import MienError
from mien.statistics.arrays import Evaluation, check_targets
from mien.statistics.bootstrap import FEW_CLUSTERS, Interval
from mien.statistics.scores import LEVEL, score, score_affect

__all__ = ["Evaluation", "Reference", "evaluate", "write_report"]

MISTAKES = 24


def evaluate(
    evaluation: Evaluation,
    *,
    other_targets: Mapping[str, IntArray] | None = None,
    reference: Reference | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> dict[str, Any]:
    """Compute the content of ``report.json``: every metric with its 95 % bootstrap interval.

    Parameters
    ----------
    evaluation
        The arrays; at least one row must have a target, or known and predicted valence and
        arousal (:class:`MienError`). Without an expression in any row the entries of
        expressions are empty, without valence and arousal ``valence_arousal`` is None, as is
        ``graph`` for a model without one.
    other_targets
        By rule, ``(N,)`` targets of the same rows made in another way, -1 where the rule leaves
        a row out. Their metrics come under ``other_rules``.
    reference
        Faces whose classes are read off their neighbors beside the softmax: the entry
        ``reference``, else None.
    seed, draws
        Of the bootstrap. Subjects are drawn where they are known; a row whose subject is ""
        counts as a subject of its own.

    Returns
    -------
    Plain numbers, strings, lists and dicts without NaN. A value that is not defined, or has no
    interval, is None and its ``reason`` is beside it.
    """
    require_train_extra()
    main, names = evaluation.targets, evaluation.label_space.names
    kept = np.flatnonzero(main >= 0)
    if kept.size == 0 and evaluation.rated.size == 0:
        raise MienError(
            f"expected rows with a target in split {evaluation.split!r}, got none of {main.size} "
            f"by the rule {evaluation.rule!r}: name another split or rule"
        )
    left_out = {reason: count for reason, count in evaluation.left_out.items() if count}
    if unexplained := max(0, int(main.size - kept.size) - sum(left_out.values())):
        left_out["no target"] = unexplained
    numbers = evaluation.clusters(kept if kept.size else evaluation.rated)
    clusters = None if numbers is None else len(np.unique(numbers))
    others = {
        rule: _other_rule(evaluation, targets, seed=seed, draws=draws)
        for rule, targets in (other_targets or {}).items()
    }
    expressions, own_warnings = _expressions(evaluation, kept, seed=seed, draws=draws)
    return {
        "split": evaluation.split,
        "n": int(kept.size),
        "label_space": {"name": evaluation.label_space.name, "names": list(names)},
        "rule": evaluation.rule,
        **expressions,
        "valence_arousal": _affect(evaluation, seed=seed, draws=draws),
        "graph": None if evaluation.graph is None else dict(evaluation.graph),
        "clustered_by": None if clusters is None else "subject",
        "clusters": clusters,
        "intervals": {"level": LEVEL, "draws": draws, "seed": seed},
        "other_rules": others,
        "reference": reference and compare_readings(evaluation, reference, seed=seed, draws=draws),
        "left_out": left_out,
        "provenance": dict(evaluation.provenance),
        "warnings": [*evaluation.warnings, *own_warnings, *_cluster_warnings(clusters)],
    }


def _expressions(
    evaluation: Evaluation, kept: IntArray, *, seed: int, draws: int
) -> tuple[dict[str, Any], list[str]]:
    """The entries of a report that need rows with an expression, and their warnings."""
    if kept.size == 0:
        empty: dict[str, Any] = {"metrics": {}, "per_class": {}}
        lists = ("confusion", "confusion_shares", "reliability", "mistakes")
        return empty | {name: [] for name in lists}, []
    names = evaluation.label_space.names
    values = score(evaluation, evaluation.targets, seed=seed, draws=draws, per_class=True)
    truth, probabilities = evaluation.targets[kept], evaluation.probabilities[kept]
    bins = metrics.reliability(truth, probabilities)
    confusion = metrics.confusion_matrix(truth, probabilities.argmax(1), len(names))
    entries = {
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
    }
    return entries, _class_warnings(confusion, names)


def _affect(evaluation: Evaluation, *, seed: int, draws: int) -> dict[str, Any] | None:
    """The metrics of valence and arousal; None where no row has them of model and dataset."""
    rows = evaluation.rated
    if rows.size == 0 or evaluation.valence_arousal_targets is None:
        return None
    values = score_affect(evaluation, seed=seed, draws=draws)
    zeros = (evaluation.valence_arousal_targets[rows] == 0).sum(0)
    entry: dict[str, Any] = {
        "n": int(rows.size),
        "left_out": len(evaluation.ids) - int(rows.size),
        "mean_ccc": values["mean", "ccc"].as_dict(),
    }
    for dimension, zero in zip(DIMENSIONS, zeros.tolist(), strict=True):
        found = {name: value.as_dict() for (of, name), value in values.items() if of == dimension}
        entry[dimension] = found | {"zero_targets": zero}
    return entry


def write_report(evaluation: Evaluation, report: dict[str, Any], folder: str | Path) -> Path:
    """Write ``report.json`` and ``report.html`` into ``folder`` and return the page's path.

    ``report`` is what :func:`evaluate` made of ``evaluation``. The page needs no other file and
    no network. Both files appear whole or not at all.
    """
    from mien.reports.page import render_page

    require_train_extra()
    return write_documents(folder, "report", report, render_page(evaluation, report))


def write_documents(folder: str | Path, name: str, document: Mapping[str, Any], page: str) -> Path:
    """Write ``NAME.json`` and ``NAME.html`` into ``folder``; each appears whole or not at all."""
    write_json(Path(folder) / f"{name}.json", document)
    return write_text(Path(folder) / f"{name}.html", page)


def _other_rule(
    evaluation: Evaluation, targets: IntArray, *, seed: int, draws: int
) -> dict[str, Any]:
    check_targets("other_targets", targets, len(evaluation.ids), len(evaluation.label_space))
    n = int((targets >= 0).sum())
    result: dict[str, Any] = {"n": n, "left_out": int(targets.size - n), "metrics": {}}
    if n:
        result["metrics"] = _scalars(score(evaluation, targets, seed=seed, draws=draws))
    return result


def _scalars(values: Mapping[Hashable, Interval]) -> dict[str, dict[str, Any]]:
    return {name: value.as_dict() for name, value in values.items() if isinstance(name, str)}


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


def _class_warnings(confusion: FloatArray, names: Sequence[str]) -> list[str]:
    absent = [name for name, n in zip(names, confusion.sum(1), strict=True) if n == 0]
    if not absent:
        return []
    return [
        f"No row shows {', '.join(absent)}: mean-class accuracy and macro-F1 are over the "
        f"other {len(names) - len(absent)} of {len(names)} classes."
    ]


def _cluster_warnings(clusters: int | None) -> list[str]:
    if clusters is None or clusters >= FEW_CLUSTERS:
        return []
    return [
        f"The rows come from {clusters} subject{'s' * (clusters != 1)}: intervals "
        f"from fewer than {FEW_CLUSTERS} are too narrow or missing."
    ]


def require_train_extra() -> None:
    """Raise :class:`MienError` with the install line where scipy, sklearn or matplotlib lack."""
    missing = [
        name for name in ("scipy", "sklearn", "matplotlib") if not importlib.util.find_spec(name)
    ]
    if missing:
        raise MienError(
            f"expected the packages that evaluation needs, got no {', '.join(missing)}: "
            'run pip install "mien[train]"'
        )
