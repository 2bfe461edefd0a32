"""``mien evaluate``: a model on a split of a dataset, as a report."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.data.dataset import Dataset
from mien.data.targets import RULES
from mien.errors import MienError
from mien.evaluation.models import open_model
from mien.models import ModelInfo

LABEL_RULES = tuple(name for name in RULES if name != "distribution")
"""The rules that make one label of votes."""


def evaluate(
    run_or_model: str | Path,
    data: str | Path,
    out: str | Path | None = None,
    *,
    split: str = "test",
    rule: str = "majority",
    reference: str | None = None,
    sensitivity: bool = False,
    index: str | Path | None = None,
) -> tuple[dict[str, Any], Path]:
    """Evaluate a run or a model on a split of a dataset; (content of report.json, the page).

    The report has a section for each head of the model that the split has labels for. Memory does
    not grow with the crops.

    Parameters
    ----------
    out
        The report's folder; None for ``report`` in the run folder, or here for a model file.
    rule
        How votes become the label; the metrics under the other rule are in the report as well.
    reference
        Another split, whose labeled faces are embedded too, to classify by nearest neighbors.
    sensitivity
        Whether to predict the rows again after each change of :mod:`mien.evaluation.changes`.

    index
        What ``mien index`` made with the same model file: the nearest faces in it stand below the
        most confident mistakes.

    Raises :class:`MienError` where the split has no label for any head, and where the dataset's
    classes, scale or crops do not fit the model's.
    """
    # Here, so that a model can be opened without what metrics and plots need.
    from mien.evaluation.predictions import evaluation_of
    from mien.reports.report import evaluate as make_report
    from mien.reports.report import write_report
    from mien.search.neighbors import open_neighbors

    check_rule(rule)
    if reference == split:
        raise MienError(
            f"expected another split than the one evaluated as --reference, got {split!r} for "
            "both: every face would be its own neighbor"
        )
    model, dataset = open_model(run_or_model), Dataset.open(data)
    check_rule_counts(rule, [model.info], [dataset])
    if "expression" not in model.info.heads and reference is not None:
        raise MienError(
            f"expected no --reference for a model without the head expression, got {reference!r}: "
            "leave it out"
        )
    if "expression" not in model.info.heads and index is not None:
        raise MienError(
            f"expected no --index for a model without the head expression, got {str(index)!r}: "
            "leave it out"
        )
    checksum = str(dataset.info.get("checksum"))
    neighbors = None if index is None else open_neighbors(index, run_or_model, checksum=checksum)
    evaluation = evaluation_of(
        model,
        dataset,
        run_or_model,
        split=split,
        rule=rule,
        other_rules=LABEL_RULES,
        reference=reference,
        sensitivity=sensitivity,
    )
    command = ["mien", "evaluate", str(run_or_model), "--data", str(data), "--split", split]
    if "expression" in evaluation.heads:
        command += ["--rule", rule] + ([] if reference is None else ["--reference", reference])
    command += ["--sensitivity"] if sensitivity else []
    command += [] if index is None else ["--index", str(index)]
    provenance = {**evaluation.provenance, "command": shlex.join(command)}
    evaluation = replace(evaluation, provenance=provenance, neighbors=neighbors)
    report = make_report(evaluation)
    folder = _default_folder(run_or_model) if out is None else out
    return report, write_report(evaluation, report, folder)


def check_rule(rule: str) -> None:
    """Raise :class:`MienError` unless it makes one label of votes."""
    if rule not in LABEL_RULES:
        raise MienError(f"expected a rule for labels ({', '.join(LABEL_RULES)}), got {rule!r}")


def check_rule_counts(rule: str, infos: Iterable[ModelInfo], datasets: Iterable[Dataset]) -> None:
    """Raise :class:`MienError` for a rule other than the default where it changes nothing.

    That is so where no model reads expressions, and where no dataset has votes.
    """
    if rule == "majority":
        return
    if not any("expression" in info.heads for info in infos):
        raise MienError(
            f"expected no --rule where no model has the head expression, got {rule!r}: leave it out"
        )
    if not any(dataset.vote_names for dataset in datasets):
        raise MienError(
            f"expected a dataset with votes for --rule {rule}, got one without, whose labels are "
            "the same by every rule: leave it out"
        )


def _default_folder(run_or_model: str | Path) -> Path:
    path = Path(run_or_model)
    return path / "report" if path.is_dir() else Path("report")
