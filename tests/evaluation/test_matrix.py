"""Several models on several datasets: shared classes, reasons, marks, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evaluations import Page
from fake_models import FERPLUS, Oracle, make_dataset, one_hot

import mien.evaluation.matrix
from mien.data.dataset import VALENCE_AROUSAL_FIELDS, Dataset
from mien.errors import MienError
from mien.evaluation.matrix import evaluate_matrix
from mien.evaluation.models import Model
from mien.labels import label_space_of
from mien.schema import Preprocessing

if TYPE_CHECKING:
    from conftest import Command

SMALL = label_space_of(["anger", "happiness", "neutral"])
PETS = label_space_of(["cat", "dog"])


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Model]], None]:
    """Makes names of models open these ones."""

    def use(by_name: dict[str, Model]) -> None:
        monkeypatch.setattr(mien.evaluation.matrix, "open_model", lambda name: by_name[name])
        monkeypatch.setattr(mien.evaluation.matrix, "read_info", lambda name: by_name[name].info)

    return use


def cells(document: dict[str, Any], head: str = "expression") -> dict[tuple[str, str], Any]:
    return {(cell["model"], cell["dataset"]): cell for cell in document["heads"][head]}


def test_models_and_datasets_meet_in_the_classes_that_both_know(
    models: Callable[[dict[str, Model]], None], tmp_path: Path
) -> None:
    a = make_dataset(
        tmp_path / "a", [{"label": name} for name in ("anger", "fear", "neutral", "neutral")]
    )
    b = make_dataset(tmp_path / "b", [{"label": name} for name in SMALL.names], space=SMALL)
    pets = make_dataset(tmp_path / "pets", [{"label": "cat"}, {"label": "dog"}], space=PETS)
    # Of a: anger, fear, happiness, neutral; of b: neutral, fear, anger.
    broad = Oracle(one_hot(*(FERPLUS.index(n) for n in ("anger", "fear", "happiness", "neutral"))))
    # It knows three classes and answers always the first: neutral.
    narrow = Oracle([[0.8, 0.1, 0.1]] * 4)
    models({"broad": broad.model(), "narrow": narrow.model(names=SMALL.names)})
    document, page = evaluate_matrix(["broad", "narrow"], [a, b, pets], tmp_path / "out")
    found = cells(document)
    assert list(found) == [(m, d) for m in ("broad", "narrow") for d in ("a", "b", "pets")]

    whole = found["broad", "a"]
    assert (whole["n"], whole["metrics"]["accuracy"]["value"]) == (4, 0.75)
    assert whole["classes"]["only_model"] == whole["classes"]["only_dataset"] == []
    # On b row 1, happiness, gets fear, which b lacks: a third each, and the first of b wins.
    crossed = found["broad", "b"]
    assert crossed["n"] == 3 and crossed["classes"]["shared"] == list(SMALL.names)
    assert set(crossed["classes"]["only_model"]) == set(FERPLUS.names) - set(SMALL.names)
    # The row of fear is left out for the model that does not know it.
    less = found["narrow", "a"]
    assert less["n"] == 3 and "fear" in less["classes"]["only_dataset"]
    assert less["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)
    [reason] = less["left_out"]
    assert less["left_out"][reason] == 1 and "fear" in reason
    for model in ("broad", "narrow"):
        assert "two classes in common" in found[model, "pets"]["reason"]
        assert found[model, "pets"]["metrics"] == {}

    written = json.loads((tmp_path / "out" / "matrix.json").read_text("utf-8"))
    assert written == document
    with (tmp_path / "out" / "matrix.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 6 * 2 and {line["metric"] for line in lines} == {
        "accuracy",
        "mean_class_accuracy",
    }
    first = lines[0]
    assert (first["model"], first["dataset"], float(first["value"])) == ("broad", "a", 0.75)
    assert float(first["low"]) <= 0.75 <= float(first["high"])
    shown = Page(page.read_text("utf-8"))
    assert "2 models on 3 datasets" in shown.text and "two classes in common" in shown.text


def test_a_row_has_one_label_for_all_models(
    models: Callable[[dict[str, Model]], None], tmp_path: Path
) -> None:
    """Votes for classes that a model lacks still count when the label is made."""
    votes = np.zeros((2, 10), int)
    votes[0, [FERPLUS.index("happiness"), FERPLUS.index("fear"), FERPLUS.index("disgust")]] = (
        4,
        3,
        3,
    )
    votes[1, [FERPLUS.index("neutral"), FERPLUS.index("fear")]] = 4, 6
    rows = [{"label": "happiness", "votes": votes[0]}, {"label": "fear", "votes": votes[1]}]
    data = make_dataset(tmp_path / "d", rows, votes=True)
    narrow = Oracle([[0.1, 0.8, 0.1]] * 2).model(names=SMALL.names)
    models({"m": narrow, "other": narrow})
    document, _ = evaluate_matrix(["m", "other"], [data], tmp_path / "out")
    cell = cells(document)["m", "d"]
    assert cell["n"] == 1 and cell["metrics"]["accuracy"]["value"] == 1


def test_the_diagonal_is_marked_and_overlap_is_told(
    models: Callable[[dict[str, Model]], None], tmp_path: Path
) -> None:
    people = ("ann", "ann", "bob")
    rows = [
        {"label": "anger", "split": split, "subject": subject}
        for split, subject in zip(("train", "test", "test"), people, strict=True)
    ]
    home = make_dataset(tmp_path / "home", rows, corpus="ferplus")
    again = make_dataset(tmp_path / "again", rows[:2], corpus="ferplus")
    kin = make_dataset(tmp_path / "kin", rows[:2], corpus="fer2013")
    oracle = Oracle(one_hot(4, 4, 4)).model()
    checksum = Dataset.open(home).info["checksum"]
    trained = oracle._replace(trained_on={"corpus": "ferplus", "checksum": checksum})
    models({"trained": trained, "unknown": oracle})
    document, page = evaluate_matrix(["trained", "unknown"], [home, again, kin], tmp_path / "out")
    found = cells(document)
    assert [found["trained", name]["trained_on"] for name in ("home", "again", "kin")] == [
        "dataset",
        "corpus",
        "neither",
    ]
    assert found["trained", "home"]["overlap"] == [
        "1 of the 2 subjects of split test are in train, too"
    ]
    assert "same pictures" in found["trained", "kin"]["overlap"][0]
    assert found["unknown", "home"]["trained_on"] == "unknown"
    shown = Page(page.read_text("utf-8")).text
    assert "trained on this dataset" in shown and "not recorded" in shown
    # Those who ask for train are told that the model has learned these rows.
    document, _ = evaluate_matrix(["trained", "unknown"], [home], tmp_path / "out", split="train")
    assert "trained on these very rows" in cells(document)["trained", "home"]["overlap"][0]


def test_heads_that_one_side_lacks_have_a_reason(
    models: Callable[[dict[str, Model]], None], tmp_path: Path
) -> None:
    rows = [{"label": "anger", "valence": 0.1 * n, "arousal": 0.5} for n in range(3)]
    affect = make_dataset(tmp_path / "affect", rows, fields=VALENCE_AROUSAL_FIELDS)
    plain = make_dataset(tmp_path / "plain", [{"label": "anger"}])
    other = make_dataset(
        tmp_path / "other", [{"label": "anger"}], preprocessing=Preprocessing(size=16, margin=0.1)
    )
    both, one = Oracle(one_hot(4, 4, 4)), Oracle(one_hot(4, 4, 4))
    both.heads["valence_arousal"] = lambda rows: np.stack([0.1 * rows, 0 * rows], 1)
    models({"both": both.model(), "one": one.model()})
    document, _ = evaluate_matrix(["both", "one"], [affect, plain, other], tmp_path / "out")
    assert list(document["heads"]) == ["expression", "valence_arousal"]
    reasons = {place: cell["reason"] for place, cell in cells(document, "valence_arousal").items()}
    assert reasons["both", "affect"] == ""
    assert reasons["both", "plain"] == "no row of split test has valence and arousal"
    assert reasons["one", "affect"] == "the model has no such head"
    assert "margin" in cells(document)["both", "other"]["reason"]
    with pytest.raises(MienError, match=r"go together, got none; both on other: .*margin"):
        evaluate_matrix(["both", "one"], [other], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_matrix_of_toy_faces(
    command: Command, toy_run: Path, toy_model: Path, toy_dataset: Path, affect_dataset: Path
) -> None:
    data = ("--data", toy_dataset, "--data", affect_dataset)
    ended = command("evaluate", toy_run, toy_model, *data, "--out", "m")
    assert ended.code == 0 and ended.err == ""
    assert ended.out.count("(trained on it)") >= 4 and ended.out.endswith("matrix: m/matrix.html\n")
    document = json.loads(Path("m/matrix.json").read_text("utf-8"))
    found = cells(document)
    for name in document["datasets"]:
        pair = [found[model["name"], name["name"]] for model in document["models"]]
        accuracy, same = (cell["metrics"]["accuracy"]["value"] for cell in pair)
        assert accuracy == pytest.approx(same)
    report = json.loads(
        command("evaluate", toy_run, "--data", toy_dataset, "--out", "r", "--json").out
    )
    entry = report["heads"]["expression"]["metrics"]
    first = next(iter(found.values()))["metrics"]
    assert first == {name: entry[name] for name in first}
    assert "--data" in document["provenance"]["command"]


def test_what_does_not_go_together_is_refused(
    command: Command, toy_model: Path, toy_dataset: Path
) -> None:
    several = ("evaluate", toy_model, "fer", "--data", toy_dataset)
    command(*several, "--sensitivity").refused("--sensitivity", "one of each")
    command(*several, "--reference", "train").refused("--reference", "leave it out")
    command("evaluate", toy_model, toy_model, "--data", toy_dataset).refused("twice")
    twice = ("--data", toy_dataset, "--data", toy_dataset)
    command("evaluate", toy_model, *twice).refused("different datasets", "twice")
    command(*several, "--rule", "most").refused("majority, ferplus")
