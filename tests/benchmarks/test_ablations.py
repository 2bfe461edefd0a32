"""The ablation's cells are valid recipes, and its words follow from its numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from small_training import random_weights

from mien.training.recipe import load_recipe

FOLDER = Path(__file__).parents[2] / "benchmarks"
FACES = 400


@pytest.fixture(scope="module")
def modules() -> Iterator[tuple[ModuleType, ModuleType]]:
    sys.path.insert(0, str(FOLDER))
    import ablation_cells
    import ablation_table

    yield ablation_cells, ablation_table
    sys.path.remove(str(FOLDER))
    for name in ("ablation_cells", "ablation_table"):
        del sys.modules[name]


def test_every_cell_is_a_recipe_that_only_it_has(
    modules: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    cells, _ = modules
    for part, settings in cells.PARTS.items():
        assert set(settings.cells) <= set(cells.CELLS)
        assert settings.cells[0] == "softmax"
        found = [
            load_recipe(*cells.settings_of(part, cell, 3, tmp_path)) for cell in settings.cells
        ]
        assert len({recipe.to_yaml() for recipe in found}) == len(found)
        # Paired by seed: nothing but what the cell names may differ.
        for recipe in found:
            for key in ("seed", "backbone", "sampler", "augmentation", "schedule", "optimizer"):
                assert getattr(recipe, key) == getattr(found[0], key)
    assert all(load_recipe(*cells.settings_of("frozen", cell, 0, tmp_path)) for cell in cells.TUNE)


def line(cell: str, seed: int, accuracy: float) -> dict[str, object]:
    generator = np.random.default_rng((seed, 7))
    right = generator.random(FACES) < accuracy
    return {
        "part": "frozen",
        "cell": cell,
        "seed": seed,
        "faces": FACES,
        "right": np.packbits(right).tobytes().hex(),
        "cpu_seconds": 10.0,
        "valid_accuracy": accuracy,
        "accuracy": float(right.mean()),
        "distance_ratio": 1 + accuracy + 0.01 * seed,
        **dict.fromkeys(
            (
                *("ferplus_accuracy", "mean_class_accuracy", "macro_f1", "precision_at_1"),
                *("neighbor_accuracy", "centroid_accuracy"),
            ),
            accuracy,
        ),
    }


def test_words_follow_from_whole_intervals(modules: tuple[ModuleType, ModuleType]) -> None:
    cells, table = modules
    accuracies = {
        "softmax": 0.6,
        "center": 0.8,
        "dacl": 0.8,
        "multi-threshold": 0.4,
        "full + expression loss": 0.7,
        **{f"dual triplet {t}": 0.4 + t / 10 for t in cells.THRESHOLDS},
    }
    lines = [line(cell, seed, value) for cell, value in accuracies.items() for seed in range(3)]
    text = table.write_table(lines, [])
    said = {row[2:].split(":")[0]: row for row in text.splitlines() if row.startswith("- ")}
    assert "**held**" in said["the center loss beats softmax"]
    assert "**not held**" in said["the multi-threshold embedding beats softmax"]
    assert "undecided, +0.0" in said["attention improves the center loss (DACL)"]
    # The best single threshold by the held-out rows.
    best = next(row for row in said if row.startswith("many thresholds beat the best"))
    assert "dual triplet 1.6" in best
    assert any("raises the distance ratio" in row and "**held**" in row for row in said.values())
    assert not any("partial" in row for row in said if "distance ratio" not in row)
    assert "| center | 8" in text and "3 seeds" in text
    with pytest.raises(SystemExit, match="run a part first"):
        table.write_table([], [])


def test_the_bits_of_a_run_are_its_right_answers(modules: tuple[ModuleType, ModuleType]) -> None:
    _, table = modules
    one = line("softmax", 1, 0.5)
    assert table.right(one).mean() == one["accuracy"]
    cost = [{"recipe": "dacl", "ratio": 1.1, "low": 1.0, "high": 1.2, "milliseconds": 50.0}]
    assert "| dacl | 1.10 (1.00 to 1.20) | 50 |" in table.write_table([one], cost)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
def test_a_cell_is_trained_and_measured(
    modules: tuple[ModuleType, ModuleType], toy_dataset: Path, tmp_path: Path, frozen: bool
) -> None:
    import ablations
    from mien.data.dataset import Dataset
    from mien.training.fit import fit
    from mien.training.run import load_run

    cells, _ = modules
    part = "frozen" if frozen else "small"
    random_weights(tmp_path / "weights.safetensors")
    name, changes = cells.settings_of(part, "dacl", 0, tmp_path)
    small = ["backbone.name=test_resnet", "backbone.arguments={}", "embedding.size=16"]
    small += ["sampler.batch_size=12", "schedule={epochs: 1}"]
    recipe, dataset = load_recipe(name, [*changes, *small]), Dataset.open(toy_dataset)
    features = tmp_path / "features" if frozen else None
    folder = fit(recipe, dataset, tmp_path / "run", threads=1, features=features)
    run = load_run(folder)
    values = ablations.measure(run, recipe, dataset, tmp_path / "features", folder)
    assert values["epoch"] == 0 and values["faces"] == len(dataset.split_indices("test"))
    assert all(0 <= values[key] <= 1 for key in ("accuracy", "valid_accuracy", "precision_at_1"))
    assert (folder / "answers.npz").is_file()


@pytest.mark.slow
def test_what_steps_cost_is_measured_for_every_recipe_of_faces(
    modules: tuple[ModuleType, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toy_corpora import small_dataset

    import ablation_cost
    from mien.labels import LABEL_SPACES
    from mien.recipes import list_recipes
    from mien.schema import Preprocessing

    names = LABEL_SPACES["ferplus"].names
    rows = [
        {"label": names[row % 8], "split": "valid" if row > 79 else "train"} for row in range(96)
    ]
    small_dataset(tmp_path / "faces", rows, preprocessing=Preprocessing(size=32))
    monkeypatch.setattr(ablation_cost, "BACKBONE", "test_resnet")
    lines = ablation_cost.measure_cost(tmp_path / "faces", rounds=1)
    of_faces = {name for name in list_recipes() if load_recipe(name).clips is None}
    assert {line["recipe"] for line in lines} == of_faces - set(ablation_cost.LEFT_OUT)
