"""A small prepared dataset of toy faces, a run trained on it and its model, for every test."""

from pathlib import Path

import pytest

from mien.data.prepare import prepare
from mien.data.toy import write_toy_folder
from mien.schema import Preprocessing


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_folder(tmp_path_factory.mktemp("toy") / "faces", faces=180, size=48)


@pytest.fixture(scope="session")
def toy_dataset(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toy-dataset") / "dataset"
    prepare("folder", toy_folder, out, preprocessing=Preprocessing(size=32), tight=True, workers=1)
    return out


@pytest.fixture(scope="session")
def toy_run(toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Imported here, so that tests without training need no torch.
    from mien.data.dataset import Dataset
    from mien.training.fit import fit
    from mien.training.recipe import load_recipe

    changes = ["backbone.name=test_resnet", "backbone.arguments={}", "embedding.size=16"]
    changes += ["sampler.batch_size=12", "schedule.epochs=2", "optimizer.rate=0.005"]
    recipe = load_recipe("softmax", changes)
    return fit(recipe, Dataset.open(toy_dataset), tmp_path_factory.mktemp("toy-run") / "run")


@pytest.fixture(scope="session")
def toy_model(toy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mien.training.export import export
    from mien.training.run import load_run

    path = tmp_path_factory.mktemp("toy-model") / "toy.onnx"
    export(load_run(toy_run), path, card="# Toy", abstain_below=0.01)
    return path
