"""Expression in a comparison: paired differences, tests, and the confusions that changed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.metrics import classification
from mien.metrics.catalog import EMBEDDING, EXPRESSION, by_name
from mien.metrics.classification import FloatArray, IntArray
from mien.metrics.geometry import effective_rank, spread
from mien.reports.evaluation import Evaluation, ExpressionArrays, arrays_of
from mien.reports.figures import classes
from mien.reports.figures.embedding import FEWEST_FOR_MAP, Plane, embedding_map, project
from mien.reports.figures.forest import forest
from mien.reports.sections.section import (
    Block,
    Entry,
    Pairing,
    Side,
    Verdict,
    evidence_of,
    intervals_of,
    verdict_sentence,
)
from mien.reports.tables import (
    Cell,
    Heading,
    Matrix,
    MatrixCell,
    Row,
    Table,
    difference_cell,
    number,
    plural,
    signed,
    value_table,
)
from mien.statistics.bootstrap import LEVEL, Bootstrap, Interval, intervals
from mien.statistics.paired import (
    combined,
    holm,
    mcnemar,
    run_differences,
    seed_test,
    verdict,
)
from mien.statistics.subjects import count_subjects

DECIDES = "accuracy"
"""The metric that the verdict of a comparison is about."""
MOST_CHANGES = 5
_METRICS = by_name(EXPRESSION, EMBEDDING)
_COMPARED = (
    "accuracy",
    "mean_class_accuracy",
    "macro_f1",
    "precision_at_1",
    "map_at_r",
    "nll",
    "distance_ratio",
)
_VALUES = (*_COMPARED[:-1], "ece", "distance_ratio")
_OF_RUNS = ("accuracy", "mean_class_accuracy", "macro_f1", "map_at_r")


@dataclass(frozen=True, eq=False)
class Measured:
    """What is kept of one run: numbers by row and by draw, no embedding.

    ``targets`` and ``predictions`` are ``(n,)``, of the rows with a target; ``rows`` says which
    these are. ``shape`` holds ``effective_rank`` and ``spread`` where there is an embedding.
    """

    names: Sequence[str]
    space: str
    rule: str
    left_out: Mapping[str, int]
    rows: IntArray
    targets: IntArray
    predictions: IntArray
    clusters: int | None
    drawn: Bootstrap[Hashable]
    values: Mapping[Hashable, Interval]
    shape: Mapping[str, float]
    plane: Plane | None

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        drawn: Bootstrap[Hashable],
        values: Mapping[Hashable, Interval],
        *,
        plane: bool,
        seed: int,
    ) -> Measured:
        """What is kept of an evaluation whose metrics were drawn."""
        arrays = arrays_of(evaluation, "expression", ExpressionArrays)
        rows = np.flatnonzero(arrays.labeled)
        embeddings = None if evaluation.embeddings is None else evaluation.embeddings[rows]
        shape, points = {}, None
        if embeddings is not None:
            shape = {"effective_rank": effective_rank(embeddings), "spread": spread(embeddings)}
            if plane and rows.size >= FEWEST_FOR_MAP:
                points = project(embeddings, seed=seed)
        return cls(
            names=arrays.names,
            space=arrays.info.label_space.name,
            rule=arrays.rule,
            left_out=arrays.reasons(),
            rows=rows,
            targets=arrays.targets[rows],
            predictions=arrays.predictions[rows].argmax(1),
            clusters=count_subjects(evaluation.clusters(rows)),
            drawn=drawn,
            values=values,
            shape=shape,
            plane=points,
        )


def compare(
    sides: Sequence[Side], pairings: Sequence[Pairing], *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """Metrics of each side, and each against the first: differences, a test, and a verdict."""
    runs = [run for side in sides for run in side.runs]
    first = runs[0]
    for run in runs:
        alike = np.array_equal(run.rows, first.rows) and np.array_equal(run.targets, first.targets)
        if not alike:
            raise ValueError("expected runs that were measured on the same rows and targets")
    comparisons = [
        _compared(sides[0], side, pairing)
        for side, pairing in zip(sides[1:], pairings, strict=True)
    ]
    tested = [entry["test"] for entry in comparisons if entry["test"]["p"] is not None]
    for test, p in zip(tested, holm([test["p"] for test in tested]), strict=True):
        test["p_holm"] = p
    for entry in comparisons:
        entry["verdict"] = _verdict(entry)
    entry = {
        "n": len(first.targets),
        "label_space": {"name": first.space, "names": list(first.names)},
        "rule": first.rule,
        "decided_by": DECIDES,
        "entries": [_side(side) for side in sides],
        "comparisons": comparisons,
        "left_out": dict(first.left_out),
    }
    return entry, []


def _side(side: Side) -> dict[str, Any]:
    values: dict[Hashable, Interval] = dict(side.runs[0].values)
    if len(side.runs) > 1:
        values |= intervals(combined([run.drawn for run in side.runs]))
        mean = float(np.mean([run.values["ece"].value for run in side.runs]))
        values["ece"] = Interval(mean, reason=side.runs[0].values["ece"].reason)
    return {
        "letter": side.letter,
        "metrics": _plain(values),
        "confusion": _mean_confusion(side.runs).tolist(),
        "members": [
            {"metrics": _plain(run.values), "embedding": dict(run.shape)} for run in side.runs
        ],
    }


def _compared(first: Side, other: Side, pairing: Pairing) -> dict[str, Any]:
    runs, first_runs = pairing.runs(other.runs, first.runs)
    paired = bool(pairing.pairs)
    differences = run_differences(
        [run.drawn for run in runs], [run.drawn for run in first_runs], paired=paired
    )
    # Without pairs every run of one side against every run of the other.
    crossed = (
        list(zip(runs, first_runs, strict=True))
        if paired
        else [(one, two) for one in runs for two in first_runs]
    )
    tests = [
        mcnemar(one.predictions == one.targets, two.predictions == two.targets)
        for one, two in crossed
    ]
    test: dict[str, Any] = {"name": None, "p": None, "p_holm": None}
    notes = []
    if len(pairing.pairs) == 1:
        test |= {"name": "McNemar's exact test", "p": tests[0].p}
        if runs[0].clusters is not None:
            notes.append(
                "McNemar's test takes rows for independent ones: rows of one subject make its p "
                "too small, so the interval over subjects has to agree"
            )
    elif paired:
        decisive = ([run.drawn.values[DECIDES] for run in side] for side in (runs, first_runs))
        test |= {"name": "paired t-test over seeds", "p": seed_test(*decisive)}
    return {
        "entry": pairing.entry,
        "to": pairing.to,
        "metrics": {
            name: difference.as_dict()
            for name, difference in differences.items()
            if isinstance(name, str)
        },
        "test": test,
        "rows": {
            "only_entry_right": float(np.mean([result.only_a for result in tests])),
            "only_first_right": float(np.mean([result.only_b for result in tests])),
        },
        "confusion_change": (_mean_confusion(runs) - _mean_confusion(first_runs)).tolist(),
        "notes": notes,
    }


def _verdict(comparison: Entry) -> str:
    evidence = intervals_of(comparison["metrics"][DECIDES])
    return verdict(evidence, comparison["test"]["p_holm"], level=LEVEL)


def _mean_confusion(runs: Sequence[Measured]) -> FloatArray:
    matrices = [
        classification.confusion_matrix(run.targets, run.predictions, len(run.names))
        for run in runs
    ]
    mean: FloatArray = np.mean(matrices, axis=0)
    return mean


def _plain(values: Mapping[Hashable, Interval]) -> dict[str, Any]:
    return {name: value.as_dict() for name, value in values.items() if isinstance(name, str)}


def comparison_tables(entry: Entry, document: Entry) -> dict[str, Any]:
    """Differences, values, the runs where a side has several, and the changes of confusions."""
    labels = {side["letter"]: side["label"] for side in document["entries"]}
    seeds = [len(pairing["seeds"]) for pairing in document["comparisons"]]
    return {
        "differences": _difference_table(entry["comparisons"], seeds),
        "values": value_table(
            [
                (Heading(labels[side["letter"]], letter=side["letter"]), side["metrics"])
                for side in entry["entries"]
            ],
            [_METRICS[name] for name in _VALUES],
        ),
        "runs": _run_table(entry, document),
        "changes": [
            _change(comparison, entry["label_space"]["names"])
            for comparison in entry["comparisons"]
        ],
    }


def _difference_table(comparisons: Sequence[Entry], seeds: Sequence[int]) -> Table:
    columns = [
        Heading(f"{comparison['entry']} \u2212 {comparison['to']}") for comparison in comparisons
    ]
    table = Table(columns)
    for name in _COMPARED:
        metric = _METRICS[name]
        meaning = "points" if metric.unit == "%" else metric.description
        cells = [
            difference_cell(comparison["metrics"].get(name), metric.unit, seeds=count)
            for comparison, count in zip(comparisons, seeds, strict=True)
        ]
        table.rows.append(Row(Heading(metric.title, meaning), cells))
    return table


def _run_table(entry: Entry, document: Entry) -> Table | None:
    if all(len(side["members"]) == 1 for side in document["entries"]):
        return None
    metrics = [_METRICS[name] for name in _OF_RUNS]
    columns = [Heading("Seed"), *(Heading(metric.title) for metric in metrics)]
    table = Table(columns, corner="Run")
    for of_head, side in zip(entry["entries"], document["entries"], strict=True):
        for values, member in zip(of_head["members"], side["members"], strict=True):
            seed = "\u2013" if member["seed"] is None else str(member["seed"])
            cells = [table.value(values["metrics"][metric.name], metric.unit) for metric in metrics]
            heading = Heading(member["model"], letter=side["letter"])
            table.rows.append(Row(heading, [Cell(seed), *cells]))
    return table


def _change(comparison: Entry, names: Sequence[str]) -> dict[str, Any]:
    """The change of a confusion matrix, which rows changed sides, and the largest changes."""
    changes = comparison["confusion_change"]
    whole = all(float(value).is_integer() for row in changes for value in row)
    largest = max((abs(value) for row in changes for value in row), default=0.0) or 1.0
    cells = [
        [
            _change_cell(target, name, value, largest, whole=whole)
            for name, value in zip(names, row, strict=True)
        ]
        for target, row in zip(names, changes, strict=True)
    ]
    confused = [
        (value, target, name)
        for target, row in zip(names, changes, strict=True)
        for name, value in zip(names, row, strict=True)
        if target != name and abs(value) >= 0.5
    ]
    confused = sorted(confused, key=lambda change: -abs(change[0]))[:MOST_CHANGES]
    rows = comparison["rows"]
    return {
        "entry": comparison["entry"],
        "to": comparison["to"],
        "matrix": Matrix(names, cells, css="change"),
        "right": _count(rows["only_entry_right"], whole=whole),
        "wrong": _count(rows["only_first_right"], whole=whole),
        "mean": not whole,
        "largest": [
            (target, name, _count(value, whole=whole, sign=True))
            for value, target, name in confused
        ],
    }


def _change_cell(
    target: str, name: str, value: float, largest: float, *, whole: bool
) -> MatrixCell:
    if abs(value) < 0.05:
        return MatrixCell("\u00b7", css="cell zero")
    # More on the diagonal is good, more beside it is bad.
    kind = "gain" if (value > 0) == (target == name) else "loss"
    text = _count(value, whole=whole, sign=True)
    css = f"cell {kind}" + " strong" * (abs(value) > 0.8 * largest)
    hint = f"{target} predicted as {name}: {text}"
    return MatrixCell(text, (), 0.9 * abs(value) / largest, css, hint)


def _count(value: float, *, whole: bool, sign: bool = False) -> str:
    """Rows, with a decimal where they are a mean over runs."""
    digits = 0 if whole else 1
    text = f"{value:+,.{digits}f}" if sign else f"{value:,.{digits}f}"
    return text.replace("-", "\u2212")


def comparison_figures(entry: Entry, sides: Sequence[Side]) -> dict[str, Any]:
    """The forest plot, and a map of each side's first embedding."""
    groups = []
    for name in _COMPARED:
        rows = [
            (comparison["entry"], difference, difference["over_seeds"])
            for comparison in entry["comparisons"]
            if (difference := comparison["metrics"].get(name)) and difference["value"] is not None
        ]
        if rows and _METRICS[name].unit == "%":
            groups.append((_METRICS[name].title, rows))
    maps = [
        _map(side, values["members"][0])
        for side, values in zip(sides, entry["entries"], strict=True)
    ]
    planes = [side.runs[0].plane for side in sides if side.runs[0].plane is not None]
    targets = sides[0].runs[0].targets[planes[0].rows] if planes else np.empty(0, np.int64)
    return {
        "forest": forest(groups),
        "maps": maps,
        "legend": classes.legend(targets, entry["label_space"]["names"]),
        "n": len(targets),
    }


