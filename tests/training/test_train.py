"""`mien.train`: recipes by name, file or object, and one or several datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

import mien
from mien.models import read_info
from mien.training.recipe import load_recipe

SMALL = ["backbone.name=test_resnet", "backbone.arguments={}", "embedding.size=8"]
SMALL += ["sampler.batch_size=12", "schedule.epochs=1"]


def test_a_recipe_by_name_and_as_an_object_train_alike(toy_dataset: Path, tmp_path: Path) -> None:
    by_name = mien.train("softmax", toy_dataset, tmp_path / "a", changes=SMALL, threads=1)
    recipe, dataset = load_recipe("softmax", SMALL), mien.Dataset.open(toy_dataset)
    by_object = mien.train(recipe, dataset, str(tmp_path / "b"), threads=1)
    assert (by_name, by_object) == (tmp_path / "a", tmp_path / "b")
    weights = [(run / "model.safetensors").read_bytes() for run in (by_name, by_object)]
    assert weights[0] == weights[1]


def test_several_datasets_are_joined(
    toy_dataset: Path, affect_dataset: Path, tmp_path: Path
) -> None:
    lines: list[dict[str, object]] = []
    parts = [mien.Dataset.open(toy_dataset), affect_dataset]
    run = mien.train(
        "multi-task", parts, tmp_path / "run", changes=SMALL, threads=1, on_epoch=lines.append
    )
    assert list(read_info(run).heads) == ["expression", "valence_arousal"]
    assert [line["epoch"] for line in lines] == [0]


def test_changes_belong_to_a_recipe_by_name(toy_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="by name or file"):
        mien.train(load_recipe("softmax"), toy_dataset, tmp_path / "run", changes=SMALL)
    assert not (tmp_path / "run").exists()
