"""``mien evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Json, refuse_beside


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="RUN|MODEL...", help="Run folders or models."),
    ],
    data: Annotated[
        list[Path],
        typer.Option(metavar="DATASET", help="A prepared dataset; may be repeated."),
    ],
    split: Annotated[
        str | None, typer.Option(help="The split to evaluate on (default: test).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The report's folder (default: RUN/report or report; of several matrix).",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(help="How votes become labels: majority (the default) or ferplus."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="SPLIT", help="Also classify by the nearest neighbors in this split."),
    ] = None,
    sensitivity: Annotated[
        bool,
        typer.Option(
            "--sensitivity", help="Also change the crops in many ways and measure each of them."
        ),
    ] = False,
    index: Annotated[
        Path | None,
        typer.Option(metavar="INDEX", help="Show the nearest faces of this index below mistakes."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Measure the folds that `mien train --protocol` made in RUN."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure runs or models on datasets, and write a report.

    Of several models or datasets, the report is one table.
    """
    of_one = {"--reference": reference, "--sensitivity": sensitivity, "--index": index}
    if protocol is not None:
        refuse_beside(
            "--protocol",
            {"--split": split, "--rule": rule, **of_one},
            "the protocol says what is measured",
        )
        _evaluate_folds(models, protocol, data, out, as_json=as_json)
        return
    from mien.cli.printing import print_json, print_matrix, print_report

    split, rule = split or "test", rule or "majority"
    if len(models) > 1 or len(data) > 1:
        refuse_beside("several models or datasets", of_one, "they are for one of each")
        from mien.evaluation.matrix import FOLDER, evaluate_matrix

        document, page = evaluate_matrix(models, data, out or FOLDER, split=split, rule=rule)
        if as_json:
            print_json(document)
        else:
            print_matrix(document, page)
        return
    from mien.evaluation.evaluate import evaluate as evaluate_model

    report, page = evaluate_model(
        models[0],
        data[0],
        out,
        split=split,
        rule=rule,
        reference=reference,
        sensitivity=sensitivity,
        index=index,
    )
    if as_json:
        print_json(report)
    else:
        print_report(report, page)


def _evaluate_folds(
    folders: list[str], protocol: str, data: list[Path], out: Path | None, *, as_json: bool
) -> None:
    from mien.cli.printing import print_json
    from mien.corpora.protocols import protocol_of
    from mien.errors import MienError
    from mien.evaluation.protocol import evaluate_protocol

    chosen = protocol_of(protocol)
    if len(folders) > 1 or len(data) > 1:
        raise MienError(
            f"expected one folder of folds and one dataset for the protocol {protocol}, got "
            f"{len(folders)} and {len(data)}: measure each by itself"
        )
    document, path = evaluate_protocol(folders[0], chosen, data[0], out)
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
