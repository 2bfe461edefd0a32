"""``mien evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Data, Json, Rule, Split


def evaluate(
    model: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run folder or a model.")],
    data: Data,
    split: Split = "test",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The report's folder (default: RUN/report or report)."),
    ] = None,
    rule: Rule = "majority",
    reference: Annotated[
        str | None,
        typer.Option(metavar="SPLIT", help="Also classify by the nearest neighbors in this split."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Measure the folds that `mien train --protocol` made in RUN."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a run or a model on a dataset, with a report."""
    if protocol is not None:
        _evaluate_folds(model, protocol, data, out, as_json=as_json)
        return
    from mien.cli.printing import print_json, print_report
    from mien.evaluation.evaluate import evaluate as evaluate_model

    report, page = evaluate_model(model, data, out, split=split, rule=rule, reference=reference)
    if as_json:
        print_json(report)
    else:
        print_report(report, page)


def _evaluate_folds(
    folder: str, protocol: str, data: Path, out: Path | None, *, as_json: bool
) -> None:
    from mien.cli.printing import print_json
    from mien.corpora.protocols import protocol_of
    from mien.evaluation.protocol import evaluate_protocol

    chosen = protocol_of(protocol)
    document, path = evaluate_protocol(folder, chosen, data, out)
    if as_json:
        print_json(document)
        return
    for warning in document["warnings"]:
        print(f"Warning: {warning}.")
    for metric in chosen.measures:
        entry = document["metrics"][metric.name]
        interval = "" if entry["low"] is None else f" [{entry['low']:.4f}, {entry['high']:.4f}]"
        spread = "" if entry["sd_of_folds"] is None else f" +- {entry['sd_of_folds']:.4f}"
        print(
            f"{metric.title}: {_shown(entry['value'])}{interval}; mean of "
            f"{len(document['folds'])} folds {_shown(entry['mean_of_folds'])}{spread}"
        )
    print(path)


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
