"""Training on clips: loss terms of scores, frozen frames, what is refused and what is kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from mien.networks.clips import ClipNetwork, SeverityPredictions, build_clip_network
from mien.training.batch import Batch
from mien.training.features import cached_frames
from mien.training.severity import (
    ClipBatches,
    ClipFeatures,
    predict_recordings,
    severity_task,
)
from mien.training.term import loss_value
from safetensors.torch import save_file
from torch.nn import functional

from mien import losses
from mien.data.augment import Augmentation
from mien.data.clips import Videos
from mien.data.concat import open_datasets
from mien.data.dataset import Dataset
from mien.networks.network import Outputs
from mien.schema import MienError
from mien.synthetic.drawn import write_toy_videos
from mien.training import export as exporting
from mien.training.batches import network_input
from mien.training.export import export_run
from mien.training.fit import fit
from mien.training.module import Module
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import load_severity_run

SMALL = (
    "embedding={size: 16}",
    "severity.hidden=16",
    "severity.clips={length: 4, stride: 2, per_video: 2}",
    "sampler.batch_size=8",
    "optimizer.lr=0.01",
    "schedule.epochs=2",
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_toy_videos(tmp_path_factory.mktemp("severity") / "videos", videos=40)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random start weights; a small backbone tells bright from dark with any."""
    path = tmp_path_factory.mktemp("weights") / "start.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), path)
    return (
        f"backbone={{name: test_resnet, weights: {path}, license_terms: ours, frozen: true, "
        "views: 2}"
    )


def outputs_and_batch(scores: list[float], levels: int = 25) -> tuple[Outputs, Batch]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(scores), levels, generator=generator, requires_grad=True)
    rows = torch.randn(len(scores), 6, generator=generator, requires_grad=True)
    severity = logits.softmax(1) @ torch.arange(float(levels))
    count = len(scores)
    return Outputs(rows, logits, severity=severity), Batch(
        torch.zeros(count, 1),
        torch.full((count,), -1),
        torch.zeros(count, 1),
        torch.full((count, 2), torch.nan),
        torch.tensor(scores),
    )


C3D_FROZEN = "backbone={name: c3d, weights: some.safetensors, license_terms: ours, frozen: true}"
SCORES = [0.0, 2.0, 5.0, 11.0, 24.0, 12.0]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"loss": "label-distribution", "deviation": 1.5},
            lambda o, y: losses.label_distribution_loss(
                o.logits, losses.label_distribution(y, levels=25, deviation=1.5)
            ),
        ),
        (
            {"loss": "label-distribution", "expectation": 0.5},
            lambda o, y: (
                losses.label_distribution_loss(o.logits, losses.label_distribution(y, levels=25))
                + 0.5 * (o.severity - y).abs().mean()
            ),
        ),
        (
            {"loss": "score-classification"},
            lambda o, y: functional.cross_entropy(o.logits, y.long()),
        ),
        (
            {"loss": "score-regression", "unit": 4},
            lambda o, y: ((o.severity - y) / 4).square().mean(),
        ),
        (
            {"loss": "score-regression", "error": "l1"},
            lambda o, y: (o.severity - y).abs().mean() / 10,
        ),
        (
            {"loss": "score-regression", "error": "smooth-l1"},
            lambda o, y: functional.smooth_l1_loss(o.severity / 10, y / 10),
        ),
        (
            # 0 and 2 are of one group, 5 of the next, 11 and 12 of one, 24 alone.
            {"loss": "histogram", "width": 5},
            lambda o, y: losses.histogram_loss(o.embedding, torch.tensor([0, 0, 1, 2, 4, 2])),
        ),
        (
            {"loss": "label-aware-histogram", "bandwidth": 3},
            lambda o, y: losses.label_aware_histogram_loss(o.embedding, y, bandwidth=3.0),
        ),
        (
            {"loss": "ordinal-histogram", "edges": [0, 3, 25]},
            lambda o, y: losses.ordinal_histogram_loss(o.embedding, y, edges=(0, 3, 25)),
        ),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_term_is_its_loss_on_the_rows_that_have_a_score(
    settings: dict[str, Any], expected: Any
) -> None:
    head = {"loss": "label-distribution"}
    recipe = load_recipe(
        "ldl", [f"losses.0={json.dumps(head)}", f"losses.1={json.dumps(settings)}"]
    )
    term = recipe.losses[1]
    network = build_clip_network(recipe_architecture(recipe))
    module = Module(network, recipe, steps_per_epoch=1)
    outputs, batch = outputs_and_batch(SCORES)
    want = expected(outputs, batch.scores)
    # A row without a score teaches nothing, here or in the mean.
    with_unknown, unknown = outputs_and_batch([*SCORES, float("nan")])
    known = Outputs(
        torch.cat([outputs.embedding, with_unknown.embedding[-1:]]),
        torch.cat([outputs.logits, with_unknown.logits[-1:]]),
        severity=torch.cat([outputs.severity, with_unknown.severity[-1:]]),
    )
    got = loss_value(term, module.terms[1], known, unknown)
    assert got is not None
    torch.testing.assert_close(got, want)
    got.backward()
    reached = with_unknown.embedding if "histogram" in term.term else with_unknown.logits
    assert reached.grad is None or not reached.grad.any()


