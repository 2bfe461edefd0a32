"""Batches of faces: which rows, their crops augmented and normalized, their targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from mien.data.augment import Augmentation, augment
from mien.data.dataset import Dataset
from mien.data.samplers import class_balanced_batches, shuffled_batches
from mien.data.targets import Targets
from mien.faces.tensors import to_tensor
from mien.schema import Preprocessing
from mien.training.batches.batch import Batch
from mien.training.ranks import ONE, Ranks
from mien.training.recipe.recipe import Recipe


class FaceBatches:
    """A batch sampler that yields (epoch, dataset rows), so a batch depends on nothing else.

    On several ranks, each yields its part of the same batches.
    """

    def __init__(
        self,
        recipe: Recipe,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        ranks: Ranks = ONE,
    ) -> None:
        self.recipe, self.rows, self.labels, self.ranks = recipe, rows, labels, ranks
        # A folder of one's own may have fewer classes than a recipe for seven expects.
        self.classes = min(recipe.sampler.classes, len(np.unique(labels[labels >= 0])))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch, also when resuming."""
        self.epoch = epoch

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        sampler, seed = self.recipe.sampler, self.recipe.seed
        if sampler.kind == "shuffled":
            return shuffled_batches(self.labels, sampler.batch_size, seed=seed, epoch=epoch)
        return class_balanced_batches(
            self.labels, self.classes, sampler.samples, seed=seed, epoch=epoch
        )

    def __len__(self) -> int:
        return len(self._batches(0))

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        epoch = self.epoch
        for batch in self._batches(epoch):
            yield epoch, self.rows[self.ranks.deal(batch)]


class FaceCrops(torch.utils.data.Dataset[Batch]):
    """Rows of a dataset as augmented, normalized batches; indexed by (epoch, rows)."""

    def __init__(
        self, dataset: Dataset, targets: Targets, recipe: Recipe, *, training: bool
    ) -> None:
        self.dataset, self.targets, self.recipe = dataset, targets, recipe
        self.training = training

    def __getitem__(self, index: tuple[int, NDArray[np.int64]]) -> Batch:
        epoch, rows = index
        images = network_input(
            self.dataset,
            rows,
            self.recipe.augmentation if self.training else None,
            seed=self.recipe.seed,
            epoch=epoch,
        )
        return Batch(images, target_tensors(self.targets, rows))


def target_tensors(targets: Targets, rows: NDArray[np.int64]) -> dict[str, Tensor]:
    """The targets of some rows as tensors, by name."""
    return {name: torch.from_numpy(values[rows]) for name, values in targets.values.items()}


def network_input(
    dataset: Dataset,
    rows: NDArray[np.int64],
    augmentation: Augmentation | None,
    *,
    seed: int,
    epoch: int,
    alike: NDArray[np.int64] | None = None,
) -> Tensor:
    """The crops of some rows as ``(B, 3, S, S)``, augmented unless ``augmentation`` is None.

    ``dataset`` gives crops as the network reads them (see :meth:`Dataset.with_preprocessing`).
    Rows with the same number in ``alike`` ``(B,)``, as the frames of a recording, are all changed
    alike.
    """
    # Gray crops stay single-channelled through the augmentation, which takes half the time.
    crops = dataset.crops.stored(rows)
    if augmentation is not None:
        drawn = rows if alike is None else alike
        crops = augment(crops, drawn, augmentation, seed=seed, epoch=epoch)
    if crops.shape[-1] == 1:
        wide = cv2.cvtColor(crops.reshape(-1, crops.shape[2]), cv2.COLOR_GRAY2RGB)
        crops = np.asarray(wide, np.uint8).reshape(*crops.shape[:3], 3)
    return images_for_network(crops, dataset.preprocessing)


def images_for_network(crops: NDArray[np.uint8], preprocessing: Preprocessing) -> Tensor:
    """Crops ``(B, S, S, 3)`` as the network's input; channels last, which is faster on CPUs."""
    return torch.from_numpy(to_tensor(crops, preprocessing, channels_last=True))


def loader(
    rows: torch.utils.data.Dataset[Batch], batches: Any, workers: int = 0
) -> DataLoader[Batch]:
    """A loader, without workers by default: a batch costs a few percent of a step.

    A batch depends on its index alone, so with workers the batches are the same.
    """
    # `batch_size=None` hands each (epoch, rows) pair to the dataset as it is.
    return DataLoader(
        rows,
        sampler=batches,
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=_one_thread if workers else None,
    )


def _one_thread(worker: int) -> None:
    """OpenCV's threads do not survive a fork, and workers share the cores anyway."""
    cv2.setNumThreads(0)