def _map(side: Side, member: Entry) -> dict[str, Any]:
    run = side.runs[0]
    if run.plane is None:
        return {"letter": side.letter, "label": side.label, "figure": None}
    targets = run.targets[run.plane.rows]
    drawing = embedding_map(run.plane.points, targets, run.names, run.plane.method, of=side.letter)
    metrics, shape = member["metrics"], member["embedding"]
    return {
        "letter": side.letter,
        "label": side.label,
        "figure": drawing,
        "numbers": [
            ("MAP at R", number(metrics["map_at_r"]["value"], "%") + "\u2009%"),
            ("distance ratio", number(metrics["distance_ratio"]["value"], "points")),
            ("effective rank", f"{shape['effective_rank']:.1f}"),
            ("spread", f"{shape['spread']:.2f}"),
        ],
    }


def verdicts(entry: Entry, document: Entry) -> list[Verdict]:
    """A verdict on the accuracy for each comparison, with its intervals and its test."""
    tested = sum(comparison["test"]["p"] is not None for comparison in entry["comparisons"])
    return [
        Verdict(
            verdict=comparison["verdict"],
            amount=signed(comparison["metrics"][DECIDES]["value"], "%"),
            unit="points",
            metric=_METRICS[DECIDES].title,
            evidence=_evidence(comparison, len(pairing["seeds"]), tested),
            notes=[*pairing["notes"], *comparison["notes"]],
        )
        for comparison, pairing in zip(entry["comparisons"], document["comparisons"], strict=True)
    ]


