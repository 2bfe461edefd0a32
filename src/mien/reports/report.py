"""From the arrays of one evaluation to ``report.json`` and ``report.html``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.heads import HEADS
from mien.reports.document import (
    cluster_warnings,
    head_parts,
    require_train_extra,
    unlabeled_warning,
    write_documents,
)
from mien.reports.evaluation import Evaluation
from mien.reports.figures.graph import draw_graph, edge_count
from mien.reports.groups import evaluate_groups, group_tables
from mien.reports.page import render
from mien.reports.sections import SECTIONS
from mien.reports.sensitivity import evaluate_sensitivity, example_strips, sensitivity_table
from mien.reports.tables import headline
from mien.statistics.bootstrap import LEVEL
from mien.statistics.subjects import count_subjects


def evaluate(evaluation: Evaluation, *, seed: int = 0, draws: int = 1000) -> dict[str, Any]:
    """Compute the content of ``report.json``: every metric with its 95 % bootstrap interval.

    A head without a target in any row is left out, with a warning; at least one has to remain
    (:class:`MienError`). Subjects are drawn where they are known; a row whose subject is ""
    counts as a subject of its own.

    Returns
    -------
    Plain numbers, strings, lists and dicts without NaN. A value that is not defined, or has no
    interval, is None and its ``reason`` is beside it. ``heads`` has the entry of each head.
    """
    require_train_extra()
    heads: dict[str, Any] = {}
    first, last = [], []
    for name in evaluation.heads:
        if not evaluation.heads[name].labeled.any():
            last.append(unlabeled_warning(evaluation.unit, evaluation.split, name))
            continue
        heads[name], warnings = SECTIONS[name].evaluate(evaluation, seed=seed, draws=draws)
        first += warnings
    if not heads:
        raise MienError(
            f"expected {evaluation.unit}s of split {evaluation.split!r} with a target of the "
            f"model's heads ({', '.join(evaluation.heads)}), got none of {len(evaluation.ids)}: "
            "name another split or rule"
        )
    clusters = count_subjects(evaluation.clusters(evaluation.labeled))
    return {
        "split": evaluation.split,
        "unit": evaluation.unit,
        "n": int(evaluation.labeled.sum()),
        "heads": heads,
        "groups": evaluate_groups(evaluation, list(heads), seed=seed, draws=draws),
        "sensitivity": evaluate_sensitivity(evaluation, list(heads), seed=seed, draws=draws),
        "graph": None if evaluation.graph is None else dict(evaluation.graph),
        "clustered_by": None if clusters is None else "subject",
        "clusters": clusters,
        "intervals": {"level": LEVEL, "draws": draws, "seed": seed},
        "left_out": {reason: count for reason, count in evaluation.left_out.items() if count},
        "provenance": dict(evaluation.provenance),
        "warnings": [
            *first,
            *evaluation.warnings,
            *last,
            *cluster_warnings(clusters, evaluation.unit),
        ],
    }


def write_report(evaluation: Evaluation, report: Mapping[str, Any], folder: str | Path) -> Path:
    """Write ``report.json`` and ``report.html`` into ``folder`` and return the page's path.

    ``report`` is what :func:`evaluate` made of ``evaluation``. The page needs no other file and
    no network. Both files appear whole or not at all.
    """
    require_train_extra()
    return write_documents(folder, "report", report, _render(evaluation, report))


def _render(evaluation: Evaluation, report: Mapping[str, Any]) -> str:
    """The whole of ``report.html``."""
    provenance = report["provenance"]
    title = " on ".join(filter(None, (provenance.get("model"), provenance.get("dataset"))))
    seed = report["intervals"]["seed"]
    heads = head_parts(
        report["heads"],
        tables=lambda section, entry: section.tables(entry),
        figures=lambda section, entry: section.figures(evaluation, entry, seed=seed),
        numbers=lambda section, entry: headline(
            entry["metrics"], [section.METRICS[name] for name in section.HEADLINE]
        ),
    )
    graph = report["graph"]
    return render(
        "report.html",
        title=title or f"Split {report['split']}",
        report=report,
        heads=heads,
        groups=group_tables(report["groups"]),
        sensitivity=_sensitivity(evaluation, report),
        graph=graph
        and {
            "figure": draw_graph(graph["nodes"], graph["adjacency"]),
            "edges": edge_count(graph["adjacency"]),
            "correlation": list(zip(graph["nodes"], graph["correlation"] or [], strict=False)),
        },
    )


def _sensitivity(evaluation: Evaluation, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tables by the title of the head, and the examples in the order of the first one."""
    made, entries = evaluation.sensitivity, report["sensitivity"]
    if made is None or entries is None:
        return None
    heads = entries["heads"]
    first = next(iter(heads))
    return {
        "tables": [
            (HEADS[name].title, sensitivity_table(name, entry)) for name, entry in heads.items()
        ],
        "left_out": entries["left_out"],
        "strips": example_strips(made, first, heads[first]),
    }
