"""A network that was trained with pixel-wise attention shows where it looks, from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.dataset import Dataset
from mien.evaluation.evaluate import evaluate
from mien.faces.images import load_image
from mien.inference.drawing.annotate import annotate
from mien.inference.predictor import Predictor
from mien.schema import Box, Face, UInt8Array
from mien.training.export import export
from mien.training.fit import fit
from mien.training.recipe import load_recipe
from mien.training.run import load_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = ["backbone.name=test_resnet", "backbone.arguments={output_stride: 8}"]
    changes += ["embedding.size=16", "attention={pixel: true}", "sampler.batch_size=12"]
    changes += ["schedule.epochs=2", "optimizer.lr=0.005"]
    out = tmp_path_factory.mktemp("attention") / "run"
    return fit(load_recipe("softmax", changes), Dataset.open(toy_dataset), out, threads=1)


class Everything:
    """Takes the middle of a picture for a face without landmarks."""

    name = "everything"

    def __call__(self, image: UInt8Array) -> list[Face]:
        height, width = image.shape[:2]
        return [Face(Box(width / 4, height / 4, width / 2, height / 2), 1.0)]

    def close(self) -> None: ...

    def __enter__(self) -> Everything:
        return self

    def __exit__(self, *error: object) -> None: ...


def test_its_map_is_drawn_over_the_face(run: Path, toy_folder: Path, tmp_path: Path) -> None:
    export(load_run(run), tmp_path / "model.onnx")
    photo = tmp_path / "photo.png"
    face_picture = Image.open(next(toy_folder.glob("test/happiness/*.png")))
    # Large enough not to be taken for a tight crop.
    face_picture.resize((192, 192)).save(photo)
    with Predictor.load(tmp_path / "model.onnx", detector=Everything()) as predictor:
        [face] = predictor(photo)
    assert face.attention is not None and face.attention.shape == (4, 4)
    assert np.ptp(face.attention) > 0.005, "two epochs were to move it from a half everywhere"
    picture = annotate(photo, [face])
    face.attention[:] = 0.5
    bare = annotate(photo, [face])
    differs = (picture != bare).any(axis=2)
    height = len(load_image(photo)) * round(len(picture) / len(load_image(photo)))
    assert differs[height // 3 : height * 2 // 3, height // 3 : height * 2 // 3].mean() > 0.5
    assert not differs[: height // 8].any() and not differs[:, height:].any()


def test_its_report_shows_the_maps_of_the_classes(
    run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    report, page = evaluate(run, toy_dataset, tmp_path)
    shown = sum(entry["n"] > 0 for entry in report["heads"]["expression"]["per_class"].values())
    assert page.read_text("utf-8").count('alt="Mean attention') == shown > 1
