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
    figures = {"answers": "answers as a test says", "answered": "| all | 20 | 50.0 | 75.0 |"}
    text = ship.card(entry, document, run.document, 12_345_678, figures)
    temperature = run.info.heads["expression"].calibration.temperature
    for words in (
        "- made by a test\n",
        f"one temperature, {temperature:.3f},",
        f"on {document['parity']['inputs']} images of noise",
        f"{entry['n']:,} faces | FER+'s own rule, {entry['other_rules']['ferplus']['n']:,} faces",
        "| accuracy |",
        "12.35 MB; int8 per output channel",
        "It answers as a test says.",
        "| all | 20 | 50.0 | 75.0 |",
    ):
        assert words in text, words
    assert "$" not in text


def test_the_table_counts_what_is_answered_and_which_answers_are_right(ship: ModuleType) -> None:
    targets, preds = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
    answered = np.array([True, True, True, True, False])
    table = ship.abstention_table(ship.Answers(targets, preds, answered, ("one", "two", "three")))
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table.splitlines()}
    assert rows["all"][0] == "5"
    assert rows["all"][1].startswith("80.0 (") and rows["all"][2].startswith("75.0 (")
    assert rows["one"][1].startswith("100.0") and rows["one"][2].startswith("100.0")
    assert rows["two"][1].startswith("50.0 (") and rows["two"][2].startswith("50.0 (")
    assert rows["three"] == ["0", "none", "none |"]


def test_a_section_of_a_card_is_put_in_once_and_then_replaced(ship: ModuleType) -> None:
    page = "# Card\n\ntext\n\n## Limits\n\nmany\n\n## Intended use\n\nold\n"
    for words in ("first", "second"):
        page = ship.with_section(page, f"## New\n\n{words}\n\n", before="## Limits")
    page = ship.with_section(page, "## Intended use\n\nnew\n")
    assert page == (
        "# Card\n\ntext\n\n## New\n\nsecond\n\n## Limits\n\nmany\n\n## Intended use\n\nnew\n"
    )
    use = ship.section("Intended use")
    assert use.startswith("## Intended use\n") and "50(3)" in use and "## Limits" not in use
