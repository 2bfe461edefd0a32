"""What every recipe of severity has to do; a new one is tested by being there."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import timm
import torch
from mien.training.severity import predict_recordings
from safetensors.torch import save_file

from mien.data.dataset import Dataset
from mien.inference.model import read_model, read_severity_model
from mien.recipes import list_recipes
from mien.schema import MienError
from mien.synthetic.drawn import write_toy_videos
from mien.training.export import export_severity
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import load_run, load_severity_run, run_task

OF_CLIPS = [name for name in list_recipes() if load_recipe(name).severity is not None]
SMALL = (
    "embedding={size: 16}",
    "severity.hidden=16",
    "severity.clips={length: 4, stride: 2, per_video: 2}",
    "sampler.batch_size=8",
    "augmentation={rotation: 0, shift: 0, scale: 0, contrast: 0, brightness: 0}",
    "optimizer.lr=0.005",
    "seed=1",
)


class Trained(NamedTuple):
    run: Path
    recipe: Recipe
    dataset: Dataset


def train_losses(run: Path) -> list[float]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["train"]["loss"] for line in lines]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_toy_videos(tmp_path_factory.mktemp("toy") / "videos", videos=50)


@pytest.fixture(scope="module", params=OF_CLIPS)
def trained(
    request: pytest.FixtureRequest, videos: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    out = tmp_path_factory.mktemp("contract") / request.param
    # Frozen, as the recipes are; any small network tells bright from dark.
    start = out.with_suffix(".safetensors")
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), start)
    backbone = (
        f"backbone={{name: test_resnet, weights: {start}, license_terms: t, frozen: true, "
        "views: 2}"
    )
    recipe = load_recipe(request.param, [*SMALL, backbone, "schedule.epochs=12"])
    return Trained(fit(recipe, videos, out, threads=1), recipe, videos)


def test_it_trains_with_a_falling_loss_and_keeps_what_a_reader_must_know(trained: Trained) -> None:
    run, recipe, dataset = trained
    losses = train_losses(run)
    assert np.isfinite(losses).all() and min(losses[-2:]) < losses[0]
    document = json.loads((run / "model.json").read_text("utf-8"))
    assert document["task"] == run_task(run) == "severity"
    assert document["scale"]["top"] == 63
    assert "not a diagnosis" in document["use"] and dataset.license_terms in document["use"]
    assert document["clips"]["rate"] == 10
    # Ten recordings of five people are too few for an interval of 90 %, and it says so.
    assert document["conformal"]["half_width"] is None and document["conformal"]["reason"]
    assert document["selected_on"]["metric"] == recipe.select == "mae"
    errors = [
        json.loads(line)["valid"]["mae"]
        for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()
    ]
    assert document["selected_on"]["mae"] == min(errors)
    with pytest.raises(MienError, match="one of severity"):
        load_run(run)


@pytest.mark.parametrize(
    "trained",
    [pytest.param(name, marks=() if name == "dj-ldml" else pytest.mark.slow) for name in OF_CLIPS],
    indirect=True,
)
def test_it_resumes_to_what_it_would_have_been(trained: Trained, tmp_path: Path) -> None:
    whole, recipe, dataset = trained
    stopped = tmp_path / "stopped"

    class Stopped(Exception):
        pass

    def stop(line: dict[str, object]) -> None:
        if line["epoch"] == 1:
            raise Stopped

    with pytest.raises(Stopped):
        fit(recipe, dataset, stopped, threads=1, on_epoch=stop)
    fit(recipe, dataset, stopped, threads=1, resume=True)
    assert train_losses(stopped) == train_losses(whole)
    assert (stopped / "model.safetensors").read_bytes() == (
        whole / "model.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_its_model_says_of_clips_what_the_run_says(trained: Trained, tmp_path: Path) -> None:
    folder, recipe, dataset = trained
    run = load_severity_run(folder)
    document = export_severity(run, tmp_path / "model.onnx")
    assert document["parity"]["largest_difference"] <= 1e-4
    info, session = read_severity_model(tmp_path / "model.onnx")
    assert info.scale == dataset.scale and "not a diagnosis" in info.use
    assert info.use in info.card
    assert recipe.severity is not None
    assert info.clips.length == recipe.severity.clips.length
    clips = torch.randn(3, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = run.network(clips).severity.clamp(0, 63).numpy()
    [got] = session.run(["severity"], {"clip": clips.numpy()})
    np.testing.assert_allclose(got, expected, atol=1e-3)
    with pytest.raises(MienError, match="reads severity from clips"):
        read_model(tmp_path / "model.onnx")


def test_it_judges_recordings_better_than_the_training_mean(trained: Trained) -> None:
    folder, _, dataset = trained
    run = load_severity_run(folder)
    assert dataset.scale is not None
    found = predict_recordings(run.network, dataset, "test", run.severity, dataset.scale)
    assert found.predictions is not None
    assert len(found) == len(set(found.videos)) == 10
    assert ((found.predictions >= 0) & (found.predictions <= 63)).all()
    assert found.embeddings is not None and found.embeddings.shape == (10, 16)
    mean = dataset.severity[dataset.split_indices("train")].mean()
    error, baseline = (np.abs(said - found.scores).mean() for said in (found.predictions, mean))
    assert error < 0.8 * baseline
