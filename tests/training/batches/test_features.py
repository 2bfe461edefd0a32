from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import read_metrics

from mien.data.augment import augment
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.training.batches import features as module
from mien.training.batches.faces import images_for_network
from mien.training.batches.features import FaceFeatures, cached_features
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import load_run


@pytest.fixture
def frozen(toy_run: Path) -> Recipe:
    return load_recipe(
        "triplet",
        [
            "backbone={name: test_resnet, frozen: true, augmented_views: 2, license_terms: drawn}",
            f"backbone.weights={toy_run / 'model.safetensors'}",
            "embedding={size: 16, hidden_size: 16}",
            "sampler={kind: shuffled, batch_size: 24}",
            "schedule.epochs=4",
            "optimizer.lr=0.01",
        ],
    )


def test_only_what_stands_above_a_frozen_backbone_is_trained(
    frozen: Recipe, toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    run = fit(frozen, Dataset.open(toy_dataset), tmp_path / "run", features=tmp_path / "maps")
    losses = [line["train"]["loss"] for line in read_metrics(run)]
    assert losses[-1] < losses[0]
    before, after = (load_run(folder).model.network.backbone for folder in (toy_run, run))
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name]), name
    # What was measured on maps in half precision holds for the whole network on images.
    trained, dataset = load_run(run), Dataset.open(toy_dataset)
    rows = dataset.split_indices("valid")
    with torch.inference_mode():
        probabilities = trained.model(
            images_for_network(dataset.crops[rows], trained.info.preprocessing)
        )[0]
    truth = [
        trained.info.heads["expression"].label_space.index(name)
        for name in dataset.column("label")[rows]
    ]
    accuracy = float((probabilities.argmax(1).numpy() == truth).mean())
    assert accuracy == pytest.approx(trained.document["selected_on"]["accuracy"], abs=1 / len(rows))


def test_maps_are_computed_once_for_what_decides_them(
    frozen: Recipe, toy_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, heard = Dataset.open(toy_dataset), list[tuple[str, int, int]]()

    def train(name: str, *changes: str) -> int:
        heard.clear()
        recipe = Recipe.model_validate(
            frozen.model_dump() | {"schedule": {"epochs": 1}} | dict(eval(c) for c in changes)
        )
        fit(
            recipe,
            dataset,
            tmp_path / name,
            features=tmp_path / "maps",
            on_features=lambda *view: heard.append(view),
        )
        return len(heard)

    assert train("first") == 4
    assert heard == [("train", 1, 3), ("train", 2, 3), ("train", 3, 3), ("valid", 1, 1)]
    assert train("another seed", "('seed', 5)") == 0
    assert train("another loss", "('losses', [{'loss': 'cross-entropy'}])") == 0
    assert train("another augmentation", "('augmentation', {'rotation': 3})") == 4
    assert train("partial", "('preprocessing', {'partial_image': 'stack'})") == 4
    assert not list((tmp_path / "maps").rglob("*.partial"))


def test_views_are_the_augmented_faces(
    frozen: Recipe, toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    dataset, network = Dataset.open(toy_dataset), load_run(toy_run).model.network
    rows = dataset.split_indices("train")[5:45]
    found = cached_features(network, dataset, frozen, {"train": rows}, tmp_path)["train"]
    assert [view.dtype for view in found] == [np.float16] * 3
    for number, view in enumerate(found):
        crops = dataset.crops[rows]
        if number:
            crops = augment(crops, rows, frozen.augmentation, seed=0, epoch=number)
        with torch.inference_mode():
            expected = network.forward_features(images_for_network(crops, dataset.preprocessing))
        np.testing.assert_allclose(view, expected, atol=2e-3, rtol=2e-3)
    assert np.abs(found[0][:] - found[1][:]).max() > 0.1


def test_each_epoch_draws_each_faces_view(frozen: Recipe, toy_dataset: Path) -> None:
    dataset = Dataset.open(toy_dataset)
    known = np.arange(0, 120, 2)
    views = [np.full((60, 1, 1, 1), number, np.float16) for number in range(3)]
    targets = make_targets(dataset, "majority")
    source = FaceFeatures(views, known, targets, seed=1, training=True)
    drawn = [source[epoch, known].inputs.flatten() for epoch in range(6)]
    assert torch.equal(drawn[2], source[2, known].inputs.flatten())
    # A row's view hangs on the epoch, not on the batch it stands in.
    assert torch.equal(drawn[2][10:13], source[2, known[10:13]].inputs.flatten())
    assert all(set(one.tolist()) == {0, 1, 2} for one in drawn)
    assert not torch.equal(drawn[0], drawn[1])
    plain = FaceFeatures(views, known, targets, seed=1, training=False)
    assert (plain[3, known].inputs == 0).all()


def test_a_view_appears_whole_or_not_at_all(
    frozen: Recipe,
    toy_run: Path,
    toy_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset, network = Dataset.open(toy_dataset), load_run(toy_run).model.network
    rows = {"train": dataset.split_indices("train")}
    real, calls = module.network_input, list[int]()

    def fail_in_the_second_view(*arguments: object, **settings: object) -> torch.Tensor:
        calls.append(1)
        if settings["epoch"] == 1:
            raise OSError("No space left on device")
        return real(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "network_input", fail_in_the_second_view)
    with pytest.raises(MienError, match="make room"):
        cached_features(network, dataset, frozen, rows, tmp_path)
    assert [path.name for path in tmp_path.rglob("*.npy*")] == ["view-0.npy"]
    monkeypatch.setattr(module, "network_input", real)
    heard = list[tuple[str, int, int]]()
    cached_features(
        network, dataset, frozen, rows, tmp_path, on_view=lambda *view: heard.append(view)
    )
    assert heard == [("train", 2, 3), ("train", 3, 3)]


def test_numbers_beyond_half_precision_are_refused(
    frozen: Recipe, toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    dataset, network = Dataset.open(toy_dataset), load_run(toy_run).model.network
    with torch.no_grad():
        for parameter in network.backbone.parameters():
            parameter.mul_(30.0)
    rows = {"train": dataset.split_indices("train")}
    with pytest.raises(MienError, match="range of float16"):
        cached_features(network, dataset, frozen, rows, tmp_path)
