"""Batches of clips: which clips, in which views, augmented how."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_training import SMALL_CLIPS

from mien.data.augment import Augmentation
from mien.data.clips import Videos
from mien.data.dataset import Dataset
from mien.data.targets import Targets
from mien.heads.severity import SeverityInfo
from mien.networks.network import create_network
from mien.training.batches.clips import ClipBatches
from mien.training.batches.faces import network_input
from mien.training.batches.features import ClipFeatures, cached_frames
from mien.training.batches.units import open_units
from mien.training.recipe import load_recipe


def recordings(count: int = 12, frames: int = 20) -> Videos:
    """As many recordings of equal length, one after another, with a score each."""
    names = np.array([f"video-{number}" for number in range(count)])
    starts = np.arange(count) * frames
    scores = np.arange(count, dtype=np.float32)
    return Videos(names, names, scores, starts, np.full(count, frames))


def targets(count: int = 12) -> Targets:
    return Targets(
        {"expression": np.full(count, -1), "severity": np.arange(count, dtype=np.float32)}, {}
    )


def clip_batches(*changes: str) -> ClipBatches:
    """Clips of frames 0, 2, 4, 6 or later, in batches of half the recordings."""
    recipe = load_recipe("ldl", [*SMALL_CLIPS, "sampler.batch_size=6", *changes])
    videos = recordings()
    assert recipe.clips is not None
    return ClipBatches(recipe, recipe.clips, videos, videos.scores)


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
        source = ClipFeatures(views, targets(), seed=seed, training=training)
        batch = source[epoch, chosen, rows]
        assert (batch.inputs == batch.inputs[:, :1, :1]).all()
        assert torch.equal(batch.targets["severity"], torch.arange(12.0))
        return batch.inputs[:, 0, 0].tolist()

    drawn = [seen(epoch) for epoch in range(30)]
    assert seen(3) == drawn[3] != seen(3, seed=1)
    assert len({tuple(each) for each in drawn}) == 30
    # 360 draws of three views: 120 each, with a standard deviation of 9.
    assert abs(np.bincount(np.ravel(drawn).astype(int)) - 120).max() < 36
    assert seen(5, training=False) == [0] * 12


def test_all_frames_of_a_recording_are_augmented_alike(videos: Dataset, tmp_path: Path) -> None:
    rows = np.array([0, 0, 0, 30])
    settings = Augmentation(rotation=20, brightness=0.3, contrast=0)
    draw: dict[str, Any] = {"augmentation": settings, "seed": 0, "epoch": 1}
    alike = network_input(videos, rows, alike=np.array([0, 0, 1, 0]), **draw)
    assert torch.equal(alike[0], alike[1])
    assert not torch.equal(alike[0], alike[2])
    changes = ["backbone={name: test_resnet}", f"augmentation={settings.model_dump()}"]
    recipe = load_recipe("ldl", [*SMALL_CLIPS, *changes])
    infos = {"severity": SeverityInfo(scale=videos.scale)}
    network = create_network(**recipe.architecture(infos, image_size=32))
    loaders = open_units(recipe, videos).loaders(network, tmp_path, None)
    batch = next(iter(loaders.train))
    # Clips of different recordings differ, and frames of a clip are turned by one angle: the edge
    # of the disc, which all frames of a toy video share, stays where it is.
    bright = batch.inputs.mean(2) > batch.inputs.mean((2, 3, 4), keepdim=False)[..., None, None]
    agree = (bright == bright[:, :1]).float().mean()
    assert agree > 0.99


def test_frozen_frames_are_those_of_the_network(
    videos: Dataset, frozen_backbone: str, tmp_path: Path
) -> None:
    recipe = load_recipe("ldl", [*SMALL_CLIPS, frozen_backbone])
    told: list[tuple[str, int, int]] = []
    infos = {"severity": SeverityInfo(scale=videos.scale)}
    network = create_network(
        **recipe.architecture(infos, image_size=32), weights=recipe.backbone.weights
    )

    def views() -> list[Any]:
        return cached_frames(network, videos, recipe, tmp_path, on_view=lambda *a: told.append(a))

    plain, changed = views()
    assert plain.shape == changed.shape and len(plain) == len(videos)
    assert told == [("train", 1, 2), ("train", 2, 2)]
    assert np.array_equal(views()[1], changed) and len(told) == 2
    assert not np.allclose(plain, changed, atol=1e-3)
    network.eval()
    clips = np.arange(40).reshape(10, 4)
    images = network_input(videos, clips.ravel(), None, seed=0, epoch=0)
    with torch.inference_mode():
        kept = network.forward_head(torch.from_numpy(plain[clips]).float())
        read = network(images.reshape(10, 4, *images.shape[1:]))
    # Features are kept as float16.
    torch.testing.assert_close(kept.heads["severity"], read.heads["severity"], atol=0.02, rtol=0)
    assert read.heads["severity"].std() > 0
