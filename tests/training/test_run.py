import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.metrics import classification_metrics
from mien.training.run import load_run, predict_inputs


@pytest.fixture
def copy(toy_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(toy_run, folder)
    return folder


def test_a_run_from_disk_gives_the_metrics_it_was_chosen_by(
    toy_run: Path, toy_dataset: Path
) -> None:
    run, dataset = load_run(toy_run), Dataset.open(toy_dataset)
    rows = dataset.split_indices("valid")
    outputs = predict_inputs(run, dataset.crops[rows])
    probabilities, embeddings = outputs.heads["expression"], outputs.embeddings
    targets = np.array(
        [
            run.info.heads["expression"].label_space.index(name)
            for name in dataset.column("label")[rows]
        ]
    )
    metrics = classification_metrics(targets, probabilities)
    chosen = run.document["selected_on"]
    assert chosen["split"] == "valid"
    # A temperature changes no order, so these are those of training to the last digit.
    for name in ("accuracy", "mean_class_accuracy", "macro_f1"):
        assert metrics[name] == chosen[name]
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert not run.model.training


def test_batches_change_nothing(toy_run: Path) -> None:
    run = load_run(toy_run)
    crops = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    whole, parts = predict_inputs(run, crops), predict_inputs(run, crops, batch_size=3)
    assert whole.attention is None and set(whole.heads) == set(parts.heads) == {"expression"}
    np.testing.assert_allclose(whole.embeddings, parts.embeddings, atol=1e-6)
    np.testing.assert_allclose(whole.heads["expression"], parts.heads["expression"], atol=1e-6)
    with pytest.raises(ValueError, match="at least one input"):
        predict_inputs(run, crops[:0])


def test_the_temperature_divides_the_logits(copy: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    description = copy / "model.json"
    info = json.loads(description.read_text())
    logs = {}
    for temperature in (1.0, 4.0):
        info["heads"]["expression"]["calibration"]["temperature"] = temperature
        description.write_text(json.dumps(info))
        logs[temperature] = np.log(predict_inputs(load_run(copy), crops).heads["expression"])
    spread = {t: log - log.mean(1, keepdims=True) for t, log in logs.items()}
    np.testing.assert_allclose(spread[1.0], 4 * spread[4.0], atol=1e-4)


def test_a_folder_without_a_run_is_a_sentence(copy: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "nothing", tmp_path):
        with pytest.raises(MienError, match="expected a run folder"):
            load_run(folder)
    (copy / "model.safetensors").unlink()
    with pytest.raises(MienError, match="after its first epoch"):
        load_run(copy)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"architecture": {}}', '{"format": null}'[:-1]]
)
def test_a_damaged_description_is_a_sentence(text: str, copy: Path) -> None:
    (copy / "model.json").write_text(text)
    with pytest.raises(MienError, match=r"expected JSON with a format .*; train the run again"):
        load_run(copy)


@pytest.mark.parametrize("architecture", [None, {}, {"heads": {}, "backbone": 1}])
def test_a_damaged_architecture_is_a_sentence(architecture: object, copy: Path) -> None:
    description = copy / "model.json"
    document = json.loads(description.read_text()) | {"architecture": architecture}
    description.write_text(json.dumps(document))
    with pytest.raises(MienError, match="damaged or of another version") as error:
        load_run(copy)
    assert "\n" not in str(error.value)


def test_damaged_weights_are_a_sentence(copy: Path) -> None:
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"PK\3\4 a pickle in a zip"):
        weights.write_bytes(content)
        with pytest.raises(MienError, match="damaged or of another version"):
            load_run(copy)


def test_weights_of_another_network_are_a_sentence(copy: Path) -> None:
    description = copy / "model.json"
    info = json.loads(description.read_text())
    info["architecture"]["embedding"]["size"] = 8
    description.write_text(json.dumps(info))
    with pytest.raises(MienError, match="damaged or of another version") as error:
        load_run(copy)
    assert "\n" not in str(error.value)


def test_no_pickle_is_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was read")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr("pickle.Unpickler", refuse)
    monkeypatch.setattr("pickle.load", refuse)
    monkeypatch.setattr("pickle.loads", refuse)
    assert load_run(copy).info.heads["expression"].label_space.names[0] == "neutral"
