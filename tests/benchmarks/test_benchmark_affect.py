"""The pieces of benchmarks/affect.py that need no training: folds, peers, table, verdicts."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from small_training import random_weights

from mien.data.dataset import Dataset
from mien.data.targets import make_targets

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def affect() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    try:
        import affect

        yield affect
    finally:
        sys.path.remove(str(FOLDER))


def test_every_face_is_tested_once_and_folds_survive_another_reading(
    affect: ModuleType, toy_dataset: Path
) -> None:
    dataset = Dataset.open(toy_dataset)
    folds = [affect.fold_of(dataset, number) for number in range(affect.FOLDS)]
    tested = np.stack([fold.splits == "test" for fold in folds])
    assert (tested.sum(0) == 1).all()
    assert all(set(fold.splits) == {"train", "valid", "test"} for fold in folds)
    again = folds[1].with_preprocessing(dataset.preprocessing)
    assert (again.splits == folds[1].splits).all()


def test_every_cell_is_a_recipe_that_differs_from_the_others(affect: ModuleType) -> None:
    from mien.training.recipe import load_recipe

    recipes = [
        load_recipe(*affect.settings_of(cell, 1, 3, Path("w.safetensors"))) for cell in affect.CELLS
    ]
    assert len({recipe.to_yaml() for recipe in recipes}) == len(affect.CELLS)
    shared = {(r.schedule.epochs, r.seed, r.embedding.size, r.backbone.frozen) for r in recipes}
    assert shared == {(3, 1, 256, True)}
    assert {recipe.keep for recipe in recipes} == {"last"}
    by_cell = dict(zip(affect.CELLS, recipes, strict=True))
    assert list(by_cell["expressions only"].heads) == ["expression"]
    graphs = [name for name, recipe in by_cell.items() if recipe.graph is not None]
    assert graphs == ["graph without edges", "Emotion-GCN"]


def test_ridge_finds_a_plain_rule_and_bears_missing_features(
    affect: ModuleType, affect_dataset: Path
) -> None:
    dataset = Dataset.open(affect_dataset)
    targets = make_targets(dataset, "majority")
    truth = np.nan_to_num(targets["valence_arousal"])
    rng = np.random.default_rng(0)
    features = np.hstack([truth, rng.normal(size=(len(truth), 3))]).astype(float)
    features[5] = np.nan
    rows = {split: dataset.split_indices(split) for split in ("train", "test")}
    _, values = affect.ridge(features, targets, rows["train"], rows["test"])
    rated = ~np.isnan(targets["valence_arousal"][rows["test"], 0])
    assert np.corrcoef(values[rated, 0], truth[rows["test"]][rated, 0])[0, 1] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["expressions only", "Emotion-GCN"])
def test_a_cell_is_trained_and_answers_the_split_test(
    affect: ModuleType, affect_dataset: Path, tmp_path: Path, cell: str
) -> None:
    from mien.training.fit import fit
    from mien.training.recipe import load_recipe

    weights = random_weights(tmp_path / "start.safetensors")
    name, changes = affect.settings_of(cell, 0, 2, weights)
    small = ["backbone.name=test_resnet", "backbone.arguments={}", "embedding.size=8"]
    recipe = load_recipe(name, [*changes, *small])
    dataset = affect.fold_of(Dataset.open(affect_dataset), 0)
    run = fit(recipe, dataset, tmp_path / "run", threads=1, features=tmp_path / "features")
    line = affect.measure(run, recipe, dataset, tmp_path / "features")
    targets = make_targets(dataset, "majority")
    rows = np.flatnonzero((dataset.splits == "test") & affect.labeled(targets))
    assert line["rows"] == rows.tolist() and len(line["answers"]) == len(rows)
    assert (line["affect"] is None) == (cell == "expressions only")
    assert json.dumps(line, allow_nan=False)


def made_up(affect: ModuleType) -> list[dict[str, object]]:
    """Two folds and three seeds, in which the graph is right and near, the others less so."""
    rng = np.random.default_rng(0)
    lines = []
    for cell in (*affect.CELLS, *affect.PEERS):
        for seed in range(1 if cell in affect.PEERS else 3):
            for fold in range(2):
                rows = np.arange(fold, 120, 2)
                truth, near = rows % 3, cell == "Emotion-GCN"
                known = np.stack([np.sin(rows), np.cos(rows)], 1)
                wrong = rng.random(len(rows)) < (0.02 if near else 0.5)
                noise = rng.normal(0, 0.05 if near else 0.8, known.shape)
                said = None if cell == "expressions only" else (known + noise).tolist()
                lines.append(
                    {
                        "corpus": "made up",
                        "cell": cell,
                        "seed": seed,
                        "fold": fold,
                        "rows": rows.tolist(),
                        "truth": truth.tolist(),
                        "answers": np.where(wrong, (truth + 1) % 3, truth).tolist(),
                        "affect_truth": known.tolist(),
                        "affect": said,
                    }
                )
    return lines


def test_the_table_tells_what_the_lines_hold(affect: ModuleType) -> None:
    lines = made_up(affect)
    text = affect.write_table(lines, epochs=3)
    rows = {row.split(" | ")[0].strip("| "): row for row in text.splitlines() if row[:1] == "|"}
    assert set(rows) >= {*affect.CELLS, *affect.PEERS}
    graph = [line for line in lines if line["cell"] == "Emotion-GCN"]
    seeds = [
        np.mean(
            [
                truth == answer
                for line in graph
                if line["seed"] == seed
                for truth, answer in zip(line["truth"], line["answers"], strict=True)
            ]
        )
        for seed in range(3)
    ]
    assert (
        f"| {100 * np.mean(seeds):.1f} ± {100 * np.std(seeds, ddof=1):.1f} |" in rows["Emotion-GCN"]
    )
    assert rows["expressions only"].count("\u2013") == 3
    assert rows["valence and arousal only"].count("\u2013") == 2
    verdicts = [line for line in text.splitlines() if line.startswith("- the graph beats linear")]
    assert len(verdicts) == 2 and all("**shown**" in line for line in verdicts)
    pooling = [line for line in text.splitlines() if line.startswith("- max pooling")]
    assert any("undecided" in line for line in pooling)


def test_a_seed_without_all_folds_is_not_in_the_table(affect: ModuleType) -> None:
    from affect_table import gather

    lines = [
        line
        for line in made_up(affect)
        if not (line["cell"] == "Emotion-GCN" and line["seed"] == 2 and line["fold"] == 1)
    ]
    cells = gather(lines)
    assert len(cells["Emotion-GCN"]) == 2 and len(cells["graph without edges"]) == 3
    assert len(cells["Emotion-GCN"][0].rows) == 120
