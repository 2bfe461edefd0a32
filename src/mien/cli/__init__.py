"""The command line: parse, call one function, print.

Exit codes: 0 done; 1 done, but some input could not be read (or nobody reads the output any more);
2 wrong use, with one sentence on stderr; 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from mien import __version__
from mien.cli.exits import ExplainedCommands
from mien.cli.printing import (
    print_comparison,
    print_counts,
    print_dataset,
    print_epoch,
    print_json,
    print_report,
    print_severity,
    print_severity_comparison,
    print_view,
)
from mien.schema import MienError, Preprocessing

app = typer.Typer(
    name="mien",
    cls=ExplainedCommands,
    help="Read affect from faces: expressions in photos, and models of your own.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Detector = Annotated[
    Path | None,
    typer.Option(
        metavar="YUNET.onnx", exists=True, help="Find (small) faces with this YuNet model."
    ),
]
# How crops are cut, of every command that makes some.
Like = Annotated[
    str | None, typer.Option(metavar="RUN|MODEL", help="Cut crops as this model reads them.")
]
Size = Annotated[int | None, typer.Option(help="Side of the crops in pixels (112).")]
Color = Annotated[
    str | None, typer.Option(help="rgb, bgr or gray (as the corpus is; of rendered faces rgb).")
]
Margin = Annotated[
    float | None, typer.Option(help="More context around the face, 0.1 a tenth (0).")
]
Workers = Annotated[int | None, typer.Option(help="Processes (default: one a core).")]


def main() -> None:
    """The entry point of the command ``mien``."""
    for stream in (sys.stdout, sys.stderr):
        # A file name, or a terminal's alphabet, must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="mien")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Photos, videos, folders of them, or - for a list."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A shipped model's name or an ONNX file (fer); of videos also one of severity."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a table: .csv, .parquet or .jsonl.")
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write photos or videos with boxes, and timelines, here."),
    ] = None,
    tight: Annotated[
        bool, typer.Option("--tight", help="Images are tight face crops; look for no faces.")
    ] = False,
    detector: Detector = None,
    rate: Annotated[
        float, typer.Option(min=0.01, help="Of videos: frames a second to look at.")
    ] = 5,
    rows: Annotated[
        str | None,
        typer.Option(help="Of videos: a row a person (summary, the default), or frames, or clips."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read the expressions in photos, and what videos show over time. Every input gives a row."""
    from mien.faces.detect import YuNetDetector
    from mien.inference.predictor import Predictor
    from mien.inference.severity import SeverityPredictor
    from mien.inference.stream import names_videos

    chosen = YuNetDetector(detector) if detector else None
    expressions, severity = _open_models(model or ["fer"])
    predictor = None if expressions is None else Predictor(*expressions, detector=chosen)
    show, show_json = None if out or as_json else sys.stdout, sys.stdout if as_json else None
    if rows or severity is not None or names_videos(inputs):
        from mien.inference.videos import predict_videos, tell_counts

        with predictor or nullcontext():
            found = predict_videos(
                inputs,
                predictor=predictor,
                severity=None if severity is None else SeverityPredictor(*severity),
                rate=rate,
                rows=rows or "summary",
                out=out,
                annotate=annotate,
                tight=tight,
                detector=chosen,
                show=show,
                show_json=show_json,
            )
        if (out or annotate) and not as_json:
            print(tell_counts(found, [place for place in (out, annotate) if place]))
            if severity is not None and out:
                print(severity[0].use)
        if found["unreadable"]:
            raise typer.Exit(1)
        return
    from mien.inference.photos import predict_photos

    if predictor is None:
        raise TypeError("expected a model")
    with predictor:
        summary = predict_photos(
            predictor,
            inputs,
            out=out,
            annotate=annotate,
            tight=tight,
            show=show,
            show_json=show_json,
        )
    if (out or annotate) and not as_json:
        counts = ", ".join(f"{n} {status}" for status, n in summary["rows"].items())
        places = " and ".join(str(place) for place in (out, annotate) if place)
        print(f"{counts}; written to {places}")
    if summary["rows"].get("unreadable"):
        raise typer.Exit(1)


def _open_models(names: list[str]) -> tuple[Any, Any]:
    """Description and session of the model of expressions and of that of severity, or None."""
    from mien.inference.model import read_any_model
    from mien.models import SeverityInfo, find_model

    found: dict[str, Any] = {"expressions": None, "severity": None}
    for name in names:
        opened = read_any_model(find_model(name))
        task = "severity" if isinstance(opened[0], SeverityInfo) else "expressions"
        if found[task] is not None:
            raise MienError(f"expected one --model of {task}, got two: leave one out")
        found[task] = opened
    return found["expressions"], found["severity"]


