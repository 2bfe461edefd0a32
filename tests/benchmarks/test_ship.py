"""The card of the shipped model is filled from a report, whatever the run."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from small_training import SMALL
from toy_corpora import VOTES, small_dataset

from mien.schema import Preprocessing
from mien.training.export import export
from mien.training.fit import fit
from mien.training.recipe import load_recipe
from mien.training.run import load_run

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def ship() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    try:
        import ship

        yield ship
    finally:
        sys.path.remove(str(FOLDER))


@pytest.mark.slow
def test_every_figure_of_the_card_is_that_of_the_report(ship: ModuleType, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = []
    for number in range(80):
        votes = generator.multinomial(4, np.full(10, 0.1))
        votes[number % 8] += 6
        rows.append({"votes": votes.tolist(), "split": "valid" if number % 4 == 0 else "train"})
    folder = tmp_path / "faces"
    dataset = small_dataset(folder, rows, preprocessing=Preprocessing(size=32), vote_names=VOTES)
    recipe = load_recipe("softmax", [*SMALL, "schedule.epochs=1", "rule=distribution"])
    run = load_run(fit(recipe, dataset, tmp_path / "run", threads=1))
    document = export(run, tmp_path / "fer.onnx", name="fer", packed=True, mirror=True)
    report, _ = ship.evaluate_model(
        tmp_path / "fer.onnx", folder, tmp_path / "report", split="valid"
    )
    entry = report["heads"]["expression"]
    text = ship.card(entry, document, run.document, 12_345_678)
    temperature = run.info.heads["expression"].calibration.temperature
    for words in (
        "- made by a test\n",
        f"one temperature, {temperature:.3f},",
        f"on {document['parity']['inputs']} images of noise",
        f"{entry['n']:,} faces | FER+'s own rule, {entry['other_rules']['ferplus']['n']:,} faces",
        "| accuracy |",
        "12.35 MB; int8 per output channel",
    ):
        assert words in text, words
    assert "$" not in text
