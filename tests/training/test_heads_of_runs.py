"""Runs with each head, alone and together, on each kind of backbone: trained, exported, the same.

The recipes that come with mien are trained in ``tests/contracts``; these are the others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_training import PLAIN, SMALL, SMALL_CLIPS, read_document, read_metrics

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.heads.severity import SeverityInfo
from mien.metrics.regression import valence_arousal_metrics
from mien.models import read_info
from mien.networks.network import create_network
from mien.networks.predictions import PredictionNetwork
from mien.training import export as exporting
from mien.training.export import export
from mien.training.fit import fit
from mien.training.recipe import load_recipe
from mien.training.run import load_run, predict_inputs

CONCORDANCE = ["heads={valence_arousal: {}}", "losses=[{loss: concordance}]", "select=null"]
LEARN = [PLAIN, "averaging=0", "optimizer.lr=0.005", "schedule.epochs=6"]


def exported_gives_what_the_run_gives(run: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Export a run; the ONNX file gives the network's outputs on inputs of other counts."""
    document = export(run, out, **options)
    loaded = load_run(run)
    loaded.model.mirror = options.get("mirror", False)
    shape = loaded.info.input_shape
    inputs = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    names = list(loaded.info.outputs)
    assert [output.name for output in session.get_outputs()] == names
    got = session.run(names, {"input": inputs})
    with torch.inference_mode():
        expected = loaded.model(torch.from_numpy(inputs))
    for name, mine, theirs in zip(names, got, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4, rtol=1e-4, err_msg=name)
    for name, sizes in loaded.info.outputs.items():
        array = got[names.index(name)]
        assert array.shape[0] == 3 and array.ndim == 1 + len(sizes)
        pairs = zip(array.shape[1:], sizes, strict=True)
        assert all(size in (given, "D", "h", "w") for given, size in pairs)
    info, kept = read_info(out), read_info(run)
    assert info.heads == kept.heads and info.clips == kept.clips
    return document


@pytest.mark.slow
def test_valence_and_arousal_alone_train_and_are_exported(
    affect_dataset: Path, tmp_path: Path
) -> None:
    dataset = Dataset.open(affect_dataset)
    recipe = load_recipe("softmax", [*SMALL, *LEARN, *CONCORDANCE])
    assert recipe.select == "mean_ccc"
    run = fit(recipe, dataset, tmp_path / "run", threads=1)
    lines = read_metrics(run)
    assert set(lines[0]["valid"]) == {"mean_ccc", "ccc_valence", "ccc_arousal"}
    assert set(lines[0]["train"]) == {"loss", "concordance"}
    assert lines[-1]["train"]["concordance"] < 0.8 * lines[0]["train"]["concordance"]
    assert lines[-1]["embedding"]["relative"]["concordance"] == pytest.approx(
        lines[-1]["train"]["concordance"]
    )
    best = max(line["valid"]["mean_ccc"] for line in lines)
    assert read_document(run)["selected_on"]["mean_ccc"] == best > 0.1
    loaded = load_run(run)
    assert list(loaded.info.heads) == ["valence_arousal"]
    rows = dataset.split_indices("valid")
    truth = dataset.valence_arousal[rows]
    known = ~np.isnan(truth[:, 0])
    values = predict_inputs(loaded, dataset.crops[rows]).heads["valence_arousal"]
    measured = valence_arousal_metrics(values[known], truth[known])
    assert float(measured["mean_ccc"]) == pytest.approx(best, abs=1e-5)
    # The first column is valence.
    apart = [float(measured[f"ccc_{name}"]) for name in ("valence", "arousal")]
    kept = read_document(run)["selected_on"]
    assert apart == pytest.approx([kept["ccc_valence"], kept["ccc_arousal"]], abs=1e-5)
    assert abs(apart[0] - apart[1]) > 1e-3
    document = exported_gives_what_the_run_gives(run, tmp_path / "model.onnx", packed=False)
    assert document["heads"] == {"valence_arousal": {}}
    with pytest.raises(MienError, match=r"for --abstain-below, got .* with valence_arousal"):
        export(run, tmp_path / "other.onnx", abstain_below=0.4)
    assert not (tmp_path / "other.onnx").exists()


class Halved(Dataset):
    """Every other row has an expression, the others valence and arousal; none has both."""

    def column(self, name: str) -> Any:
        values = super().column(name)
        if name == "label":
            values = values.copy()
            values[1::2] = None
        return values

    @property
    def valence_arousal(self) -> Any:  # type: ignore[override]
        values = Dataset.valence_arousal.func(self).copy()
        values[::2] = np.nan
        return values


