"""A recipe small enough to train in a second, and a run trained with it."""

from pathlib import Path

import pytest

from mien.data.dataset import Dataset
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe

SMALL = [
    "backbone.name=test_resnet",
    "backbone.arguments={}",
    "embedding.size=16",
    "sampler.batch_size=12",
    "sampler.classes=6",
    "sampler.samples=2",
    "schedule.epochs=3",
    "averaging=0.9",
]


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    return load_recipe("triplet", SMALL)


@pytest.fixture(scope="session")
def small_run(
    small_recipe: Recipe, toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return fit(small_recipe, Dataset.open(toy_dataset), tmp_path_factory.mktemp("runs") / "small")
