"""Valence and arousal: concordance, errors and the circumplex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.catalog import VALENCE_AROUSAL, by_name
from mien.metrics.classification import IntArray
from mien.metrics.regression import DIMENSIONS, valence_arousal_metrics
from mien.reports.evaluation import (
    Evaluation,
    ExpressionArrays,
    ValenceArousalArrays,
    arrays_of,
)
from mien.reports.figures import classes
from mien.reports.figures.circumplex import circumplex
from mien.reports.figures.embedding import MAP_ROWS
from mien.reports.sections.section import Block, Entry, Pairing, Side, Verdict
from mien.reports.tables import Heading, Row, Table, difference_cell, metric_heading, plural
from mien.statistics.bootstrap import Bootstrap, bootstrap, intervals
from mien.statistics.paired import combined, run_differences

METRICS = by_name(VALENCE_AROUSAL)
HEADLINE = ("mean_ccc", "ccc_valence", "ccc_arousal")
"""The metrics that a comparison is about, too."""
_BY_DIMENSION = ("ccc", "pcc", "rmse", "mae", "sagr")


@dataclass(frozen=True, eq=False)
class Measured:
    """The draws of a run's metrics over the rows whose targets are ``(n, 2)``."""

    rows: IntArray
    targets: NDArray[np.floating[Any]]
    drawn: Bootstrap[str]
    left_out: dict[str, int]


