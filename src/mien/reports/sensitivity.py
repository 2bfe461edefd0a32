"""How a model's answers change with its crops: in reports that were asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray, weighted_means
from mien.metrics.metric import Metric
from mien.reports.evaluation import Evaluation, Sensitivity
from mien.reports.figures.pictures import Picture, picture
from mien.reports.sections import SECTIONS, Pairing, Section, Side
from mien.reports.tables import Cell, Heading, Row, Table, difference_cell, number
from mien.statistics.bootstrap import Interval, bootstrap_intervals
from mien.statistics.paired import verdict_of_interval

AS_STORED = "as stored"


class Strip(NamedTuple):
    """Examples of one change side by side: its title, what it costs, and the picture."""

    title: str
    note: str
    picture: Picture


def evaluate_sensitivity(
    evaluation: Evaluation, heads: Sequence[str], *, seed: int = 0, draws: int = 1000
) -> dict[str, Any] | None:
    """What ``report.json`` says of the changes; None where none were made.

    Each change is held against the crops as stored, over the same rows, as a comparison holds one
    model against another: paired differences, and for expressions McNemar's exact test with Holm's
    correction over the changes. ``changes`` of a head are worst first, by its main metric.
    """
    if evaluation.sensitivity is None:
        return None
    return {
        "heads": {
            head: _of_head(evaluation, evaluation.sensitivity, head, seed=seed, draws=draws)
            for head in heads
        },
        "left_out": dict(evaluation.sensitivity.left_out),
    }


def _of_head(
    evaluation: Evaluation, made: Sensitivity, head: str, *, seed: int, draws: int
) -> dict[str, Any]:
    section, arrays = SECTIONS[head], evaluation.heads[head]
    # Embeddings are not compared, and without them nothing is searched.
    stored = replace(evaluation, embeddings=None, sensitivity=None, heads={head: arrays})
    others = [
        replace(stored, heads={head: replace(arrays, predictions=change.heads[head])})
        for change in made.changes
    ]
    options = {"seed": seed, "draws": draws}
    runs = [section.measure(each, plane=False, **options) for each in (stored, *others)]
    titles = (AS_STORED, *(change.title for change in made.changes))
    sides = [
        Side(str(index), title, [run])
        for index, (title, run) in enumerate(zip(titles, runs, strict=True))
    ]
    pairings = [Pairing(side.letter, "0", [(0, 0)], [None], []) for side in sides[1:]]
    entry, _ = section.compare(sides, pairings, **options)
    main = section.METRICS[section.MAIN[0]]
    values = [side["members"][0]["metrics"] for side in entry["entries"]]
    rows = np.flatnonzero(arrays.labeled)
    answers = section.answers(arrays)[rows]
    changes = []
    for change, other, value, comparison in zip(
        made.changes, others, values[1:], entry["comparisons"], strict=True
    ):
        again = section.answers(other.heads[head])[rows]
        differs = (again != answers).reshape(len(rows), -1).any(1)
        test = comparison.get("test", {})
        differences = {name: comparison["metrics"][name] for name in section.MAIN}
        changes.append(
            {
                "name": change.name,
                "title": change.title,
                "metrics": {name: value[name] for name in section.MAIN},
                "differences": differences,
                "changed_answers": _share(differs, evaluation, rows, **options).as_dict(),
                "p": test.get("p"),
                "p_holm": test.get("p_holm"),
                "verdict": comparison.get("verdict") or _verdict(differences[main.name], main),
            }
        )
    sign = -1 if main.greater_is_better else 1
    changes.sort(key=lambda each: -sign * (each["differences"][main.name]["value"] or 0.0))
    return {
        "n": len(rows),
        "answer": section.ANSWER,
        "decided_by": main.name,
        "as_stored": {name: values[0][name] for name in section.MAIN},
        "changes": changes,
    }


def _verdict(difference: Mapping[str, Any], metric: Metric) -> str:
    bounds = {name: difference[name] for name in ("value", "low", "high")}
    return verdict_of_interval(Interval(**bounds), greater_is_better=metric.greater_is_better)


def _share(
    differs: NDArray[np.bool_],
    evaluation: Evaluation,
    rows: NDArray[np.int64],
    *,
    seed: int,
    draws: int,
) -> Interval:
    values = differs.astype(np.float64)

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        return {"share": weighted_means(weights, values)}

    clusters = evaluation.clusters(rows)
    return bootstrap_intervals(statistics, len(rows), clusters=clusters, seed=seed, draws=draws)[
        "share"
    ]


def sensitivity_table(head: str, entry: Mapping[str, Any]) -> Table:
    """A row for the crops as stored and one for each change, worst first."""
    section = SECTIONS[head]
    metrics = [section.METRICS[name] for name in section.MAIN]
    tested = any(each["p_holm"] is not None for each in entry["changes"])
    columns = [
        *(Heading(metric.title, "%" * (metric.unit == "%")) for metric in metrics),
        Heading(f"Another {entry['answer']}", "% of rows"),
        *([Heading("p", "McNemar, by Holm")] if tested else []),
    ]
    table = Table(columns, corner="Crops")
    cells = [table.value(entry["as_stored"][metric.name], metric.unit) for metric in metrics]
    dashes = [Cell("")] * (2 if tested else 1)
    table.rows.append(Row(Heading(AS_STORED), [*cells, *dashes]))
    for each in entry["changes"]:
        cells = [_changed_cell(each, metric) for metric in metrics]
        cells.append(table.value(each["changed_answers"], "%"))
        if tested:
            cells.append(Cell(number(each["p_holm"], "")))
        table.rows.append(Row(Heading(each["title"]), cells))
    return table


def _changed_cell(change: Mapping[str, Any], metric: Metric) -> Cell:
    """The difference over its interval and the value that is left."""
    difference = difference_cell(_without_verdict(change["differences"][metric.name]), metric.unit)
    value = number(change["metrics"][metric.name]["value"], metric.unit)
    return Cell(difference.text, (*difference.small, f"leaves {value}"))


def _without_verdict(difference: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in difference.items() if name != "verdict"}


def example_strips(made: Sensitivity, head: str, entry: Mapping[str, Any]) -> list[Strip]:
    """The example crops as stored, then of each change in the order of the head's table."""
    section: Section = SECTIONS[head]
    metric = section.METRICS[section.MAIN[0]]
    by_name = {change.name: change for change in made.changes}
    strips = [Strip(AS_STORED, "", _side_by_side(made.examples))]
    for each in entry["changes"]:
        cell = difference_cell(_without_verdict(each["differences"][metric.name]), metric.unit)
        unit = " points" if metric.unit in ("%", "points") else ""
        note = f"{metric.title} {cell.text}{unit}"
        strips.append(Strip(each["title"], note, _side_by_side(by_name[each["name"]].examples)))
    return strips


def _side_by_side(crops: NDArray[np.uint8]) -> Picture:
    return picture(np.concatenate(list(crops), axis=1), longest=480)