def recipe_architecture(recipe: Recipe) -> dict[str, Any]:
    return recipe.clip_architecture(24) | {"backbone": "test_resnet", "arguments": {}}


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("softmax", ["losses.1={loss: histogram}"], "learns scores of clips.*dj-ldml"),
        ("softmax", ["select=mae"], "measured on scores of recordings"),
        ("ldl", ["losses.1={loss: cross-entropy}"], "learns expressions of faces"),
        ("ldl", ["select=accuracy"], "selected by mae, rmse, ccc"),
        ("ldl", ["losses=[{loss: histogram}]"], "nothing would train severity.head=levels"),
        ("ldl", ["severity.head=score"], "nothing would train severity.head=score"),
        ("regression", ["losses.1={loss: score-classification}"], "no levels to learn"),
        ("ldl", ["mixup=0.2"], "no mixup"),
        ("ldl", ["embedding={size: 16, slices: 2}"], "one embedding of averaged maps"),
        ("ldl", [C3D_FROZEN], "no frames to keep"),
        ("ldl", ["losses.1={loss: ordinal-histogram, edges: [1, 2, 64]}"], "edges of two groups"),
        ("ldl", ["severity.clips.lenght=3"], "did you mean 'length'"),
    ],
)
def test_what_makes_no_sense_is_refused(recipe: str, changes: list[str], message: str) -> None:
    with pytest.raises(MienError, match=message):
        load_recipe(recipe, changes)


def task_of(dataset: Dataset, *changes: str, name: str = "ldl") -> Any:
    recipe = load_recipe(name, ["backbone={name: test_resnet}", *SMALL, *changes])
    return severity_task(recipe, dataset, dataset.folder / "features")


