"""How a model does for groups of people or pictures: in every report whose rows have groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.metrics.multilabel import presence
from mien.reports.evaluation import (
    Evaluation,
    ExpressionArrays,
    HeadArrays,
    SeverityArrays,
    ValenceArousalArrays,
)
from mien.reports.sections.action_units import ActionUnitArrays
from mien.reports.tables import Cell, Heading, Row, Table, count_cell, number, plural, signed
from mien.reports.tables import signed_interval as signed_span
from mien.statistics.bootstrap import LEVEL
from mien.statistics.gaps import FEW_ROWS, FEW_SUBJECTS, PERMUTATIONS, gap_test, group_means
from mien.statistics.paired import holm

MOST_GROUPS = 30
"""A column with more names than this tells rows apart, and not groups."""


class Scores(NamedTuple):
    """A score of each of ``N`` rows whose mean is a metric, NaN in rows without a target."""

    title: str
    unit: str
    greater_is_better: bool
    values: NDArray[np.float64]


def row_scores(arrays: HeadArrays) -> Scores | None:
    """The score of a head's rows; None for a head that has none."""
    predictions = np.asarray(arrays.predictions, np.float64)
    match arrays:
        case ExpressionArrays():
            right = predictions.argmax(1) == arrays.targets
            values = np.where(arrays.labeled, right, np.nan)
            return Scores("Accuracy", "%", True, values.astype(np.float64))
        case ActionUnitArrays():
            annotated, present = presence(arrays.targets)
            right = (predictions >= np.array(arrays.info.thresholds)) == present
            counts = annotated.sum(1)
            shares = (right & annotated).sum(1) / np.maximum(counts, 1)
            return Scores("Units that are right", "%", True, np.where(counts > 0, shares, np.nan))
        case ValenceArousalArrays():
            errors = np.abs(predictions - arrays.targets).mean(1)
            return Scores("Mean absolute error", "", False, errors.astype(np.float64))
        case SeverityArrays():
            errors = np.abs(predictions - arrays.targets)
            return Scores("Mean absolute error", "points", False, errors.astype(np.float64))
        case _:
            return None


def evaluate_groups(
    evaluation: Evaluation, heads: Sequence[str], *, seed: int = 0, draws: int = 1000
) -> list[dict[str, Any]]:
    """An entry for each head and column of groups.

    Each group is held against all other rows whose group is known. p values are of permutation
    tests, raised by Holm's correction for all tests of the report; of two groups there is one
    test. Small groups are marked and not tested.
    """
    entries = []
    for head in heads:
        scores = row_scores(evaluation.heads[head])
        if scores is None:
            continue
        for column, names in evaluation.groups.items():
            rows = np.flatnonzero(~np.isnan(scores.values) & (names != ""))
            if 2 <= len(set(names[rows].tolist())) <= MOST_GROUPS:
                entry = _entry(evaluation, scores, rows, names, seed=seed, draws=draws)
                entries.append({"head": head, "column": column, **entry})
    tested = [group for entry in entries for group in _tests(entry)]
    for group, p in zip(tested, holm([group["p"] for group in tested]), strict=True):
        group["p_adjusted"] = p
    for entry in entries:
        first, *others = entry["groups"]
        if len(others) == 1:
            others[0]["p_adjusted"] = first["p_adjusted"]
    return entries


def _tests(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = entry["groups"]
    # Two groups have one gap.
    groups = groups[:1] if len(groups) == 2 else groups
    return [group for group in groups if group["p"] is not None]


def _entry(
    evaluation: Evaluation,
    scores: Scores,
    rows: NDArray[np.int64],
    names: NDArray[Any],
    *,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    groups = sorted(set(names[rows].tolist()))
    members = np.stack([names[rows] == group for group in groups], axis=1)
    clusters, values = evaluation.clusters(rows), scores.values[rows]
    means, gaps = group_means(values, members, clusters=clusters, seed=seed, draws=draws)
    units = np.arange(len(rows)) if clusters is None else clusters
    listed: list[dict[str, Any]] = []
    for number_of, group in enumerate(groups):
        inside = members[:, number_of]
        subjects = len(np.unique(units[inside]))
        listed.append(
            {
                "name": group,
                "n": int(inside.sum()),
                "subjects": None if clusters is None else subjects,
                "small": bool(inside.sum() < FEW_ROWS or subjects < FEW_SUBJECTS),
                "mean": means[number_of].as_dict(),
                "gap": gaps[number_of].as_dict(),
                "p": None,
                "p_adjusted": None,
            }
        )
    # The gap of one of two groups is that of the other, and as uncertain.
    too_small = len(groups) == 2 and any(each["small"] for each in listed)
    for number_of, each in enumerate(listed):
        if not each["small"] and not too_small:
            inside = members[:, number_of if len(groups) > 2 else 0]
            each["p"] = gap_test(values, inside, clusters=clusters, seed=seed)
    large = [each for each in listed if not each["small"]]
    ordered = sorted(large, key=lambda each: each["mean"]["value"] or 0.0)
    worst = ordered[0 if scores.greater_is_better else -1]["name"] if len(large) > 1 else None
    return {
        "score": scores.title,
        "unit": scores.unit,
        "greater_is_better": scores.greater_is_better,
        "worst": worst,
        "unknown": int(len(names) - len(rows)),
        "permutations": PERMUTATIONS,
        "groups": listed,
    }


def group_tables(entries: Sequence[Mapping[str, Any]]) -> list[Table]:
    """A table for each entry."""
    return [_table(entry) for entry in entries]


def _table(entry: Mapping[str, Any]) -> Table:
    unit = entry["unit"]
    sign = " in %" if unit == "%" else ""
    columns = [
        Heading("Rows"),
        Heading(entry["score"] + sign),
        Heading("Gap to the others"),
        Heading("p", "corrected by Holm"),
    ]
    worst = entry["worst"]
    lead = "" if worst is None else f"Worst group that is not small: {worst}."
    title = entry["column"].replace("_", " ").capitalize()
    table = Table(columns, corner="Group", title=title, lead=lead)
    for group in entry["groups"]:
        subjects = group["subjects"]
        gap = group["gap"]
        span = signed_span(gap, unit)
        p = group["p_adjusted"]
        shown = gap["value"] is not None and p is not None and p < 1 - LEVEL
        table.rows.append(
            Row(
                Heading(group["name"], "small group" if group["small"] else ""),
                [
                    count_cell(group["n"], "" if subjects is None else plural(subjects, "subject")),
                    table.value(group["mean"], unit),
                    Cell(signed(gap["value"], unit), (span,) if span else (), table.note(gap)),
                    Cell(
                        "not tested" if p is None else number(p, ""),
                        () if p is None else ("shown" if shown else "no difference shown",),
                    ),
                ],
            )
        )
    return table
