"""`mien evaluate --sensitivity`: the same rows again under each change of their crops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evaluations import Page
from fake_models import FERPLUS, Oracle, make_dataset, one_hot

import mien.evaluation.evaluate
from mien.data.dataset import VALENCE_AROUSAL_FIELDS
from mien.evaluation.changes import CHANGES
from mien.evaluation.evaluate import evaluate
from mien.reports.evaluation import Changed, Evaluation, Sensitivity

if TYPE_CHECKING:
    from conftest import Command

ROWS: list[dict[str, Any]] = [
    {"label": FERPLUS.names[n % 2], "valence": 0.1 * n - 0.4, "arousal": 0.2} for n in range(10)
]


def by_name(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {change["name"]: change for change in entry["changes"]}


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Oracle:
    """Right of every crop as stored; of a changed one it reads another row's number."""
    made = Oracle(one_hot(*(n % 2 if n < 10 else 7 for n in range(256))))
    made.heads["valence_arousal"] = lambda rows: np.stack([0.1 * rows % 2 - 0.4, 0 * rows], 1)
    monkeypatch.setattr(mien.evaluation.evaluate, "open_model", lambda _: made.model())
    return made


def test_every_change_is_measured_on_the_same_rows(oracle: Oracle, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "d", ROWS, fields=VALENCE_AROUSAL_FIELDS)
    plain, page = evaluate("m", data, tmp_path / "plain")
    assert plain["sensitivity"] is None and len(oracle.seen) == 1
    assert 'id="sensitivity"' not in page.read_text("utf-8")

    report, page = evaluate("m", data, tmp_path / "out", sensitivity=True)
    sensitivity = report["sensitivity"]
    assert sensitivity["left_out"] == {"margin": "the crops have no margin that could be cut away"}
    assert list(sensitivity["heads"]) == ["expression", "valence_arousal"]
    entry = sensitivity["heads"]["expression"]
    assert entry["n"] == 10 and entry["as_stored"]["accuracy"]["value"] == 1
    assert set(by_name(entry)) == {change.name for change in CHANGES}
    # What the model saw of each change: the number in the first pixel.
    for change, crops in zip(CHANGES, oracle.seen[2:], strict=True):
        rows = crops[:, 0, 0, 0].astype(int)
        right = np.array([oracle.table[row].argmax() == n % 2 for n, row in enumerate(rows)])
        measured = by_name(entry)[change.name]
        assert measured["metrics"]["accuracy"]["value"] == pytest.approx(right.mean())
        assert measured["differences"]["accuracy"]["value"] == pytest.approx(right.mean() - 1)
        # All that was right and is wrong now has another class.
        assert measured["changed_answers"]["value"] == pytest.approx(1 - right.mean())
        assert measured["p_holm"] >= measured["p"]
    differences = [each["differences"]["accuracy"]["value"] for each in entry["changes"]]
    assert differences == sorted(differences) and differences[0] < 0

    text = Page(page.read_text("utf-8")).text
    assert "Sensitivity to the crops" in text and "Not tried: margin" in text
    assert page.read_text("utf-8").count('alt="Example crops') == len(CHANGES) + 1
    assert report["provenance"]["command"].endswith("--sensitivity")


def test_errors_are_worst_first_too() -> None:
    from evaluations import alone, valence_arousal

    from mien.reports.report import evaluate as make_report

    arrays = valence_arousal(60)
    predictions = np.asarray(arrays.predictions)
    flipped, same = (
        Changed("flipped", "f", {"valence_arousal": -predictions}, PIXELS),
        Changed("same", "s", {"valence_arousal": predictions}, PIXELS),
    )
    evaluation = alone("valence_arousal", arrays)
    changed = Evaluation(
        ids=evaluation.ids,
        split="test",
        heads=evaluation.heads,
        subjects=evaluation.subjects,
        sensitivity=Sensitivity([same, flipped], {}, PIXELS),
    )
    entry = make_report(changed, draws=50)["sensitivity"]["heads"]["valence_arousal"]
    assert [each["name"] for each in entry["changes"]] == ["flipped", "same"]
    worst, least = entry["changes"]
    assert worst["verdict"] == "worse" and worst["changed_answers"]["value"] == 1
    assert least["differences"]["mean_ccc"]["value"] == 0 == least["changed_answers"]["value"]
    assert least["verdict"] == "no difference shown" and least["p"] is None


PIXELS = np.zeros((2, 8, 8, 3), np.uint8)


@pytest.mark.slow
def test_a_run_of_toy_faces_is_measured_on_the_command_line(
    command: Command, toy_model: Path, toy_dataset: Path
) -> None:
    ended = command("evaluate", toy_model, "--data", toy_dataset, "--sensitivity", "--out", "o")
    assert ended.code == 0 and "sensitivity, expression" in ended.out
    assert ended.out.count("mirrored") == 1
    report = json.loads(Path("o/report.json").read_text("utf-8"))
    assert report["sensitivity"]["heads"]["expression"]["n"] == report["n"]