@app.command()
def prepare(
    corpus: Annotated[str, typer.Argument(help="A name that `mien corpora` lists.")],
    source: Annotated[Path, typer.Argument(help="The corpus as it was published, or your folder.")],
    out: Annotated[Path, typer.Option(metavar="DATASET", help="The dataset folder to make.")],
    like: Like = None,
    size: Size = None,
    color: Color = None,
    margin: Margin = None,
    tight: Annotated[
        bool, typer.Option("--tight", help="Images are tight face crops; look for no faces.")
    ] = False,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Look for landmarks in tight crops too.")
    ] = False,
    detector: Detector = None,
    classes: Annotated[
        str | None, typer.Option(help="Names of numeric labels: a,b,c from 0, or 1=a,2=b.")
    ] = None,
    valid_from_train: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=0.9, help="Make a split valid of train, 0.1."),
    ] = 0,
    rate: Annotated[
        float, typer.Option(min=0, help="Of recordings: frames a second that are kept (0: all).")
    ] = 5,
    task: Annotated[
        str | None, typer.Option(help="Of recordings: read this task only (freeform, northwind).")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Of a table of recordings: bdi-ii, phq-8 or the top score.")
    ] = None,
    disjoint: Annotated[
        bool, typer.Option("--subject-disjoint", help="Make splits that share no subject.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the splits that are made.")] = 0,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Make a dataset folder from a corpus. After an interruption, the same command goes on."""
    from functools import partial

    from mien.faces.detect import MediaPipeDetector, YuNetDetector
    from mien.preparation.prepare import left_out_table
    from mien.preparation.prepare import prepare as prepare_dataset

    result = prepare_dataset(
        corpus,
        source,
        out,
        preprocessing=_preprocessing(corpus, like, size=size, color=color, margin=margin),
        tight=tight,
        classes=classes.split(",") if classes else None,
        seed=seed,
        valid_from_train=valid_from_train,
        landmarks=landmarks,
        rate=rate or None,
        task=task.lower() if task else None,
        scale=scale,
        disjoint=disjoint,
        workers=workers,
        detector=partial(YuNetDetector, detector) if detector else MediaPipeDetector,
    )
    if as_json:
        print_json(result.dataset.info)
        return
    print_dataset(result.dataset.info, left_out_table(result.dataset), looked_for=landmarks)
    recordings = len(result.dataset.info.get("videos", {}))
    what = f"frames of {recordings} recordings" if recordings else "faces"
    print(f"{len(result.dataset)} {what} in {out}")


def _preprocessing(corpus: str | None, like: str | None, **asked: Any) -> Preprocessing:
    from pydantic import ValidationError

    from mien.corpora import corpus_of

    asked = {name: value for name, value in asked.items() if value is not None}
    if like:
        from mien.evaluation.evaluate import open_model

        if asked:
            raise MienError(
                f"expected either --like or --{' and --'.join(asked)}, got both; leave one out"
            )
        return open_model(like).preprocessing
    try:
        color = corpus_of(corpus).color if corpus else "rgb"
        return Preprocessing.model_validate({"color": color} | asked)
    except ValidationError as error:
        first = error.errors()[0]
        raise MienError(f"--{first['loc'][0]}: {first['msg']}, got {first['input']!r}") from None


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(metavar="DATASET", help="The dataset folder to make.")],
    faces: Annotated[int | None, typer.Option(help="How many faces (1000).")] = None,
    videos: Annotated[int | None, typer.Option(help="Or how many videos, with severity.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of a video (8).")] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Easy faces: frontal, soft light, strong expressions.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed gives other people.")] = 0,
    like: Like = None,
    size: Size = None,
    color: Color = None,
    margin: Margin = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Render faces of people who do not exist, with all labels known."""
    from mien.synthetic.corpus import write_faces, write_videos

    if faces is not None and videos is not None:
        raise MienError("expected either --faces or --videos, got both; leave one out")
    if seconds is not None and videos is None:
        raise MienError("expected --videos with --seconds, got none; say how many videos")
    if plain and videos is not None:
        raise MienError("expected --plain with faces, got it with --videos; leave one out")
    preprocessing = _preprocessing(None, like, size=size, color=color, margin=margin)
    if videos is None:
        made = write_faces(
            out,
            faces=1000 if faces is None else faces,
            seed=seed,
            plain=plain,
            preprocessing=preprocessing,
            workers=workers,
        )
    else:
        made = write_videos(
            out,
            videos=videos,
            seconds=8.0 if seconds is None else seconds,
            seed=seed,
            preprocessing=preprocessing,
            workers=workers,
        )
    if as_json:
        print_json(made.info)
        return
    print_counts(made.info)
    print(f"{len(made)} faces in {out}: rendered, nobody's")


