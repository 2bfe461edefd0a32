"""``mien audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Json


def audit(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Datasets.")],
    model: Annotated[
        str | None,
        typer.Option(metavar="RUN|MODEL", help="Also compare the labels with this model, as fer."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the audit.")] = Path(
        "audit"
    ),
    fix: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT", help="Write a copy of the dataset without leaks and duplicates."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for leaks, duplicates and wrong labels in datasets.

    The exit code is 1 where something is found.
    """
    from mien.audit.audit import audit as audit_datasets
    from mien.cli.printing import print_audit, print_json

    document, page = audit_datasets(datasets, out, model=model, fix=fix)
    if as_json:
        print_json(document)
    else:
        print_audit(document, page)
    if document["findings"]:
        raise typer.Exit(1)
