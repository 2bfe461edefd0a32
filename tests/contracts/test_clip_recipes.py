"""What every recipe of clips has to do; a new one is tested by being there."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from small_training import (
    PLAIN,
    SMALL_CLIPS,
    random_weights,
    read_document,
    read_metrics,
    train_losses,
)

from mien.data.dataset import Dataset
from mien.evaluation.models import open_model, predict_recordings
from mien.models import read_info
from mien.recipes import list_recipes
from mien.synthetic.drawn import write_toy_videos
from mien.training.export import export
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe

OF_CLIPS = [name for name in list_recipes() if load_recipe(name).clips is not None]
SMALL = (*SMALL_CLIPS, PLAIN, "optimizer.lr=0.005", "seed=1")


class Trained(NamedTuple):
    run: Path
    recipe: Recipe
    dataset: Dataset


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_toy_videos(tmp_path_factory.mktemp("toy") / "videos", videos=50)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if name == "dj-ldml" else pytest.mark.slow) for name in OF_CLIPS
    ],
)
def trained(
    request: pytest.FixtureRequest, videos: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    out = tmp_path_factory.mktemp("contract") / request.param
    # Frozen, as the recipes are; any small network tells bright from dark.
    start = random_weights(out.with_suffix(".safetensors"))
    backbone = (
        f"backbone={{name: test_resnet, weights: {start}, license_terms: t, frozen: true, "
        "augmented_views: 1}"
    )
    recipe = load_recipe(request.param, [*SMALL, backbone, "schedule.epochs=12"])
    return Trained(fit(recipe, videos, out, threads=1), recipe, videos)


def test_it_trains_with_a_falling_loss_and_keeps_what_a_reader_must_know(trained: Trained) -> None:
    run, recipe, dataset = trained
    losses = train_losses(run)
    assert np.isfinite(losses).all() and min(losses[-2:]) < losses[0]
    document = read_document(run)
    (head,) = document["heads"].values()
    assert list(document["heads"]) == list(recipe.heads) == ["severity"]
    assert head["scale"]["top"] == 63
    assert "not a diagnosis" in head["use"] and dataset.license_terms in head["use"]
    assert document["clips"]["fps"] == 10
    # Ten recordings of five people are too few for an interval of 90 %, and it says so.
    assert head["conformal"]["half_width"] is None and head["conformal"]["reason"]
    assert head["conformal"]["subjects"] == 5 and head["conformal"]["split"] == "valid"
    assert document["selected_on"]["metric"] == recipe.select == "mae"
    errors = [line["valid"]["mae"] for line in read_metrics(run)]
    assert document["selected_on"]["mae"] == min(errors)
    assert read_info(run).heads["severity"].levels == (recipe.heads["severity"].kind == "levels")


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
    document = export(folder, tmp_path / "model.onnx")
    assert document["parity"]["largest_difference"] <= 1e-4
    run, model = open_model(folder), open_model(tmp_path / "model.onnx")
    head = model.info.heads["severity"]
    assert head.scale == dataset.scale and "not a diagnosis" in head.use
    assert head == run.info.heads["severity"]
    assert head.use in model.info.card
    assert recipe.clips is not None and model.info.clips is not None
    assert model.info.clips.length == recipe.clips.length
    clips = np.random.default_rng(0).integers(0, 256, (3, 4, 32, 32, 3), dtype=np.uint8)
    got, expected = model.predict(clips), run.predict(clips)
    assert set(got.heads) == set(expected.heads) == set(model.info.outputs) - {"embedding"}
    for name, values in expected.heads.items():
        np.testing.assert_allclose(got.heads[name], values, atol=1e-3)
    np.testing.assert_allclose(got.embeddings, expected.embeddings, atol=1e-4)


def test_it_judges_recordings_better_than_the_training_mean(trained: Trained) -> None:
    folder, _, dataset = trained
    model = open_model(folder)
    assert model.info.clips is not None
    found = predict_recordings(model, model.info.clips, dataset, "test")
    predictions, scores = found.heads["severity"], dataset.severity[found.starts]
    assert len(predictions) == len(set(found.names)) == 10
    assert ((predictions >= 0) & (predictions <= 63)).all()
    assert found.embeddings.shape == (10, 16)
    mean = dataset.severity[dataset.split_indices("train")].mean()
    error, baseline = (np.abs(each - scores).mean() for each in (predictions, mean))
    assert error < 0.8 * baseline
