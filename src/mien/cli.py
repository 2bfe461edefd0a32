"""The command line: parse, call one function, print.

Exit codes: 0 done; 1 done, but some input could not be read; 2 wrong use, with one sentence on
stderr; 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.schema import MienError, Preprocessing

app = typer.Typer(
    name="mien",
    help="Read affect from faces: expressions in photos, and models of your own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def main() -> None:
    """The entry point: errors of use become one sentence on stderr and exit code 2."""
    try:
        app()
    except MienError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _TRAIN_PACKAGES:
            raise
        _fail(f'this command needs {error.name}; install it with: pip install "mien[train]"')
    except KeyboardInterrupt:
        print("mien: interrupted", file=sys.stderr)
        sys.exit(130)


_TRAIN_PACKAGES = {
    "lightning",
    "matplotlib",
    "onnx",
    "onnxscript",
    "pytorch_metric_learning",
    "safetensors",
    "scipy",
    "sklearn",
    "timm",
    "torch",
}


def _fail(message: str) -> None:
    print(f"mien: {message}", file=sys.stderr)
    sys.exit(2)


@app.command()
def predict(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Photos, folders, or - for a list.")
    ],
    model: Annotated[str, typer.Option(help="A shipped model's name or an ONNX file.")] = "fer",
    out: Annotated[
        Path | None, typer.Option(help="Write a table: .csv, .parquet or .jsonl.")
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the photos with boxes and bars here.")
    ] = None,
    tight: Annotated[
        bool, typer.Option(help="Every image is a tight face crop; look for no faces.")
    ] = False,
    detector: Annotated[
        Path | None,
        typer.Option(metavar="YUNET.onnx", help="Find (small) faces with this YuNet model."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read the expressions in photos; every input gives at least one row."""
    from mien.faces.detect import YuNetDetector
    from mien.inference.photos import predict_photos
    from mien.inference.predictor import Predictor

    chosen = YuNetDetector(detector) if detector else None
    with Predictor.load(model, detector=chosen) as predictor:
        summary = predict_photos(
            predictor,
            inputs,
            out=out,
            annotate=annotate,
            tight=tight,
            show=None if out or as_json else sys.stdout,
        )
    if as_json:
        _print_json(summary)
    elif out or annotate:
        counts = ", ".join(f"{n} {status}" for status, n in summary["rows"].items())
        places = " and ".join(str(place) for place in (out, annotate) if place)
        print(f"{counts}; written to {places}")
    if summary["rows"].get("unreadable"):
        raise typer.Exit(1)


@app.command()
def prepare(
    corpus: Annotated[str, typer.Argument(help="A name that `mien corpora` lists.")],
    source: Annotated[Path, typer.Argument(help="The corpus as it was published, or your folder.")],
    out: Annotated[Path, typer.Option(metavar="DATASET", help="The dataset folder to make.")],
    like: Annotated[
        str | None, typer.Option(metavar="RUN|MODEL", help="Cut crops as this model reads them.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the crops in pixels (112).")] = None,
    colour: Annotated[
        str | None, typer.Option(help="rgb, bgr or grey (default: as the corpus is).")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="More context around the face, 0.1 a tenth (0).")
    ] = None,
    tight: Annotated[
        bool, typer.Option(help="Images are tight face crops; look for no faces.")
    ] = False,
    classes: Annotated[
        str | None, typer.Option(help="Class names of numeric labels, in order: a,b,c.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes (default: one a core).")] = None,
    as_json: Json = False,
) -> None:
    """Make a dataset folder from a corpus; run again after an interruption to go on."""
    from pydantic import ValidationError

    from mien.data.corpora import corpus_of
    from mien.data.prepare import prepare as prepare_dataset

    if like:
        from mien.evaluate import open_model

        settings = open_model(like).preprocessing.model_dump()
    else:
        settings = {"colour": corpus_of(corpus).colour}
    asked = {"size": size, "colour": colour, "margin": margin}
    settings |= {key: value for key, value in asked.items() if value is not None}
    try:
        preprocessing = Preprocessing.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise MienError(
            f"--{first['loc'][0]}: {first['msg'].lower()}, got {first['input']!r}"
        ) from None
    result = prepare_dataset(
        corpus,
        source,
        out,
        preprocessing=preprocessing,
        tight=tight,
        classes=tuple(classes.split(",")) if classes else None,
        workers=workers,
    )
    if as_json:
        _print_json(result.dataset.info)
        return
    _print_table("left out", ("reason", "rows"), sorted(result.left_out.items()))
    print(f"{len(result.dataset)} faces in {out}")