@pytest.mark.slow
def test_each_row_teaches_the_heads_that_it_has_labels_of(
    affect_dataset: Path, tmp_path: Path
) -> None:
    opened = Dataset.open(affect_dataset)
    dataset = Halved(**{key: getattr(opened, key) for key in Dataset.__dataclass_fields__})
    recipe = load_recipe("multi-task", [*SMALL, *LEARN])
    run = fit(recipe, dataset, tmp_path / "run", threads=1)
    lines = read_metrics(run)
    for loss in ("cross-entropy", "concordance"):
        assert lines[-1]["train"][loss] < 0.9 * lines[0]["train"][loss]
    chosen = read_document(run)["selected_on"]
    loaded, rows = load_run(run), dataset.split_indices("valid")
    outputs = predict_inputs(loaded, dataset.crops[rows]).heads
    labels, truth = dataset.column("label")[rows], dataset.valence_arousal[rows]
    named, rated = labels != None, ~np.isnan(truth[:, 0])  # noqa: E711
    assert named.any() and rated.any() and not (named & rated).any()
    # Each metric is that of the rows which have its label.
    guesses = outputs["expression"].argmax(1)[named]
    right = guesses == [dataset.label_space.index(name) for name in labels[named]]
    assert chosen["accuracy"] == pytest.approx(right.mean())
    measured = valence_arousal_metrics(outputs["valence_arousal"][rated], truth[rated])
    assert chosen["mean_ccc"] == pytest.approx(float(measured["mean_ccc"]), abs=1e-5)
    exported_gives_what_the_run_gives(run, tmp_path / "model.onnx", mirror=True)


TRANSFORMERS = {
    "tokens": "backbone={name: test_vit}",
    "tokens without a class": (
        "backbone={name: test_vit, arguments: {class_token: false, reg_tokens: 2}}"
    ),
    "channels last": (
        "backbone={name: swin_tiny_patch4_window7_224, arguments: {embed_dim: 16, depths: [1, 1], "
        "num_heads: [1, 2], window_size: 4}}"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_transformers_train_and_are_exported_with_parity(
    backbone: str, toy_dataset: Path, tmp_path: Path
) -> None:
    changes = [*SMALL[2:], "schedule.epochs=1", "attention={pixel: true}", backbone]
    run = fit(
        load_recipe("triplet", changes), Dataset.open(toy_dataset), tmp_path / "run", threads=1
    )
    (line,) = read_metrics(run)
    assert np.isfinite([*line["train"].values(), *line["valid"].values()]).all()
    document = exported_gives_what_the_run_gives(run, tmp_path / "model.onnx")
    assert document["parity"]["largest_difference"] <= 1e-4


CLIP_NETWORKS: dict[str, list[str]] = {
    "small-3d": ["backbone={name: small-3d}"],
    "c3d": ["backbone={name: c3d, arguments: {widths: [4, 4, 8, 8, 8]}}"],
    "r3d_18": ["backbone={name: r3d_18}"],
    "r2plus1d_18": ["backbone={name: r2plus1d_18}"],
    "gru": ["temporal.kind=gru"],
    "convolution": ["temporal.kind=convolution"],
    "mean of a score": [
        "temporal.kind=mean",
        "heads.severity.kind=score",
        "losses=[{loss: score-regression}]",
    ],
    "tokens": ["backbone={name: test_vit}"],
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", CLIP_NETWORKS.values(), ids=CLIP_NETWORKS)
def test_every_network_of_clips_is_exported_with_parity(
    changes: list[str], videos: Dataset
) -> None:
    torch.manual_seed(0)
    recipe = load_recipe("ldl", ["backbone={name: test_resnet}", *SMALL_CLIPS, *changes])
    assert videos.scale is not None
    head = recipe.heads["severity"]
    infos = {"severity": SeverityInfo(scale=videos.scale, levels=head.kind == "levels")}
    network = create_network(**recipe.architecture(infos, image_size=32))
    names = ("severity", *(("severity_levels",) if infos["severity"].levels else ()), "embedding")
    module = PredictionNetwork(network, infos, names).eval()
    model = exporting._to_onnx(module, torch.zeros(2, 4, 3, 32, 32))
    parity = exporting._parity(module, model, (4, 3, 32, 32), limit=1e-4)
    assert parity["inputs"] == 4 and parity["largest_difference"] <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_an_exported_run_of_clips_carries_what_a_reader_must_know(
    videos: Dataset, frozen_backbone: str, tmp_path: Path, packed: bool
) -> None:
    changes = [*SMALL_CLIPS, frozen_backbone]
    run = fit(load_recipe("regression", changes), videos, tmp_path / "run", threads=1)
    document = export(run, tmp_path / "model.onnx", packed=packed)
    kept = read_document(run)
    for key in ("heads", "clips"):
        assert document[key] == kept[key]
    assert document["clips"] == {
        "length": 4, "stride": 2, "per_video": 2, "fps": 10.0, "aggregate": "mean"
    }  # fmt: skip
    assert document["heads"]["severity"]["scale"]["top"] == 63
    assert document["heads"]["severity"]["use"] in document["card"]
    assert document["parity"]["largest_difference"] <= (0.05 if packed else 1e-4)
    assert document["recipe"]["backbone"]["weights"] == "start.safetensors"
    stored = onnx.load(tmp_path / "model.onnx").metadata_props
    assert json.loads(stored[0].value) == document
    with pytest.raises(MienError, match="expected a run with the head expression"):
        export(run, tmp_path / "other.onnx", abstain_below=0.4)
