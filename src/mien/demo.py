"""``mien demo``: every stage once, on a real photo and on toy faces, in two minutes."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

from mien.schema import MienError, Preprocessing

_FACES = 600
_NEEDED = ("skimage", "lightning", "matplotlib", "onnx", "onnxscript", "sklearn", "timm", "torch")
_SETTINGS = (
    "backbone.name=resnet10t",
    "backbone.arguments={}",
    "embedding.size=64",
    "sampler.batch_size=16",
    "schedule.epochs=10",
    "optimizer.rate=0.002",
)


def run_demo(out: str | Path) -> Path:
    """Predict a photo with the shipped model, then make, train, evaluate and use one of our own.

    Everything goes into the folder ``out``; a former demo's files there are replaced. Returns the
    path of the report. Raises :class:`MienError` where the extras ``train`` or ``demo`` are
    missing.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MienError(
            f"the demo needs packages that are missing ({', '.join(missing)}); "
            'install them with: pip install "mien[train,demo]"'
        )
    out = Path(out)
    started = time.monotonic()
    photo = _photo(out)
    _predict(photo, out)
    report = _own_model(out)
    print(f"\nDone in {time.monotonic() - started:.0f} s. Look at:")
    print(f"  {out / 'annotated' / photo.name}   the shipped model on a photo")
    print(f"  {out / 'faces.csv'}   the same as a table")
    print(f"  {report}   how the model trained on toy faces does (toy data: no real result)")
    return report


def _photo(out: Path) -> Path:
    from PIL import Image
    from skimage import data

    out.mkdir(parents=True, exist_ok=True)
    photo = out / "astronaut.png"
    Image.fromarray(data.astronaut()).save(photo)  # type: ignore[no-untyped-call]
    return photo


def _say(command: str) -> None:
    print(f"\n$ mien {command}", flush=True)


def _predict(photo: Path, out: Path) -> None:
    from mien.inference.photos import predict_photos
    from mien.inference.predictor import Predictor

    _say(f"predict {photo} --out {out / 'faces.csv'} --annotate {out / 'annotated'}")
    with Predictor.load("fer") as predictor:
        predict_photos(
            predictor,
            [str(photo)],
            out=out / "faces.csv",
            annotate=out / "annotated",
            show=sys.stdout,
        )


def _own_model(out: Path) -> Path:
    import shutil

    from mien.data.prepare import prepare
    from mien.data.toy import write_toy_folder
    from mien.evaluate import evaluate_model
    from mien.inference.photos import predict_photos
    from mien.inference.predictor import Predictor
    from mien.training.export import export
    from mien.training.fit import fit
    from mien.training.recipe import load_recipe
    from mien.training.run import load_run

    toy, dataset, run = out / "toy-faces", out / "toy-dataset", out / "toy-run"
    for folder in (toy, dataset, run):
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nDrawing {_FACES} toy faces into {toy}: cartoons, not people.")
    write_toy_folder(toy, faces=_FACES, size=64)

    _say(f"prepare folder {toy} --out {dataset} --tight --size 64")
    made = prepare("folder", toy, dataset, preprocessing=Preprocessing(size=64), tight=True)
    print(f"{len(made.dataset)} faces in {dataset}")

    recipe = load_recipe("softmax", _SETTINGS)
    changes = " ".join(f"--set {change}" for change in _SETTINGS)
    _say(f"train softmax --data {dataset} --out {run} {changes}")
    fit(
        recipe,
        made.dataset,
        run,
        on_epoch=lambda line: print(
            f"epoch {line['epoch']}  loss {line['train']['loss']:.3f}  "
            f"accuracy on valid {line['valid']['accuracy']:.3f}",
            flush=True,
        ),
    )

    _say(f"evaluate {run} --data {dataset}")
    report, page = evaluate_model(run, dataset, run / "report")
    accuracy = report["metrics"]["accuracy"]
    print(
        f"accuracy on {report['n']} toy faces: {accuracy['value']:.3f} "
        f"({accuracy['low']:.3f} to {accuracy['high']:.3f})"
    )

    model = out / "toy.onnx"
    _say(f"export {run} --out {model}")
    export(load_run(run), model)

    _say(f"predict {toy / 'test'} --model {model} --tight --out {out / 'toy-faces.csv'}")
    with Predictor.load(model) as predictor:
        summary = predict_photos(
            predictor, [str(toy / "test")], out=out / "toy-faces.csv", tight=True
        )
    print(", ".join(f"{count} {status}" for status, count in summary["rows"].items()))
    return page
