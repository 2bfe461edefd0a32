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
    as_json: Json = False,
) -> None:
    """Measure a run or a model on a dataset, with a report."""
    from mien.cli.printing import print_json, print_report
    from mien.evaluation.evaluate import evaluate as evaluate_model

    report, page = evaluate_model(model, data, out, split=split, rule=rule, reference=reference)
    if as_json:
        print_json(report)
    else:
        print_report(report, page)
