"""Valence and arousal on the pages of a report and of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.metrics.regression import DIMENSIONS
from mien.reports import plots, tables

if TYPE_CHECKING:
    from mien.statistics.arrays import Evaluation

METRICS: dict[str, tuple[str, str]] = {
    "ccc": ("Concordance (CCC)", "agreement in value over all rows; 1 is best, a constant has 0"),
    "pcc": ("Correlation (PCC)", "agreement up to shift and scale; 1 is best"),
    "rmse": ("Root mean squared error", "on the scale from \u22121 to 1; 0 is best"),
    "mae": ("Mean absolute error", "on the same scale; 0 is best"),
    "sagr": ("Sign agreement (SAGR)", "share of rows on the right side of zero"),
}
"""Title and meaning, in the order of the table."""

COMPARED = {
    "mean_ccc": "Mean CCC",
    "valence_ccc": "CCC of valence",
    "arousal_ccc": "CCC of arousal",
}


def report_section(evaluation: Evaluation, report: Mapping[str, Any]) -> str:
    """The numbers and the circumplex, or nothing where there are none."""
    affect, rows = report["valence_arousal"], evaluation.rated
    if affect is None:
        return ""
    names = report["label_space"]["names"]
    said, truth = (
        np.asarray(values, np.float64)[rows]
        for values in (evaluation.valence_arousal, evaluation.valence_arousal_targets)
    )
    targets = evaluation.targets[rows]
    figure = plots.circumplex(said, truth, targets, names, seed=report["intervals"]["seed"])
    drawn = "" if rows.size <= plots.MAP_ROWS else f" ({plots.MAP_ROWS:,}, drawn at random)"
    none = affect["left_out"]
    without = f"; {none:,} row{tables.plural(none)} of the split without" if none else ""
    of_class = "of a true class" if (targets >= 0).any() else "of all rows"
    return (
        "<section>\n<h2>Valence and arousal</h2>\n"
        f'<p class="lead">{rows.size:,} row{tables.plural(rows.size)} with both{without}. From '
        "\u22121 to 1: how pleasant a face looks, and how excited.</p>\n"
        f"{_headline(affect)}{_table(affect)}"
        f"<figure>{figure}{plots.legend(targets, names)}"
        f"<figcaption>A small mark is where the model puts a face{drawn}. Large marks are means "
        f"{of_class}: a line leads from the targets (open) to what the model says (filled). Lines "
        "toward the middle mean that it says too little.</figcaption></figure>\n"
        "</section>\n"
    )


def comparison_section(document: Mapping[str, Any]) -> str:
    """The concordances of all entries and their paired differences, or nothing without any."""
    entries, comparisons = document["entries"], document["comparisons"]
    if all(entry["valence_arousal"] is None for entry in entries):
        return ""
    notes: list[str] = []
    letters = {
        entry["letter"]: f'<span class="letter">{entry["letter"]}</span>' for entry in entries
    }
    head = "".join(
        f'<th scope="col">{letters[entry["letter"]]} {escape(entry["label"])}</th>'
        for entry in entries
    ) + "".join(
        f'<th scope="col">{letters[entry["entry"]]} \u2212 {letters[entry["to"]]}</th>'
        for entry in comparisons
    )
    rows = []
    for name, title in COMPARED.items():
        values = "".join(
            tables.value_cell(entry["valence_arousal"][name], notes, "ccc")
            if entry["valence_arousal"]
            else "<td>\u2013</td>"
            for entry in entries
        )
        differences = "".join(
            tables.difference_cell(
                (entry["valence_arousal"] or {}).get(name), len(entry["seeds"]), "ccc"
            )
            for entry in comparisons
        )
        rows.append(f'<tr><th scope="row">{title}</th>{values}{differences}</tr>')
    n = document["rated"]
    return (
        "<section>\n<h2>Valence and arousal</h2>\n"
        f'<p class="lead">Concordance over the {n:,} row{tables.plural(n)} with both; 1 is best. '
        "The differences are paired over the same faces, and the word above is not about them. A "
        "dash stands for a model that gives none.</p>\n"
        f'<div class="wide"><table class="values rules"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{tables.footnotes(notes)}\n</section>\n"
    )


def _headline(affect: Mapping[str, Any]) -> str:
    """The concordance of both dimensions and their mean."""
    found = (affect["mean_ccc"], affect["valence"]["ccc"], affect["arousal"]["ccc"])
    cells = []
    for title, entry in zip(COMPARED.values(), found, strict=True):
        below = tables.interval(entry, "ccc") or "no interval"
        value = tables.number(entry["value"], "ccc")
        cells.append(f"<div><dt>{title}</dt><dd>{value}<small>{below}</small></dd></div>")
    return f'<dl class="headline">{"".join(cells)}</dl>'


def _table(affect: Mapping[str, Any]) -> str:
    """Every metric of valence and of arousal."""
    notes: list[str] = []
    rows = []
    for name, (title, meaning) in METRICS.items():
        cells = "".join(
            tables.value_cell(_with_zeros(affect, dimension, name), notes, name)
            for dimension in DIMENSIONS
        )
        rows.append(f'<tr><th scope="row">{title}<small>{escape(meaning)}</small></th>{cells}</tr>')
    head = '<td></td><th scope="col">Valence</th><th scope="col">Arousal</th>'
    return (
        f'<table class="values affect"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{tables.footnotes(notes)}"
    )


def _with_zeros(affect: Mapping[str, Any], dimension: str, metric: str) -> Mapping[str, Any]:
    """The entry of a metric; sign agreement says how many rows have no part in it."""
    entry: Mapping[str, Any] = affect[dimension][metric]
    zero = affect[dimension]["zero_targets"]
    if metric != "sagr" or not zero or entry.get("reason"):
        return entry
    text = f"{zero:,} of {affect['n']:,} rows have {dimension} 0, which has no sign"
    return {**entry, "reason": text}