@app.command()
def corpora() -> None:
    """List the corpora that `mien prepare` can read, with the layout each expects."""
    from mien.data.corpora import describe

    print(describe())


@app.command()
def recipes() -> None:
    """List the recipes that come with mien."""
    from mien.training.recipe import load_recipe, recipe_names

    for name in recipe_names():
        recipe = load_recipe(name)
        print(f"{name}\n  {recipe.about}\n  paper: {recipe.paper}\n  expect: {recipe.expect}\n")


@app.command()
def models() -> None:
    """List the models that come with mien."""
    from mien.inference.model import read_metadata, shipped_models

    for name, path in shipped_models().items():
        info = read_metadata(path)
        print(f"{name}  ({path.stat().st_size / 1e6:.1f} MB, {', '.join(info.label_space.names)})")
        print(f"  {info.terms}\n")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or YAML file.")],
    data: Annotated[Path, typer.Option(metavar="DATASET", help="A prepared dataset folder.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run folder to make.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a killed run.")] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: all).")] = None,
    as_json: Json = False,
) -> None:
    """Train a recipe on a dataset; the epoch kept is the best on the split valid."""
    from mien.data.dataset import Dataset
    from mien.training.fit import fit
    from mien.training.recipe import load_recipe

    def show(line: dict[str, Any]) -> None:
        values = "  ".join(f"{name} {value:.4f}" for name, value in line["valid"].items())
        print(
            f"epoch {line['epoch']}  loss {line['train']['loss']:.4f}  {values}  "
            f"{line['seconds']:.0f} s",
            file=sys.stderr,
            flush=True,
        )

    settings = load_recipe(recipe, changes or [])
    run = fit(settings, Dataset.open(data), out, resume=resume, threads=threads, on_epoch=show)
    document = json.loads((run / "model.json").read_text("utf-8"))
    if as_json:
        _print_json({"run": str(run), "epoch": document["epoch"], **document["selected_on"]})
    else:
        chosen = document["selected_on"]
        print(
            f"{run}: epoch {document['epoch']} is best on valid, "
            f"{chosen['metric']} {chosen[chosen['metric']]:.4f}"
        )


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run folder or a model.")],
    data: Annotated[Path, typer.Option(metavar="DATASET", help="A prepared dataset folder.")],
    split: Annotated[str, typer.Option(help="The split to evaluate on.")] = "test",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the report (default: RUN/report).")
    ] = None,
    rule: Annotated[
        str, typer.Option(help="How votes become the label: majority or ferplus.")
    ] = "majority",
    as_json: Json = False,
) -> None:
    """Write report.json and report.html: metrics with intervals, confusions, mistakes."""
    from mien.evaluate import evaluate_model

    folder = out or (Path(model) / "report" if Path(model).is_dir() else Path("report"))
    report, page = evaluate_model(model, data, folder, split=split, rule=rule)
    if as_json:
        _print_json(report)
        return
    rows = [
        (
            name,
            f"{m['value']:.4f}",
            f"{m['low']:.4f} to {m['high']:.4f}" if m["low"] is not None else "",
        )
        for name, m in report["metrics"].items()
        if m["value"] is not None
    ]
    _print_table(f"{split}, {report['n']} faces, rule {rule}", ("metric", "value", "95 %"), rows)
    print(f"report: {page}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path, typer.Option(metavar="FILE.onnx", help="The model file to write.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Store weights as int8: a quarter of the size.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="The model's name (default: the file's).")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="A model card in Markdown to carry along.")
    ] = None,
    abstain_below: Annotated[
        float | None, typer.Option(help="Confidence under which the model abstains.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one ONNX file that describes itself, after checking that it equals the network."""
    from mien.training.export import export as export_run
    from mien.training.run import load_run

    document = export_run(
        load_run(run),
        out,
        name=name,
        card=card.read_text("utf-8") if card else "",
        int8=int8,
        abstain_below=abstain_below,
    )
    if as_json:
        _print_json(document)
    else:
        difference = document["parity"]["largest_difference"]
        print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, differs by {difference:.1g} at most")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where to write.")] = Path("demo-output"),
) -> None:
    """Show everything once: predict a photo, then prepare, train, evaluate, export, predict."""
    from mien.demo import run_demo

    run_demo(out)


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))


def _print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)