@app.command()
def corpora(as_json: Json = False) -> None:
    """List the corpora that `mien prepare` reads, and their layouts."""
    from mien.corpora import CORPORA, describe

    if as_json:
        keys = ("description", "layout", "license_terms")
        print_json({c.name: {key: getattr(c, key) for key in keys} for c in CORPORA.values()})
    else:
        print(describe())


@app.command()
def recipes(as_json: Json = False) -> None:
    """List the recipes that come with mien."""
    from mien.training.recipe import load_recipe, recipe_names

    found = [load_recipe(name) for name in recipe_names()]
    if as_json:
        print_json({recipe.name: recipe.model_dump(mode="json") for recipe in found})
        return
    for recipe in found:
        print(
            f"{recipe.name}\n  {recipe.about}\n  paper: {recipe.paper}\n  expect: {recipe.expect}\n"
        )


@app.command()
def models(as_json: Json = False) -> None:
    """List the models that come with mien."""
    from mien.inference.model import read_metadata
    from mien.models import shipped_models

    found = {name: (path, read_metadata(path)) for name, path in shipped_models().items()}
    if as_json:
        print_json({name: info.model_dump(mode="json") for name, (_, info) in found.items()})
        return
    for name, (path, info) in found.items():
        print(f"{name}  ({path.stat().st_size / 1e6:.1f} MB, {', '.join(info.label_space.names)})")
        print(f"  {info.license_terms}\n")
    if not found:
        print("no model comes with this installation; `mien export` makes one of a run")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or YAML file.")],
    data: Annotated[
        list[Path],
        typer.Option(metavar="DATASET", help="A prepared dataset folder; several join."),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run folder to make.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a killed run.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads (default: all).")] = None,
    features: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where a frozen backbone's maps lie (DATASET/features)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a recipe on a dataset. The epoch kept is the best on the split valid."""
    from mien.data.concat import open_datasets
    from mien.training.fit import fit
    from mien.training.recipe import load_recipe

    settings = load_recipe(recipe, changes or [])
    run = fit(
        settings,
        open_datasets(data),
        out,
        resume=resume,
        threads=threads,
        features=features,
        on_epoch=print_epoch,
        on_features=print_view,
    )
    document = json.loads((run / "model.json").read_text("utf-8"))
    chosen = document["selected_on"]
    if as_json:
        print_json({"run": str(run), "epoch": document["epoch"], **chosen})
    else:
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
    reference: Annotated[
        str | None,
        typer.Option(metavar="SPLIT", help="Also read the embedding by neighbors in this split."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a run or a model. Writes report.json and report.html."""
    from mien.evaluation.evaluate import evaluate_model

    folder = out or (Path(model) / "report" if Path(model).is_dir() else Path("report"))
    report, page = evaluate_model(model, data, folder, split=split, rule=rule, reference=reference)
    if as_json:
        print_json(report)
        return
    if report.get("task") == "severity":
        print_severity(report, page)
    else:
        print_report(report, page)


@app.command()
def compare(
    models: Annotated[
        list[str], typer.Argument(metavar="RUN|MODEL...", help="The first is compared with.")
    ],
    data: Annotated[Path, typer.Option(metavar="DATASET", help="A prepared dataset folder.")],
    split: Annotated[str, typer.Option(help="The split to compare on.")] = "test",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of compare.json and compare.html.")
    ] = Path("comparison"),
    rule: Annotated[
        str, typer.Option(help="How votes become the label: majority or ferplus.")
    ] = "majority",
    as_json: Json = False,
) -> None:
    """Say whether runs or models differ. Writes compare.json, compare.html."""
    from mien.evaluation.compare import compare_models

    document, page = compare_models(models, data, out, split=split, rule=rule)
    if as_json:
        print_json(document)
        return
    if document.get("task") == "severity":
        print_severity_comparison(document, page)
    else:
        print_comparison(document, page)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path, typer.Option(metavar="FILE.onnx", help="The model file to write.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Store weights as int8: a quarter of the size.")
    ] = False,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Average over the face and its mirror image.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="The model's name (default: the file's).")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="A model card in Markdown to carry along.")
    ] = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Confidence under which the model abstains."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run as one ONNX file, and check it."""
    text = _read_text(card) if card else ""
    from mien.training.export import export_run

    document = export_run(
        run,
        out,
        name=name,
        card=text,
        int8=int8,
        mirror=mirror,
        abstain_below=abstain_below,
    )
    if as_json:
        print_json(document)
    else:
        difference = document["parity"]["largest_difference"]
        print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, differs by {difference:.1g} at most")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")] = Path("demo-output"),
) -> None:
    """Show every stage once, on a photo and on rendered faces."""
    from mien.cli.demo import run_demo

    run_demo(out)


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise MienError(f"expected text in UTF-8, got {path}; save it as that") from None
