"""``mien export``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.options import Json
from mien.errors import MienError


def export(
    run: Annotated[
        str, typer.Argument(help="A run folder; for --triton and --web a model as well.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.onnx", help="The model file to write.")
    ] = None,
    triton: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a repository for Triton.")
    ] = None,
    web: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a page that runs the model in the browser."),
    ] = None,
    packages: Annotated[
        Path, typer.Option(metavar="DIR", help="Where npm has put what --web needs.")
    ] = Path("node_modules"),
    packed: Annotated[
        bool,
        typer.Option(
            "--packed", help="Store weights as int8, at a quarter of the size; compute in float32."
        ),
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Compute in int8, calibrated on the dataset --data.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET", help="What --int8 is calibrated on, and --accuracy decides by."
        ),
    ] = None,
    most_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Refuse --int8 where it costs more than this on the split valid (default: 0.01).",
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Average over each face and its mirror image.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="The model's name (default: the name of the file).")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="A model card to embed.")
    ] = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Abstain when the confidence is below this."),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Abstain so that at least this share of the answers is right."
        ),
    ] = None,
    balance: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Favor rare expressions: 0 not at all, 1 as if all were as frequent."
        ),
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Export a run to one ONNX file, and check it against the network.

    With --triton or --web also, or only, to a folder that serves the model without mien.
    """
    from mien.cli.printing import print_json
    from mien.models import is_model

    if out is None and triton is None and web is None:
        raise MienError("expected --out, --triton or --web, got none; say what to write")
    _check_data(int8, accuracy, data, most_drop)
    if is_model(run) and out is None:
        _write_folders(run, triton, web, packages)
        return
    from mien.training.export import export as export_run
    from mien.training.quantization import MOST_DROP

    if accuracy is not None and abstain_below is not None:
        raise MienError("expected --abstain-below or --accuracy, got both; leave one out")
    with tempfile.TemporaryDirectory() as folder:
        path = out or Path(folder) / f"{name or Path(run).resolve().name}.onnx"
        document = export_run(
            Path(run),
            path,
            name=name,
            card="" if card is None else _read_text(card),
            packed=packed,
            int8_data=data if int8 else None,
            most_drop=MOST_DROP if most_drop is None else most_drop,
            mirror=mirror,
            abstain_below=abstain_below,
            balance=balance,
        )
        answers = ""
        if accuracy is not None and data is not None:
            answers = _store_threshold(path, data, accuracy, document)
        if as_json:
            print_json(document)
        elif out is not None:
            megabytes = out.stat().st_size / 1e6
            difference = document["parity"]["largest_difference"]
            print(
                f"{out}: {megabytes:.2f} MB, differs from the network by {difference:.1g} at most"
                f"{answers}"
            )
            for head, each in document.get("arithmetic", {}).get("valid", {}).items():
                print(
                    f"{head} in int8: {each['metric']} {each['int8']:.4f} on the split valid, "
                    f"{each['float32']:.4f} in float32 ({each['faces']:,} faces)"
                )
        _write_folders(str(path), triton, web, packages, quiet=as_json)


def _store_threshold(path: Path, data: Path, accuracy: float, document: dict[str, Any]) -> str:
    """Let the exported model abstain; when it answers, as a line to print."""
    from mien.evaluation.abstention import choose_abstention, predict_labeled, store_abstention

    head = choose_abstention(predict_labeled(path, data), accuracy=accuracy)
    store_abstention(path, head)
    document["heads"]["expression"] = head.model_dump(mode="json")
    return f"\n{head.answers}"


def _check_data(
    int8: bool, accuracy: float | None, data: Path | None, most_drop: float | None
) -> None:
    if int8 and data is None:
        raise MienError(
            "expected --data with --int8, got no dataset to calibrate on; name one, or store "
            "weights small with --packed"
        )
    if accuracy is not None and data is None:
        raise MienError("expected --data with --accuracy, got no dataset to decide by; name one")
    if data is not None and not int8 and accuracy is None:
        raise MienError("expected --int8 or --accuracy with --data, got neither; leave --data out")
    if most_drop is not None and not int8:
        raise MienError("expected --int8 with --most-drop, got none; add it or leave it out")


def _write_folders(
    model: str, triton: Path | None, web: Path | None, packages: Path, *, quiet: bool = False
) -> None:
    if triton is not None:
        from mien.serving.exports.triton import write_triton

        place = write_triton(model, triton)
        if not quiet:
            print(f"{triton}: a repository for Triton, see {place / 'config.pbtxt'}")
    if web is not None:
        from mien.serving.exports.web import write_web

        write_web(model, web, packages)
        if not quiet:
            print(f"{web}: a page; serve it with: python -m http.server --directory {web}")


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise MienError(f"expected text in UTF-8, got {path}; save it as that") from None
