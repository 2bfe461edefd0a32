"""A small run, and recordings with start weights for clips."""

from pathlib import Path

import pytest
from small_training import SMALL, random_weights

from mien.data.dataset import Dataset
from mien.synthetic.drawn import write_toy_videos
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    return load_recipe("triplet", SMALL)


@pytest.fixture(scope="session")
def small_run(
    small_recipe: Recipe, toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    # Bytes depend on the number of threads, which tests that ran before may have changed.
    return fit(small_recipe, Dataset.open(toy_dataset), out, threads=1)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_toy_videos(tmp_path_factory.mktemp("severity") / "videos", videos=40)


@pytest.fixture(scope="session")
def frozen_backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A change to a recipe: a frozen backbone of random weights, in one augmented view."""
    path = random_weights(tmp_path_factory.mktemp("weights") / "start.safetensors")
    return (
        f"backbone={{name: test_resnet, weights: {path}, license_terms: ours, frozen: true, "
        "augmented_views: 1}"
    )
