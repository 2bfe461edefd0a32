"""`mien compare` on toy runs: grouping by recipe, what is written, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien.evaluation.compare import _said_once, compare_models
from mien.evaluation.evaluate import evaluate_model
from mien.schema import MienError

if TYPE_CHECKING:
    from conftest import Command


def change_recipe(run: Path, out: Path, **changes: object) -> Path:
    """A copy of a run that says it was trained with other settings."""
    shutil.copytree(run, out)
    info = json.loads((out / "model.json").read_text("utf-8"))
    info["recipe"] |= changes
    (out / "model.json").write_text(json.dumps(info), "utf-8")
    return out


def test_a_run_and_its_model_do_not_differ(
    command: Command, toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    ended = command("compare", toy_run, toy_model, "--data", toy_dataset)
    assert ended.code == 0 and ended.err == ""
    assert "toy against run: no difference shown (accuracy, McNemar's exact test" in ended.out
    assert "note: one run each: the luck of the seed is not in the interval" in ended.out
    document = json.loads((tmp_path / "comparison" / "compare.json").read_text("utf-8"))
    own, _ = evaluate_model(toy_run, toy_dataset, tmp_path / "report")
    assert document["entries"][0]["metrics"] == own["metrics"]
    assert document["entries"][0]["confusion"] == own["confusion"]
    assert document["n"] == own["n"] and document["comparisons"][0]["test"]["p"] == 1
    assert f"--data {toy_dataset}" in document["provenance"]["command"]
    assert (
        "made by" in document["provenance"]["license_terms"]
        or document["provenance"]["license_terms"]
    )
    page = (tmp_path / "comparison" / "compare.html").read_text("utf-8")
    assert "No difference shown" in page and page.count('<svg class="map"') == 2


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
    places = [first[0], other[0], first[1], other[1], again]
    ended = command("compare", *places, "--data", toy_dataset, "--split", "valid", "--json")
    assert ended.code == 0 and ended.err == ""
    document = json.loads(ended.out)
    members = [
        [(Path(member["model"]).name, member["seed"]) for member in entry["members"]]
        for entry in document["entries"]
    ]
    assert members == [[("a0", 0), ("a1", 1)], [("b1", 1), ("b0", 0)], [("again", 1)]]
    assert [entry["label"] for entry in document["entries"]] == ["softmax", "other", "again"]
    assert [found["seeds"] for found in document["comparisons"]] == [[0, 1], [1, 1]]
    assert any("best on valid" in warning for warning in document["warnings"])


def test_seeds_alone_are_compared_with_a_warning(
    toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    other = change_recipe(toy_run, tmp_path / "other" / "run", seed=5)
    document, _ = compare_models([toy_run, other], toy_dataset, tmp_path / "out")
    assert len(document["entries"]) == 2
    # Both folders are called run, so the whole places tell them apart.
    assert [entry["label"] for entry in document["entries"]] == [str(toy_run), str(other)]
    assert any("nothing but their seed" in warning for warning in document["warnings"])


def test_only_one_embedding_is_in_memory(
    toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path, monkeypatch
) -> None:
    import gc
    import weakref

    import mien.evaluation.compare

    alive: list[weakref.ref] = []
    most = []
    whole = mien.evaluation.compare.evaluation_of

    def watched(*given, **options):
        gc.collect()
        most.append(sum(reference() is not None for reference in alive))
        evaluation = whole(*given, **options)
        alive.append(weakref.ref(evaluation.embeddings))
        return evaluation

    monkeypatch.setattr(mien.evaluation.compare, "evaluation_of", watched)
    other = change_recipe(toy_run, tmp_path / "other", mixup=0.5)
    compare_models([toy_run, other, toy_model], toy_dataset, tmp_path / "out")
    assert len(most) == 3 and max(most) <= 1


def test_wrong_use(
    command: Command, toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    data = ("--data", toy_dataset)
    command("compare", toy_run, *data).refused("at least two", "mien evaluate")
    command("compare", toy_run, f"{toy_run}/", *data).refused("twice")
    command("compare", toy_run, toy_model, *data, "--split", "holdout").refused("(test, train")
    command("compare", toy_run, toy_model, *data, "--rule", "loudest").refused("majority, ferplus")
    command("compare", toy_run, toy_model, "--data", "nothing").refused("dataset folder at nothing")
    command("compare", toy_run, "nothing", *data).refused("shipped model", "'nothing'")
    (tmp_path / "empty").mkdir()
    command("compare", toy_run, "empty", *data).refused("expected a run folder", "empty")
    damaged = change_recipe(toy_run, tmp_path / "damaged", seed="x")
    (damaged / "model.safetensors").write_bytes(b"")
    command("compare", toy_run, damaged, *data).refused("damaged")
    assert not (tmp_path / "comparison").exists()


def test_a_model_of_other_classes_is_named(
    toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    other = change_recipe(toy_run, tmp_path / "pets")
    info = json.loads((other / "model.json").read_text("utf-8"))
    names = [f"pet {index}" for index, _ in enumerate(info["label_space"]["names"])]
    info["label_space"] = {"name": "pets", "names": names}
    (other / "model.json").write_text(json.dumps(info), "utf-8")
    with pytest.raises(MienError, match=r"pets: the dataset has classes that the model does not"):
        compare_models([toy_model, other], toy_dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_warning_of_all_models_is_said_once() -> None:
    said = _said_once([("runs/a", ["rendered", "gray"]), ("b.onnx", ["fixed", "rendered"])])
    assert said == ["rendered", "runs/a: gray", "b.onnx: fixed"]
