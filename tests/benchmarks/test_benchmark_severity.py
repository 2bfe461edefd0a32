"""The table of the comparison of severity losses, from results that are made up."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import severity_table as table
from mien.training.recipe import load_recipe
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