def test_a_dataset_that_cannot_teach_says_why(
    videos: Dataset, toy_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(MienError, match=r"expected a dataset with scores .*synth --videos"):
        task_of(Dataset.open(toy_dataset))
    with pytest.raises(MienError, match="end beyond the scale rendered"):
        task_of(videos, "losses.1={loss: ordinal-histogram, edges: [0, 5, 60]}")
    other = write_toy_videos(tmp_path / "other", videos=10, seed=1)
    with pytest.raises(MienError, match="got several joined"):
        task_of(open_datasets([videos.folder, other.folder]))
    with pytest.raises(MienError, match=r"two or more .* split valid .* got 1 of 2"):
        task_of(without_scores(other, ["video-006"]))


def without_scores(dataset: Dataset, names: list[str]) -> Dataset:
    """The dataset opened anew, with the scores of some recordings unknown."""
    opened = Dataset.open(dataset.folder)
    scores = np.where(np.isin(opened.column("video"), names), np.nan, opened.severity)
    # Where a cached property keeps its value.
    vars(opened)["severity"] = scores.astype(np.float32)
    return opened


def test_recordings_without_a_score_are_counted_and_only_predicted(tmp_path: Path) -> None:
    dataset = write_toy_videos(tmp_path / "videos", videos=20)
    dataset = without_scores(dataset, ["video-000", "video-006", "video-008"])
    task = task_of(dataset)
    assert task.described["recordings"] == {
        "train": {"used": 11, "without_score": 1},
        "valid": {"used": 3, "without_score": 1},
    }
    for batch in task.train:
        assert not batch.scores.isnan().any()
    recipe = load_recipe("ldl", SMALL)
    assert recipe.severity is not None and dataset.scale is not None
    found = predict_recordings(task.network.eval(), dataset, "test", recipe.severity, dataset.scale)
    assert len(found) == 4 and np.isnan(found.scores[0]) and np.isfinite(found.predictions).all()


def recordings(count: int = 12, frames: int = 20) -> Videos:
    """As many recordings of equal length, one after another, with a score each."""
    names = np.array([f"video-{number}" for number in range(count)])
    starts = np.arange(count) * frames
    scores = np.arange(count, dtype=np.float32)
    return Videos(names, names, scores, starts, np.full(count, frames))


def clip_batches(*changes: str) -> ClipBatches:
    """Clips of frames 0, 2, 4, 6 or later, in batches of half the recordings."""
    return ClipBatches(load_recipe("ldl", [*SMALL, "sampler.batch_size=6", *changes]), recordings())


def first_frames(batches: ClipBatches, epoch: int) -> list[list[int]]:
    """Where the clips of each batch of an epoch begin in their recordings."""
    batches.set_epoch(epoch)
    starts = batches.videos.starts
    return [(rows[:, 0] - starts[chosen]).tolist() for _, chosen, rows in batches]


def test_clips_of_a_batch_are_of_its_recordings() -> None:
    batches = clip_batches()
    batches.set_epoch(3)
    found = list(batches)
    assert len(found) == len(batches) == 4  # two passes of two batches
    for epoch, chosen, rows in found:
        assert epoch == 3 and len(chosen) == 6
        within = rows - batches.videos.starts[chosen][:, None]
        assert (np.diff(within) == 2).all() and within.min() >= 0 and within.max() < 20
    chosen = np.concatenate([chosen for _, chosen, _ in found])
    assert np.bincount(chosen).tolist() == [2] * 12


def test_clips_are_drawn_anew_in_every_epoch_batch_and_seed() -> None:
    # All recordings are equally long, so only the generator's seed tells two batches apart.
    batches = clip_batches()
    drawn = [first for epoch in range(5) for first in first_frames(batches, epoch)]
    assert len({tuple(first) for first in drawn}) == 20
    assert first_frames(batches, 4) == drawn[-4:]
    other = first_frames(clip_batches("seed=1"), 4)
    assert not any(own == first for own, first in zip(other, drawn[-4:], strict=True))


def test_over_the_epochs_a_clip_begins_wherever_it_fits() -> None:
    batches = clip_batches()
    drawn = np.concatenate([np.ravel(first_frames(batches, epoch)) for epoch in range(50)])
    # 20 frames and clips from the first to the seventh: 14 places, each about 1200 / 14 times.
    counts = np.bincount(drawn)
    assert len(counts) == 14 and abs(counts - 1200 / 14).max() < 4.5 * (1200 / 14) ** 0.5


def test_a_recording_is_read_in_another_view_in_another_epoch() -> None:
    # A view's rows all hold its number.
    views = [np.full((240, 2), number, np.float16) for number in range(3)]
    chosen, rows = np.arange(12), np.arange(240).reshape(12, 20)

    def seen(epoch: int, *, seed: int = 0, training: bool = True) -> list[float]:
        source = ClipFeatures(views, recordings(), seed=seed, training=training)
        inputs = source[epoch, chosen, rows].inputs
        assert (inputs == inputs[:, :1, :1]).all()
        return inputs[:, 0, 0].tolist()

    drawn = [seen(epoch) for epoch in range(30)]
    assert seen(3) == drawn[3] != seen(3, seed=1)
    assert len({tuple(each) for each in drawn}) == 30
    # 360 draws of three views: 120 each, with a standard deviation of 9.
    assert abs(np.bincount(np.ravel(drawn).astype(int)) - 120).max() < 36
    assert seen(5, training=False) == [0] * 12


def test_all_frames_of_a_recording_are_augmented_alike(videos: Dataset) -> None:
    rows = np.array([0, 0, 0, 30])
    settings = Augmentation(rotation=20, brightness=0.3, contrast=0)
    draw = {"augmentation": settings, "seed": 0, "epoch": 1}
    alike = network_input(videos, rows, alike=np.array([0, 0, 1, 0]), **draw)
    assert torch.equal(alike[0], alike[1])
    assert not torch.equal(alike[0], alike[2])
    batch = next(iter(task_of(videos, f"augmentation={settings.model_dump()}").train))
    # Clips of different recordings differ, and frames of a clip are turned by one angle: the edge
    # of the disc, which all frames of a toy video share, stays where it is.
    bright = batch.inputs.mean(2) > batch.inputs.mean((2, 3, 4), keepdim=False)[..., None, None]
    agree = (bright == bright[:, :1]).float().mean()
    assert agree > 0.99


def test_frozen_frames_are_those_of_the_network(
    videos: Dataset, frozen: str, tmp_path: Path
) -> None:
    recipe = load_recipe("ldl", [*SMALL, frozen])
    told: list[tuple[str, int, int]] = []
    network = build_clip_network(recipe.clip_architecture(63), weights=recipe.backbone.weights)

    def views() -> list[Any]:
        return cached_frames(network, videos, recipe, tmp_path, on_view=lambda *a: told.append(a))

    plain, changed = views()
    assert plain.shape == changed.shape == (len(videos), network.channels)
    assert told == [("train", 1, 2), ("train", 2, 2)]
    assert np.array_equal(views()[1], changed) and len(told) == 2
    assert not np.allclose(plain, changed, atol=1e-3)
    assert recipe.severity is not None and videos.scale is not None
    network.eval()
    given = (network, videos, "test", recipe.severity, videos.scale)
    kept, read = predict_recordings(*given, features=plain), predict_recordings(*given)
    # Features are kept as float16.
    np.testing.assert_allclose(kept.predictions, read.predictions, atol=0.02)


def test_frozen_frames_teach_scores_and_resume_to_the_same_bytes(
    videos: Dataset, frozen: str, tmp_path: Path
) -> None:
    recipe = load_recipe("dj-ldml", [*SMALL, frozen, "schedule.epochs=12", "averaging=0.5"])
    given: dict[str, Any] = {"threads": 1, "features": tmp_path / "features"}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fit(recipe, videos, whole, **given)

    class Stopped(Exception):
        pass

    def stop(line: dict[str, Any]) -> None:
        if line["epoch"] == 2:
            raise Stopped

    with pytest.raises(Stopped):
        fit(recipe, videos, stopped, on_epoch=stop, **given)
    fit(recipe, videos, stopped, resume=True, **given)
    for name in ("model.safetensors", "model.json"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()
    run = load_severity_run(whole)
    found = predict_recordings(run.network, videos, "test", run.severity, run.scale)
    known = np.unique(videos.severity[videos.split_indices("train")])
    assert found.predictions is not None
    error = np.abs(found.predictions - found.scores).mean()
    assert error < 0.6 * np.abs(known.mean() - found.scores).mean()


def test_the_best_epoch_is_by_the_metric_that_was_asked_for(
    videos: Dataset, frozen: str, tmp_path: Path
) -> None:
    changes = [*SMALL, frozen, "schedule.epochs=4", "select=ccc"]
    run = fit(load_recipe("regression", changes), videos, tmp_path / "run", threads=1)
    lines = [json.loads(line)["valid"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    chosen = json.loads((run / "model.json").read_text("utf-8"))["selected_on"]
    assert chosen["metric"] == "ccc" and chosen["ccc"] == max(line["ccc"] for line in lines)
    assert set(lines[0]) == {"mae", "rmse", "pcc", "ccc"}


def test_a_network_that_says_nan_is_not_kept_as_the_best(
    videos: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = ClipNetwork.forward_head

    def broken(self: ClipNetwork, features: torch.Tensor) -> Outputs:
        found = forward(self, features)
        return found if self.training else found._replace(severity=found.severity * torch.nan)

    monkeypatch.setattr(ClipNetwork, "forward_head", broken)
    recipe = load_recipe("ldl", ["backbone={name: test_resnet}", *SMALL])
    with pytest.raises(MienError, match=r"diverged: the severity .* became NaN"):
        fit(recipe, videos, tmp_path / "run", threads=1)
    assert not (tmp_path / "run" / "model.json").exists()


@pytest.mark.parametrize("backbone", ["small-3d", "c3d, arguments: {widths: [4, 4, 8, 8, 8]}"])
def test_3d_networks_train_on_crops(videos: Dataset, backbone: str, tmp_path: Path) -> None:
    changes = [*SMALL, f"backbone={{name: {backbone}}}", "schedule.epochs=1"]
    run = fit(load_recipe("dj-ldml", changes), videos, tmp_path / "run", threads=1)
    line = json.loads((run / "metrics.jsonl").read_text())
    assert np.isfinite([*line["train"].values(), *line["valid"].values()]).all()
    assert set(line["train"]) == {"loss", "label-distribution", "label-aware-histogram"}


def test_export_chooses_by_what_the_run_was_trained_for(
    videos: Dataset, frozen: str, tmp_path: Path
) -> None:
    run = fit(load_recipe("ldl", [*SMALL, frozen]), videos, tmp_path / "run", threads=1)
    for wrong in ({"mirror": True}, {"abstain_below": 0.4}):
        with pytest.raises(MienError, match="which is one of severity"):
            export_run(run, tmp_path / "model.onnx", **wrong)
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "small-3d"},
        {"backbone": "c3d", "arguments": {"widths": (4, 4, 8, 8, 8)}},
        {"backbone": "r3d_18"},
        {"backbone": "r2plus1d_18"},
        {"temporal": "gru"},
        {"temporal": "convolution"},
        {"temporal": "mean", "head": "score"},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())),
)
def test_every_network_is_exported_with_parity(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    recipe = load_recipe("ldl", SMALL)
    network = build_clip_network(recipe_architecture(recipe) | changes)
    module = SeverityPredictions(network).eval()
    model = exporting._to_onnx(module, "clip", torch.zeros(2, 4, 3, 32, 32))
    assert exporting._parity(module, model, (5, 4, 3, 32, 32), limit=1e-4)["images"] == 5


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True])
def test_an_exported_run_carries_what_the_contract_says(
    videos: Dataset, frozen: str, tmp_path: Path, int8: bool
) -> None:
    run = fit(load_recipe("regression", [*SMALL, frozen]), videos, tmp_path / "run", threads=1)
    document = export_run(run, tmp_path / "model.onnx", int8=int8)
    kept = json.loads((run / "model.json").read_text("utf-8"))
    for key in ("task", "scale", "clips", "conformal", "use"):
        assert document[key] == kept[key]
    assert "label_space" not in document
    assert document["parity"]["largest_difference"] <= (0.05 if int8 else 1e-4)
    assert document["recipe"]["backbone"]["weights"] == "start.safetensors"