def _evidence(comparison: Entry, seeds: int, tested: int) -> list[str]:
    difference, test = comparison["metrics"][DECIDES], comparison["test"]
    lines = evidence_of(difference, "%", seeds)
    if test["p"] is not None:
        corrected = f", {_p(test['p_holm'])} after Holm over {tested}" if tested > 1 else ""
        lines.append(f"{test['name']}: p {_p(test['p'])}{corrected}")
    elif test["name"]:
        lines.append(f"{test['name']}: none, the seeds\u2019 differences do not vary")
    return lines


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def comparison_headline(entry: Entry, document: Entry) -> list[Block]:
    """The values of each side, the differences, and the verdicts."""
    labels = {side["letter"]: side["label"] for side in document["entries"]}
    rows = plural(entry["n"], "row")
    blocks = [
        Block(f"{side['letter']} {labels[side['letter']]}: {rows}", side["metrics"])
        for side in entry["entries"]
    ]
    for comparison in entry["comparisons"]:
        p = comparison["test"]["p_holm"]
        tested = "no test" if p is None else f"{comparison['test']['name']}, corrected p {p:.3g}"
        about = f"{_METRICS[DECIDES].title.lower()}, {tested}"
        sentence = verdict_sentence(comparison, document, about)
        title = f"{comparison['entry']} less {comparison['to']}, paired"
        blocks.append(Block(title, comparison["metrics"], [sentence]))
    return blocks
