"""`mien compare`: grouping by recipe, shared heads, what is written, and what is refused."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evaluations import Page
from fake_models import Oracle, make_dataset, one_hot

import mien.evaluation.compare
import mien.evaluation.predictions
from mien.data.dataset import VALENCE_AROUSAL_FIELDS
from mien.errors import MienError
from mien.evaluation.compare import Source, _on_valid, _once, compare
from mien.evaluation.evaluate import evaluate
from mien.evaluation.models import Model

if TYPE_CHECKING:
    from conftest import Command


def change_recipe(run: Path, out: Path, **changes: object) -> Path:
    """A copy of a run that says it was trained with other settings."""
    shutil.copytree(run, out)
    document = json.loads((out / "model.json").read_text("utf-8"))
    document["recipe"] |= changes
    (out / "model.json").write_text(json.dumps(document), "utf-8")
    return out


@pytest.mark.slow
def test_a_run_and_its_model_do_not_differ(
    command: Command, toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    ended = command("compare", toy_run, toy_model, "--data", toy_dataset)
    assert ended.code == 0 and ended.err == ""
    assert "toy against run: no difference shown (accuracy, McNemar's exact test" in ended.out
    document = json.loads((tmp_path / "comparison" / "compare.json").read_text("utf-8"))
    head = document["heads"]["expression"]
    report, _ = evaluate(toy_run, toy_dataset, tmp_path / "report")
    entry = report["heads"]["expression"]
    assert head["entries"][0]["metrics"] == entry["metrics"]
    assert head["entries"][0]["confusion"] == entry["confusion"]
    assert head["n"] == entry["n"] and head["comparisons"][0]["test"]["p"] == 1
    [pairing] = document["comparisons"]
    assert f"note: B less A: {pairing['notes'][0]}" in ended.out
    assert f"--data {toy_dataset}" in document["provenance"]["command"]
    assert document["provenance"]["license_terms"]
    page = Page((tmp_path / "comparison" / "compare.html").read_text("utf-8"))
    assert page.figures == ["forest", "map", "map"]


def test_runs_of_one_recipe_are_one_entry(
    command: Command, toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    first = [change_recipe(toy_run, tmp_path / f"a{seed}", seed=seed) for seed in (0, 1)]
    other = [
        change_recipe(toy_run, tmp_path / f"b{seed}", seed=seed, name="other", mixup=0.1)
        for seed in (1, 0)
    ]
    # The same recipe and seed again is another training, and stands alone.
    again = change_recipe(toy_run, tmp_path / "again", seed=1)
    paths = [first[0], other[0], first[1], other[1], again]
    ended = command("compare", *paths, "--data", toy_dataset, "--split", "valid", "--json")
    assert ended.code == 0 and ended.err == ""
    document = json.loads(ended.out)
    members = [
        [(Path(member["model"]).name, member["seed"]) for member in entry["members"]]
        for entry in document["entries"]
    ]
    assert members == [[("a0", 0), ("a1", 1)], [("b1", 1), ("b0", 0)], [("again", 1)]]
    assert [entry["label"] for entry in document["entries"]] == ["softmax", "other", "again"]
    assert [pairing["seeds"] for pairing in document["comparisons"]] == [[0, 1], [0, 1]]
    assert any("best on valid" in warning for warning in document["warnings"])


def test_seeds_alone_are_compared_with_a_warning(
    toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    other = change_recipe(toy_run, tmp_path / "other" / "run", seed=5)
    document, _ = compare([toy_run, other], toy_dataset, tmp_path / "out")
    # Both folders are called run, so the whole paths tell them apart.
    assert [entry["label"] for entry in document["entries"]] == [str(toy_run), str(other)]
    assert any("nothing but their seed" in warning for warning in document["warnings"])


@pytest.mark.slow
def test_only_one_embedding_is_in_memory(
    toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path, monkeypatch
) -> None:
    alive: list[weakref.ref] = []
    most = []
    whole = mien.evaluation.predictions.evaluation_of

    def watched(*given, **options):
        gc.collect()
        most.append(sum(reference() is not None for reference in alive))
        evaluation = whole(*given, **options)
        alive.append(weakref.ref(evaluation.embeddings))
        return evaluation

    monkeypatch.setattr(mien.evaluation.predictions, "evaluation_of", watched)
    other = change_recipe(toy_run, tmp_path / "other", mixup=0.5)
    compare([toy_run, other, toy_model], toy_dataset, tmp_path / "out")
    assert len(most) == 3 and max(most) <= 1


def oracles(monkeypatch: pytest.MonkeyPatch, models: dict[str, Model]) -> None:
    """Puts models of these names in the place of files."""
    monkeypatch.setattr(mien.evaluation.compare, "open_model", lambda path: models[path])
    monkeypatch.setattr(mien.evaluation.compare, "read_info", lambda path: models[path].info)


def test_the_heads_that_all_models_have_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, Any]] = [
        {"label": label, "valence": 0.1 * n, "arousal": -0.1 * n}
        for n, label in enumerate(("anger", "fear", "anger", "fear"))
    ]
    data = make_dataset(tmp_path / "d", rows, fields=VALENCE_AROUSAL_FIELDS)
    plain, both, affect = (Oracle(one_hot(4, 6, 4, 4)) for _ in range(3))
    both.heads["valence_arousal"] = lambda rows: np.stack([0.1 * rows, -0.1 * rows], 1)
    affect.heads = {"valence_arousal": lambda rows: np.stack([0 * rows, -0.1 * rows], 1)}
    models = {"plain": plain.model(), "both": both.model(), "affect": affect.model()}
    oracles(monkeypatch, models)
    document, page = compare(["plain", "both"], data, tmp_path / "out")
    assert list(document["heads"]) == ["expression"]
    assert any("valence_arousal" in text and "plain" in text for text in document["warnings"])
    document, page = compare(["both", "affect"], data, tmp_path / "out")
    assert Page(page.read_text("utf-8")).articles == ["valence_arousal"]
    difference = document["heads"]["valence_arousal"]["comparisons"][0]["metrics"]
    assert difference["ccc_valence"]["value"] == pytest.approx(-1)
    assert difference["ccc_arousal"]["value"] == pytest.approx(0)
    with pytest.raises(MienError, match="plain has expression; affect has valence_arousal"):
        compare(["plain", "affect"], data, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_wrong_use(
    command: Command, toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    data = ("--data", toy_dataset)
    command("compare", toy_run, *data).refused("at least two", "mien evaluate")
    command("compare", toy_run, f"{toy_run}/", *data).refused("twice")
    command("compare", toy_run, toy_model, *data, "--split", "holdout").refused("(test, train")
    command("compare", toy_run, toy_model, *data, "--rule", "loudest").refused(
        "majority", "ferplus"
    )
    command("compare", toy_run, toy_model, "--data", "nothing").refused("dataset folder at nothing")
    command("compare", toy_run, "nothing", *data).refused("shipped model", "'nothing'")
    (tmp_path / "empty").mkdir()
    command("compare", toy_run, "empty", *data).refused("expected a run folder", "empty")
    damaged = change_recipe(toy_run, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"")
    command("compare", toy_run, damaged, *data).refused("damaged")
    assert not (tmp_path / "comparison").exists()


def test_a_model_of_other_classes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_dataset(tmp_path / "d", [{"label": "anger"}])
    oracle = Oracle(one_hot(4))
    pets = tuple(f"pet {index}" for index in range(8))
    oracles(monkeypatch, {"faces": oracle.model(), "pets": oracle.model(names=pets)})
    with pytest.raises(MienError, match="pets: the dataset has classes that the model does not"):
        compare(["faces", "pets"], data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_warning_of_all_models_is_said_once() -> None:
    warnings = _once([("runs/a", ["rendered", "gray"]), ("b.onnx", ["fixed", "rendered"])])
    assert warnings == ["rendered", "runs/a: gray", "b.onnx: fixed"]


def test_only_those_that_kept_their_best_epoch_are_too_good_on_valid() -> None:
    best = Source("a", "a", Oracle(one_hot(0)).model().info, None, None)
    last = best._replace(
        path="b", info=best.info.model_copy(update={"selected_on": {"keep": "last"}})
    )
    assert _on_valid([best, best])[0].startswith("Runs keep the epoch that is best on valid")
    assert _on_valid([best, last])[0].startswith("a keeps the epoch that is best on valid")
    [calibrated] = _on_valid([last, last])
    assert "best" not in calibrated and "calibrated on valid" in calibrated
