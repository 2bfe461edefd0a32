"""``mien compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Data, Json, Rule, Split


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|MODEL...", help="Models to compare; the first is the baseline."
        ),
    ],
    data: Data,
    split: Split = "test",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of compare.json and compare.html.")
    ] = Path("comparison"),
    rule: Rule = "majority",
    as_json: Json = False,
) -> None:
    """Compare runs or models on the same dataset."""
    from mien.cli.printing import print_comparison, print_json
    from mien.evaluation.compare import compare as compare_models

    document, page = compare_models(models, data, out, split=split, rule=rule)
    if as_json:
        print_json(document)
    else:
        print_comparison(document, page)
