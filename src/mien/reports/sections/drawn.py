"""What sections share whose metrics are all drawn at once: values and differences, no test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import IntArray
from mien.metrics.metric import Metric
from mien.reports.sections.section import Block, Entry, Pairing, Side
from mien.reports.tables import Heading, Row, Table, difference_cell, metric_heading
from mien.statistics.bootstrap import Bootstrap, Interval, intervals
from mien.statistics.paired import RunDifference, combined, run_differences


@dataclass(frozen=True, eq=False)
class Measured:
    """The draws of a run's metrics over the ``rows`` ``(n,)`` whose targets are ``(n, K)``."""

    rows: IntArray
    targets: NDArray[np.floating[Any]]
    drawn: Bootstrap[str]
    left_out: Mapping[str, int]


def compare_drawn(
    sides: Sequence[Side], pairings: Sequence[Pairing], shown: Sequence[str]
) -> dict[str, Any]:
    """The ``shown`` metrics of each side, and their differences to the first.

    ``ValueError`` where the runs were measured on other rows.
    """
    runs: list[Measured] = [run for side in sides for run in side.runs]
    for run in runs:
        if not (
            np.array_equal(run.rows, runs[0].rows)
            and np.array_equal(run.targets, runs[0].targets, equal_nan=True)
        ):
            raise ValueError("expected runs that were measured on the same rows and targets")
    comparisons = []
    for side, pairing in zip(sides[1:], pairings, strict=True):
        of_entry, of_first = (
            [run.drawn for run in runs] for runs in pairing.runs(side.runs, sides[0].runs)
        )
        differences = run_differences(of_entry, of_first, paired=bool(pairing.pairs))
        metrics = _documents(differences, shown)
        comparisons.append(
            {"entry": pairing.entry, "to": pairing.to, "metrics": metrics, "notes": []}
        )
    return {
        "n": len(runs[0].rows),
        "entries": [
            {
                "letter": side.letter,
                "metrics": _documents(intervals(combined([run.drawn for run in side.runs])), shown),
                "members": [
                    {"metrics": _documents(intervals(run.drawn), shown)} for run in side.runs
                ],
            }
            for side in sides
        ],
        "comparisons": comparisons,
        "left_out": dict(runs[0].left_out),
    }


def side_by_side(
    entry: Entry, document: Entry, metrics: Iterable[Metric], lead: str
) -> dict[str, Any]:
    """The table of a comparison, under ``metrics``: values of each side, then the differences.

    ``lead`` says what is in it; that differences are paired follows.
    """
    labels = {side["letter"]: side["label"] for side in document["entries"]}
    columns = [
        Heading(labels[side["letter"]], letter=side["letter"]) for side in entry["entries"]
    ] + [
        Heading(f"{comparison['entry']} \u2212 {comparison['to']}")
        for comparison in entry["comparisons"]
    ]
    lead = f"{lead} The differences are paired over the same rows."
    table = Table(columns, lead=lead)
    for metric in metrics:
        cells = [
            table.value(side["metrics"][metric.name], metric.unit) for side in entry["entries"]
        ]
        for comparison, pairing in zip(entry["comparisons"], document["comparisons"], strict=True):
            seeds = len(pairing["seeds"])
            cells.append(
                difference_cell(comparison["metrics"][metric.name], metric.unit, seeds=seeds)
            )
        table.rows.append(Row(metric_heading(metric), cells))
    return {"metrics": table}


def no_figures(entry: Entry, sides: Sequence[Side]) -> dict[str, Any]:
    """The figures of a comparison that has none."""
    return {}


def side_blocks(entry: Entry, document: Entry, what: str) -> list[Block]:
    """The values of each side and the differences, for a terminal; ``what`` was measured."""
    labels = {side["letter"]: side["label"] for side in document["entries"]}
    values = [
        Block(f"{side['letter']} {labels[side['letter']]}: {what}", side["metrics"])
        for side in entry["entries"]
    ]
    differences = [
        Block(f"{comparison['entry']} less {comparison['to']}, paired", comparison["metrics"])
        for comparison in entry["comparisons"]
    ]
    return values + differences


def _documents(
    values: Mapping[str, Interval] | Mapping[str, RunDifference], shown: Sequence[str]
) -> dict[str, Any]:
    return {name: values[name].as_dict() for name in shown}
