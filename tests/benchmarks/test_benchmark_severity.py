"""The table of the comparison of severity losses, from results that are made up."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from small_training import random_weights

import severity_table as table
from mien.evaluation.models import open_model, predict_recordings
from mien.synthetic.drawn import write_toy_videos
from mien.training.batches.features import cached_frames
from mien.training.fit import fit
from mien.training.recipe import load_recipe
from mien.training.run import load_run
from severity_cells import CELLS, CLASSES, CONSTANT, LDL, REGRESSION, settings_of


def line(cell: str, seed: int, fold: int, error: float, *, embedded: bool = True) -> dict:
    """Answers of 20 videos of 10 persons in a fold, ``error`` points too high."""
    scores = (np.arange(20) * 3.0) % 50
    angles = scores / 63 * np.pi
    return {
        "cell": cell,
        "seed": seed,
        "fold": fold,
        "videos": [f"{fold}-{number:02d}" for number in range(20)],
        "subjects": [f"{fold}-{number // 2}" for number in range(20)],
        "scores": scores.tolist(),
        "predictions": (scores + error + 0.1 * seed).tolist(),
        "embeddings": np.stack([np.cos(angles), np.sin(angles)], 1).tolist() if embedded else None,
        "cpu_seconds": 2.0,
    }


@pytest.fixture
def results() -> list[dict]:
    made = [
        line(cell, seed, fold, error)
        for cell, error in ((LDL, 2.0), (CLASSES, 6.0), (REGRESSION, 2.0))
        for seed in range(3)
        for fold in range(2)
    ]
    return [*made, *(line(CONSTANT, 0, fold, 9.0, embedded=False) for fold in range(2))]


def test_seeds_are_put_together_from_their_folds(results) -> None:
    scores, subjects, cells = table.gather([*results, line(LDL, 3, 0, 2.0)])
    assert scores.shape == subjects.shape == (40,)
    # The fourth seed has one fold of two, so it does not count yet.
    assert cells[LDL].predictions.shape == (3, 40)
    np.testing.assert_allclose(cells[LDL].predictions[1] - scores, 2.1)
    assert cells[LDL].order == pytest.approx([1, 1, 1]) and not cells[CONSTANT].order


def test_the_claims_have_words_by_their_intervals(results) -> None:
    text = table.write_table(results, epochs=8)
    assert "| LDL | 2.10 \u00b1 0.10 |" in text
    assert "label distributions beat classes without an order (paper): MAE -4.00" in text
    claims = {row.split(":")[0]: row for row in text.splitlines() if row.startswith("- label")}
    assert "(**held**)" in claims["- label distributions beat classes without an order (paper)"]
    equal = claims["- label distributions beat regression (paper)"]
    assert equal.count("(undecided)") == 3


def test_every_cell_is_a_recipe_that_differs_from_the_others() -> None:
    made = [load_recipe(*settings_of(cell, 0, 8)) for cell in CELLS]
    assert len({recipe.to_yaml() for recipe in made}) == len(CELLS)
    assert {recipe.backbone.weights for recipe in made} == {"fer"}
    assert {(recipe.keep, recipe.backbone.augmented_views) for recipe in made} == {("last", 2)}


@pytest.mark.slow
def test_a_cell_s_answers_are_those_of_the_run_on_crops(tmp_path: Path) -> None:
    import severity

    videos = write_toy_videos(tmp_path / "videos", videos=20)
    weights = random_weights(tmp_path / "start.safetensors")
    name, changes = settings_of(LDL, 0, 2)
    small = f"backbone={{name: test_resnet, weights: {weights}, license_terms: t, frozen: true}}"
    short = "clips={length: 4, stride: 1, per_video: 3}"
    recipe = load_recipe(name, [*changes, small, short])
    run = fit(recipe, videos, tmp_path / "run", threads=1, features=tmp_path / "features")
    network = load_run(run).model.network
    features = cached_frames(network, videos, recipe, tmp_path / "features")[0]
    found = severity.predicted(load_run(run), recipe, videos, features, "test")
    model = open_model(run)
    assert model.info.clips is not None
    expected = predict_recordings(model, model.info.clips, videos, "test")
    assert found.ids.tolist() == expected.names.tolist()
    # Features are kept as float16.
    np.testing.assert_allclose(found.predictions, expected.heads["severity"], atol=0.05)
    np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=0.01)
    features_again = severity.trained(recipe, videos, features, tmp_path / "runs", "valid")
    assert len(features_again) == 4
