"""The table and the heat map of several models on several datasets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.files import spreadsheet_text, write_text
from mien.heads import HEADS
from mien.metrics.metric import Metric
from mien.reports.document import require_train_extra, write_documents
from mien.reports.page import render
from mien.reports.sections import SECTIONS
from mien.reports.tables import (
    DASH,
    Cell,
    Heading,
    Matrix,
    MatrixCell,
    Row,
    Table,
    interval,
    number,
    plural,
)

Document = Mapping[str, Any]

MARKS = {
    "dataset": ("\u25cf", "trained on this dataset"),
    "corpus": ("\u25cb", "trained on another dataset of this corpus"),
    "unknown": ("?", "not recorded what it was trained on"),
}
"""What marks a cell by what its model was trained on, and what the mark means."""
_COLUMNS = (
    *("head", "model", "dataset", "metric", "value", "low", "high", "n", "unit", "subjects"),
    *("classes", "classes_only_model", "classes_only_dataset", "trained_on", "notes", "reason"),
)


def write_matrix(document: Document, folder: str | Path) -> Path:
    """Write ``matrix.json``, ``matrix.csv`` and ``matrix.html``; return the page's path.

    ``document`` is what :func:`mien.evaluation.matrix.evaluate_matrix` made.
    """
    require_train_extra()
    page = _page(document)
    write_text(Path(folder) / "matrix.csv", _csv(document), private=True)
    return write_documents(folder, "matrix", document, page)


def heads_of(document: Document) -> list[dict[str, Any]]:
    """Of each head its name, title and cells, and its main metrics."""
    return [
        {
            "name": name,
            "title": HEADS[name].title,
            "cells": cells,
            "metrics": [SECTIONS[name].METRICS[metric] for metric in SECTIONS[name].MAIN],
        }
        for name, cells in document["heads"].items()
    ]


def notes_of(cell: Mapping[str, Any]) -> list[str]:
    """What a reader of a cell has to know: classes left out, overlap with training, warnings."""
    if cell["reason"]:
        return [cell["reason"]]
    notes = []
    if classes := cell["classes"]:
        for key, whose in (("only_model", "model"), ("only_dataset", "dataset")):
            if classes[key]:
                notes.append(f"only in the {whose}, left out: {', '.join(classes[key])}")
    return [*notes, *cell["overlap"], *cell["notes"]]


def _page(document: Document) -> str:
    models = [each["name"] for each in document["models"]]
    datasets = [each["name"] for each in document["datasets"]]
    heads = [
        {
            "title": head["title"],
            "use": next((c["use"] for c in head["cells"] if c.get("use")), ""),
            "maps": [
                (metric, _heat_map(metric, head["cells"], models, datasets))
                for metric in head["metrics"]
            ],
            "cells": _cell_table(head["cells"]),
        }
        for head in heads_of(document)
    ]
    title = f"{plural(len(models), 'model')} on {plural(len(datasets), 'dataset')}"
    marks = {cell.get("trained_on") for cells in document["heads"].values() for cell in cells}
    clustered = any(c.get("subjects") for cells in document["heads"].values() for c in cells)
    return render(
        "matrix.html",
        title=title,
        document=document,
        heads=heads,
        marks=[mark for name, mark in MARKS.items() if name in marks],
        clustered=clustered,
    )


def _heat_map(
    metric: Metric,
    cells: Sequence[Mapping[str, Any]],
    models: Sequence[str],
    datasets: Sequence[str],
) -> Matrix:
    by_place = {(cell["model"], cell["dataset"]): cell for cell in cells}
    values = [cell["metrics"].get(metric.name, {}).get("value") for cell in cells]
    best = min((value for value in values if value is not None), default=0.0)
    rows = [
        [_heat_cell(metric, by_place[model, dataset], best) for dataset in datasets]
        for model in models
    ]
    return Matrix(models, rows, "heat", datasets, ("model \u2193", "dataset \u2192"))


def _heat_cell(metric: Metric, cell: Mapping[str, Any], best: float) -> MatrixCell:
    entry = cell["metrics"].get(metric.name)
    mark, _ = MARKS.get(cell.get("trained_on", ""), ("", ""))
    where = f"{cell['model']} on {cell['dataset']}"
    if entry is None or entry["value"] is None:
        reason = cell["reason"] or (entry or {}).get("reason", "")
        return MatrixCell(f"{DASH} {mark}".strip(), (), css="none", hint=f"{where}: {reason}")
    value = float(entry["value"])
    # Of errors, where less is better, the smallest one is the darkest.
    share = value if metric.greater_is_better else best / value if value else 1.0
    share = min(max(share, 0.0), 1.0)
    span = interval(entry, metric.unit)
    lines = [*([span] if span else []), plural(cell["n"], cell["unit"])]
    css = "cell" + " strong" * (share > 0.65) + " home" * (cell["trained_on"] == "dataset")
    hint = f"{where}: {number(value, metric.unit)}{' %' * (metric.unit == '%')}"
    return MatrixCell(f"{number(value, metric.unit)} {mark}".strip(), lines, share, css, hint)


def _cell_table(cells: Sequence[Mapping[str, Any]]) -> Table:
    table = Table([Heading("Rows"), Heading("Classes"), Heading("What to know")], css="cells")
    if all(cell.get("classes") is None for cell in cells):
        table = Table([Heading("Rows"), Heading("What to know")], css="cells")
    for cell in cells:
        subjects = cell.get("subjects")
        small = () if subjects is None else (plural(subjects, "subject"),)
        shared = cell.get("classes")
        middle = [Cell(DASH if not shared else str(len(shared["shared"])))]
        notes = notes_of(cell)
        table.rows.append(
            Row(
                Heading(cell["model"], f"on {cell['dataset']}"),
                [
                    Cell(f"{cell['n']:,}", small),
                    *(middle if len(table.columns) == 3 else []),
                    Cell("", notes or (DASH,)),
                ],
            )
        )
    return table


def _csv(document: Document) -> str:
    """A line for each head, cell and metric; a cell without numbers has one with its reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for head in heads_of(document):
        for cell in head["cells"]:
            classes = cell.get("classes") or {}
            shared = [
                "; ".join(classes.get(k, ())) for k in ("shared", "only_model", "only_dataset")
            ]
            notes = [] if cell["reason"] else notes_of(cell)
            last = [cell.get("trained_on", ""), "; ".join(notes), cell["reason"]]
            for metric in head["metrics"]:
                entry = cell["metrics"].get(metric.name, {})
                numbers = [entry.get(key) for key in ("value", "low", "high")]
                place = [head["name"], cell["model"], cell["dataset"], metric.name]
                counts = [cell["n"], cell.get("unit"), cell.get("subjects")]
                line = [*place, *numbers, *counts, *shared, *last]
                writer.writerow(
                    [spreadsheet_text(each) if isinstance(each, str) else each for each in line]
                )
    return text.getvalue()
