"""The page of a protocol: its metrics over all test rows, and those of each fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.metrics.metric import Metric
from mien.reports.document import require_train_extra, write_documents
from mien.reports.page import render
from mien.reports.tables import Cell, Heading, headline, metric_table, number, value_table

Document = Mapping[str, Any]


def write_protocol(document: Document, measures: Sequence[Metric], folder: str | Path) -> Path:
    """Write ``protocol.json`` and ``protocol.html`` into ``folder``; return the page's path.

    ``document`` is what :func:`mien.evaluation.protocol.evaluate_protocol` made, ``measures`` the
    protocol's metrics.
    """
    require_train_extra()
    return write_documents(folder, "protocol", document, _page(document, measures))


def _page(document: Document, measures: Sequence[Metric]) -> str:
    folds = document["folds"]
    columns = [
        (
            Heading(f"Fold {fold['fold']}"),
            {name: _plain(value) for name, value in fold["metrics"].items()},
        )
        for fold in folds
    ]
    table = value_table(
        columns,
        measures,
        counts=(
            f"{document['unit'].capitalize()}s",
            [Cell(f"{fold['units']:,}") for fold in folds],
        ),
    )
    means = [
        (
            metric.title,
            number(document["metrics"][metric.name]["mean_of_folds"], metric.unit),
            number(document["metrics"][metric.name]["sd_of_folds"], metric.unit),
            metric.unit,
        )
        for metric in measures
    ]
    return render(
        "protocol.html",
        title=f"{document['recipe']} by {document['protocol']}",
        document=document,
        heads=[],
        numbers=headline(document["metrics"], measures),
        metrics=metric_table(document["metrics"], {each.name: each for each in measures}),
        folds=table,
        means=means,
    )


def _plain(value: float | None) -> dict[str, float | None]:
    """A value of one fold; there is no interval within a fold."""
    return {"value": value, "low": None, "high": None}
