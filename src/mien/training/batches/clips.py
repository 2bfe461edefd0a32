"""Batches of clips: which recordings, their clips augmented and normalized, their targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from mien.data.clips import Clips, Videos, clip_rows, random_offsets, stratified_batches
from mien.data.dataset import Dataset
from mien.data.targets import Targets
from mien.training.batches.batch import Batch
from mien.training.batches.faces import network_input, target_tensors
from mien.training.ranks import ONE, Ranks
from mien.training.recipe.recipe import Recipe

ClipIndex = tuple[int, NDArray[np.int64], NDArray[np.int64]]
"""Epoch, numbers of recordings ``(B,)``, and the dataset's rows of a clip of each ``(B, T)``."""


class ClipBatches:
    """A batch sampler that yields (epoch, numbers of recordings, their clips' rows).

    ``order`` ``(V,)`` are numbers by which a batch is spread over the recordings: their scores.
    On several ranks, each yields its part of the same batches.
    """

    def __init__(
        self,
        recipe: Recipe,
        clips: Clips,
        videos: Videos,
        order: NDArray[np.floating],
        ranks: Ranks = ONE,
    ) -> None:
        self.recipe, self.clips, self.videos, self.order = recipe, clips, videos, order
        self.ranks = ranks
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch, also when resuming."""
        self.epoch = epoch

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        return stratified_batches(
            self.order,
            self.recipe.sampler.batch_size,
            seed=self.recipe.seed,
            epoch=epoch,
            passes=self.clips.per_video,
        )

    def __len__(self) -> int:
        return len(self._batches(0))

    def __iter__(self) -> Iterator[ClipIndex]:
        epoch = self.epoch
        for number, recordings in enumerate(self._batches(epoch)):
            generator = np.random.default_rng((self.recipe.seed, epoch, number, 1))
            counts = self.videos.counts[recordings]
            offsets = random_offsets(counts, self.clips, generator)
            rows = clip_rows(self.videos.starts[recordings], counts, offsets, self.clips)
            yield epoch, self.ranks.deal(recordings), self.ranks.deal(rows)


class ClipCrops(torch.utils.data.Dataset[Batch]):
    """Clips as augmented, normalized batches; a clip's frames are all changed alike.

    ``targets`` are those of the recordings.
    """

    def __init__(
        self, dataset: Dataset, targets: Targets, recipe: Recipe, *, training: bool
    ) -> None:
        self.dataset, self.targets, self.recipe = dataset, targets, recipe
        self.training = training

    def __getitem__(self, index: ClipIndex) -> Batch:
        epoch, recordings, rows = index
        images = network_input(
            self.dataset,
            rows.ravel(),
            self.recipe.augmentation if self.training else None,
            seed=self.recipe.seed,
            epoch=epoch,
            alike=np.repeat(recordings, rows.shape[1]),
        )
        return Batch(
            images.reshape(*rows.shape, *images.shape[1:]),
            target_tensors(self.targets, recordings),
        )