def evaluate(
    evaluation: Evaluation, *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """Every metric of both dimensions; ``zero_targets`` counts rows without a sign."""
    run = measure(evaluation, seed=seed, draws=draws)
    values = intervals(run.drawn)
    zeros = (run.targets == 0).sum(0)
    entry = {
        "n": len(run.rows),
        "metrics": {name: values[name].as_dict() for name in METRICS},
        "zero_targets": dict(zip(DIMENSIONS, zeros.tolist(), strict=True)),
        "left_out": run.left_out,
    }
    return entry, []


def measure(
    evaluation: Evaluation, *, plane: bool = True, seed: int = 0, draws: int = 1000
) -> Measured:
    """The bootstrap of every metric, paired between models of the same rows and seed."""
    arrays = arrays_of(evaluation, "valence_arousal", ValenceArousalArrays)
    rows = np.flatnonzero(arrays.labeled)
    predictions, targets = arrays.predictions[rows], arrays.targets[rows]
    drawn = bootstrap(
        lambda weights: valence_arousal_metrics(predictions, targets, weights=weights),
        rows.size,
        clusters=evaluation.clusters(rows),
        draws=draws,
        seed=seed,
    )
    return Measured(rows, targets, drawn, arrays.reasons())


def tables(entry: Entry) -> dict[str, Any]:
    """The metrics of valence and of arousal side by side."""
    table = Table([Heading(name.capitalize()) for name in DIMENSIONS])
    for name in _BY_DIMENSION:
        metrics = [METRICS[f"{name}_{dimension}"] for dimension in DIMENSIONS]
        cells = [
            table.value(_with_zeros(entry, dimension, metric.name), metric.unit)
            for dimension, metric in zip(DIMENSIONS, metrics, strict=True)
        ]
        heading = metric_heading(metrics[0])
        title = heading.title.removesuffix(f" of {DIMENSIONS[0]}")
        table.rows.append(Row(heading._replace(title=title), cells))
    return {"metrics": table}


def _with_zeros(entry: Entry, dimension: str, metric: str) -> Entry:
    """The entry of a metric; that of sign agreement says how many rows it leaves out."""
    value: Entry = entry["metrics"][metric]
    zeros = entry["zero_targets"][dimension]
    if not metric.startswith("sagr") or not zeros or value.get("reason"):
        return value
    reason = f"{zeros:,} of {entry['n']:,} rows have {dimension} 0, which has no sign"
    return {**value, "reason": reason}


def figures(evaluation: Evaluation, entry: Entry, *, seed: int = 0) -> dict[str, Any]:
    """The circumplex, in the colors of the expressions where these are known."""
    arrays = arrays_of(evaluation, "valence_arousal", ValenceArousalArrays)
    rows = np.flatnonzero(arrays.labeled)
    predictions, targets = (
        np.asarray(values, np.float64)[rows] for values in (arrays.predictions, arrays.targets)
    )
    expression = evaluation.heads.get("expression")
    names: Sequence[str] = ()
    labels = np.full(rows.size, -1)
    if isinstance(expression, ExpressionArrays):
        names, labels = expression.names, expression.targets[rows]
    return {
        "circumplex": circumplex(predictions, targets, labels, names, seed=seed),
        "legend": classes.legend(labels, names),
        "by_class": bool((labels >= 0).any()),
        "drawn": min(int(rows.size), MAP_ROWS),
    }


def headline(entry: Entry) -> list[Block]:
    """Every metric."""
    return [Block(f"{plural(entry['n'], 'row')}, valence and arousal", entry["metrics"])]


def compare(
    sides: Sequence[Side], pairings: Sequence[Pairing], *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """The concordances of each side, and their differences to the first."""
    runs: list[Measured] = [run for side in sides for run in side.runs]
    for run in runs:
        if not (
            np.array_equal(run.rows, runs[0].rows) and np.array_equal(run.targets, runs[0].targets)
        ):
            raise ValueError("expected runs that were measured on the same rows and targets")
    entry: dict[str, Any] = {
        "n": len(runs[0].rows),
        "entries": [
            {
                "letter": side.letter,
                "metrics": _shown(intervals(combined([run.drawn for run in side.runs]))),
                "members": [{"metrics": _shown(intervals(run.drawn))} for run in side.runs],
            }
            for side in sides
        ],
        "comparisons": [],
        "left_out": runs[0].left_out,
    }
    for side, pairing in zip(sides[1:], pairings, strict=True):
        pairs = pairing.runs(side.runs, sides[0].runs)
        ours, theirs = ([run.drawn for run in of_side] for of_side in pairs)
        differences = run_differences(ours, theirs, paired=bool(pairing.pairs))
        entry["comparisons"].append(
            {"entry": pairing.entry, "to": pairing.to, "metrics": _shown(differences), "notes": []}
        )
    return entry, []


def _shown(values: Any) -> dict[str, Any]:
    return {name: values[name].as_dict() for name in HEADLINE}


def comparison_tables(entry: Entry, document: Entry) -> dict[str, Any]:
    """Values of each side and differences in one table."""
    labels = {side["letter"]: side["label"] for side in document["entries"]}
    columns = [
        Heading(labels[side["letter"]], letter=side["letter"]) for side in entry["entries"]
    ] + [
        Heading(f"{comparison['entry']} \u2212 {comparison['to']}")
        for comparison in entry["comparisons"]
    ]
    table = Table(columns)
    for name in HEADLINE:
        unit = METRICS[name].unit
        cells = [table.value(side["metrics"][name], unit) for side in entry["entries"]]
        for comparison, pairing in zip(entry["comparisons"], document["comparisons"], strict=True):
            seeds = len(pairing["seeds"])
            cells.append(difference_cell(comparison["metrics"][name], unit, seeds=seeds))
        table.rows.append(Row(metric_heading(METRICS[name]), cells))
    return {"metrics": table}


def comparison_figures(entry: Entry, sides: Sequence[Side]) -> dict[str, Any]:
    """None."""
    return {}


def verdicts(entry: Entry, document: Entry) -> list[Verdict]:
    """None: no verdict is given on valence and arousal."""
    return []


def comparison_headline(entry: Entry, document: Entry) -> list[Block]:
    """The concordances of each side and their differences."""
    labels = {side["letter"]: side["label"] for side in document["entries"]}
    rows = plural(entry["n"], "row")
    return [
        Block(
            f"{side['letter']} {labels[side['letter']]}: {rows}, valence and arousal",
            side["metrics"],
        )
        for side in entry["entries"]
    ] + [
        Block(f"{comparison['entry']} less {comparison['to']}, paired", comparison["metrics"])
        for comparison in entry["comparisons"]
    ]
