"""What every recipe that comes with mien has to do; a new one is tested by being there."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from small_training import PLAIN, read_metrics, train_losses

from mien.data.dataset import Dataset
from mien.evaluation.evaluate import evaluate
from mien.inference.predictor import Predictor
from mien.recipes import list_recipes
from mien.schema import Status
from mien.training.export import export
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import load_run, predict_inputs

SMALL = [
    "backbone={name: test_resnet}",
    "sampler.batch_size=24",
    "sampler.classes=6",
    "sampler.samples=4",
    PLAIN,
    "optimizer.lr=0.005",
    "averaging=0",
    "seed=1",
]


def small(name: str, epochs: int) -> Recipe:
    """The recipe with a tiny network, and on crops as they are at hand."""
    recipe = load_recipe(name)
    changes = [*SMALL, f"schedule.epochs={epochs}"]
    if recipe.embedding.size is not None:
        changes.append(f"embedding.size={8 * recipe.embedding.slices}")
    if recipe.preprocessing is not None:
        changes += ["preprocessing.size=32", "preprocessing.color=rgb"]
    if recipe.graph is not None:
        changes.append("graph.hidden_size=16")
    return load_recipe(name, changes)


class Trained(NamedTuple):
    run: Path
    recipe: Recipe
    dataset: Path


OF_FACES = [name for name in list_recipes() if load_recipe(name).clips is None]
QUICKLY_RESUMED = {"dacl", "emotion-gcn", "fer"}
"""One with centers that move by a rule of their own, one with a graph, one with mixup."""


QUICK = QUICKLY_RESUMED | {"softmax", "multi-threshold"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in OF_FACES
    ],
)
def trained(
    request: pytest.FixtureRequest,
    toy_dataset: Path,
    affect_dataset: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Trained:
    out = tmp_path_factory.mktemp("contract") / request.param
    recipe = small(request.param, epochs=4)
    dataset = toy_dataset if set(recipe.heads) == {"expression"} else affect_dataset
    return Trained(fit(recipe, Dataset.open(dataset), out, threads=1), recipe, dataset)


def test_it_trains_with_a_falling_loss_and_logs_its_embedding(trained: Trained) -> None:
    run, recipe, _ = trained
    losses = train_losses(run)
    assert np.isfinite(losses).all()
    assert min(losses[-2:]) < losses[0]
    for line in read_metrics(run):
        assert set(line["train"]) == {"loss", *(loss.loss for loss in recipe.losses)}
        assert set(line["valid"]) == set(recipe.metrics)
        assert 0 <= line["embedding"]["spread"] <= 2
        assert (
            0 <= line["embedding"]["effective_rank"] <= load_run(run).model.network.embedding.size
        )
        assert all(0 <= share <= 1 for share in line["embedding"]["active"].values())
        assert all(value >= 0 for value in line["embedding"]["relative"].values())


@pytest.mark.parametrize(
    "trained",
    [
        pytest.param(name, marks=() if name in QUICKLY_RESUMED else pytest.mark.slow)
        for name in OF_FACES
    ],
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
        fit(recipe, Dataset.open(dataset), stopped, threads=1, on_epoch=stop)
    fit(recipe, Dataset.open(dataset), stopped, threads=1, resume=True)
    assert train_losses(stopped) == train_losses(whole)
    assert (stopped / "model.safetensors").read_bytes() == (
        whole / "model.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_it_is_evaluated_exported_with_parity_and_reads_a_photo(
    trained: Trained, toy_folder: Path, tmp_path: Path
) -> None:
    folder, recipe, faces = trained
    run = load_run(folder)
    document = export(run, tmp_path / "model.onnx")
    assert document["parity"]["largest_difference"] <= 1e-4
    report, _ = evaluate(folder, faces, tmp_path / "report")
    assert report["n"] > 0
    dataset = Dataset.open(faces).with_preprocessing(run.info.preprocessing)
    crops = dataset.crops[dataset.split_indices("test")]
    expected = predict_inputs(run, crops)
    assert set(expected.heads) == set(recipe.heads)
    with Predictor.load(tmp_path / "model.onnx") as predictor:
        got = predictor.predict_crops(crops)
        (face,) = predictor(next(toy_folder.glob("test/happiness/*.png")), tight=True)
    assert set(got.heads) == set(recipe.heads)
    for name, values in expected.heads.items():
        np.testing.assert_allclose(got.heads[name], values, atol=1e-4)
    np.testing.assert_allclose(got.embeddings, expected.embeddings, atol=1e-4)
    assert face.status is Status.OK
    if "expression" in recipe.heads:
        np.testing.assert_allclose(got.heads["expression"].sum(1), 1, atol=1e-5)
    if "valence_arousal" in recipe.heads:
        assert np.abs(got.heads["valence_arousal"]).max() <= 1
    assert (face.expression is not None) == ("expression" in recipe.heads)
    assert (face.valence is not None) == ("valence_arousal" in recipe.heads)
    assert bool(face.action_units) == ("action_units" in recipe.heads)
    has_attention = run.model.network.pixel_attention is not None
    assert (face.attention is not None) == (got.attention is not None) == has_attention
