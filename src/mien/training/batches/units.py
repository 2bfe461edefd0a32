"""What a recipe trains and validates on: faces, or recordings that are read clip by clip.

Both are *units*: they have targets by split, batches, and one prediction each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from mien.data.clips import Clips, Videos, check_labels, even_clips, videos_of
from mien.data.dataset import Dataset
from mien.data.targets import Targets, make_targets
from mien.errors import MienError
from mien.heads import HEADS
from mien.metrics.aggregation import pool_clips
from mien.networks.network import Network
from mien.training.batches.batch import Batch
from mien.training.batches.clips import ClipBatches, ClipCrops
from mien.training.batches.faces import FaceBatches, FaceCrops, loader
from mien.training.batches.features import (
    ClipFeatures,
    FaceFeatures,
    cached_features,
    cached_frames,
)
from mien.training.ranks import ONE, Ranks
from mien.training.recipe.recipe import Recipe

SPLITS = ("train", "valid")
OnView = Callable[[str, int, int], None]

_FACES_AT_ONCE, _CLIPS_AT_ONCE = 128, 16


class Loaders(NamedTuple):
    """Batches of the splits train and valid; ``plain`` are training ones without augmentation.

    On several ranks, ``train`` and ``valid`` are of this rank's rows. ``steps`` are batches per
    epoch.
    """

    train: DataLoader[Batch]
    valid: DataLoader[Batch]
    plain: DataLoader[Batch]
    steps: int


class Units(ABC):
    """Faces or recordings of the splits train and valid that some loss of a recipe can use.

    ``targets`` and ``subjects`` are by split; a subject is "" where unknown.
    """

    targets: dict[str, Targets]
    subjects: dict[str, NDArray[np.str_]]

    @abstractmethod
    def loaders(
        self,
        network: Network,
        features: Path,
        on_view: OnView | None,
        *,
        ranks: Ranks = ONE,
        workers: int = 0,
    ) -> Loaders:
        """The batches; those of a frozen backbone are its maps, kept in the folder ``features``.

        ``workers`` are processes that read them for this one.
        """

    @abstractmethod
    def pool(self, values: NDArray[Any]) -> NDArray[Any]:
        """One row per unit of valid from the rows ``(n, ...)`` of the batches of ``valid``."""

    @abstractmethod
    def batch_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """One row per row of the batches of ``valid`` from one per unit."""

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """What ``model.json`` says of them."""


class Faces(Units):
    """The labeled rows of a dataset."""

    def __init__(self, recipe: Recipe, dataset: Dataset) -> None:
        self.recipe, self.dataset = recipe, dataset
        self.all_targets = make_targets(dataset, recipe.rule)
        self.rows = {split: self._labeled(split) for split in SPLITS}
        self.targets = {split: self.all_targets.take(rows) for split, rows in self.rows.items()}
        subjects = dataset.names("subject")
        self.subjects = {split: subjects[rows] for split, rows in self.rows.items()}
        _check_labels(recipe, dataset, self.targets, "faces")
        if recipe.sampler.kind == "class-balanced":
            _check_balanced(self.targets["train"]["expression"])

    def _labeled(self, split: str) -> NDArray[np.int64]:
        heads = {loss.head for loss in self.recipe.losses}
        usable = np.any([self.all_targets.labeled(head) for head in heads], axis=0)
        rows = np.flatnonzero((self.dataset.splits == split) & usable)
        if not len(rows):
            splits = ", ".join(sorted(set(self.dataset.splits)))
            raise MienError(
                f"expected labeled faces in the splits train and valid, got none in {split!r} of "
                f"{self.dataset.folder} (it has {splits}); prepare it again with both, for a "
                "folder of your own with --valid-from-train 0.1"
            )
        return rows

    def loaders(
        self,
        network: Network,
        features: Path,
        on_view: OnView | None,
        *,
        ranks: Ranks = ONE,
        workers: int = 0,
    ) -> Loaders:
        """As :meth:`Units.loaders`."""
        recipe, targets = self.recipe, self.all_targets
        source: dict[str, torch.utils.data.Dataset[Batch]]
        if recipe.backbone.frozen:
            maps = cached_features(
                network, self.dataset, recipe, self.rows, features, on_view=on_view
            )
            source = {
                split: FaceFeatures(
                    maps[split], rows, targets, seed=recipe.seed, training=split == "train"
                )
                for split, rows in self.rows.items()
            }
        else:
            source = {
                split: FaceCrops(self.dataset, targets, recipe, training=split == "train")
                for split in SPLITS
            }
        labels = self.targets["train"]["expression"]
        batches = FaceBatches(recipe, self.rows["train"], labels, ranks)
        plain = FaceBatches(recipe, self.rows["train"], labels)
        _check_dealt(plain, len(self.rows["valid"]), ranks)
        chunks = _chunks(ranks.deal(self.rows["valid"]), _FACES_AT_ONCE)
        return Loaders(
            train=loader(source["train"], batches, workers),
            valid=loader(source["valid"], [(0, chunk) for chunk in chunks], workers),
            plain=loader(FaceCrops(self.dataset, targets, recipe, training=False), plain),
            steps=len(batches),
        )

    def pool(self, values: NDArray[Any]) -> NDArray[Any]:
        """A face has one row."""
        return values

    def batch_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """A face has one row."""
        return values

    def described(self) -> dict[str, Any]:
        """Nothing that the dataset does not say."""
        return {}


class Recordings(Units):
    """The labeled recordings of a video dataset."""

    def __init__(self, recipe: Recipe, dataset: Dataset, clips: Clips) -> None:
        self.recipe, self.dataset, self.clips = recipe, dataset, clips
        targets = make_targets(dataset, recipe.rule)
        videos = {split: videos_of(dataset, split) for split in SPLITS}
        for of_split in videos.values():
            check_labels(dataset, of_split, targets, sorted({loss.head for loss in recipe.losses}))
        self.counts = {split: len(all_videos) for split, all_videos in videos.items()}
        self.videos = {split: self._labeled(split, videos[split], targets) for split in SPLITS}
        self.targets = {split: targets.take(videos.starts) for split, videos in self.videos.items()}
        self.subjects = {split: videos.subjects for split, videos in self.videos.items()}
        _check_labels(recipe, dataset, self.targets, "recordings")
        self.valid_rows, self.owners = even_clips(self.videos["valid"], clips)

    def _labeled(self, split: str, videos: Videos, targets: Targets) -> Videos:
        of_videos = targets.take(videos.starts)
        heads = {loss.head for loss in self.recipe.losses}
        labeled = videos.of(np.any([of_videos.labeled(head) for head in heads], axis=0))
        if len(labeled) < 2:
            phrase = " or ".join(sorted(HEADS[head].labels for head in heads))
            raise MienError(
                f"expected two or more recordings with {phrase} in the split {split} of "
                f"{self.dataset.folder}, got {len(labeled)} of {len(videos)}; prepare it again "
                "with more"
            )
        return labeled

    def loaders(
        self,
        network: Network,
        features: Path,
        on_view: OnView | None,
        *,
        ranks: Ranks = ONE,
        workers: int = 0,
    ) -> Loaders:
        """As :meth:`Units.loaders`."""
        recipe = self.recipe
        source: dict[str, torch.utils.data.Dataset[Batch]]
        if recipe.backbone.frozen:
            views = cached_frames(network, self.dataset, recipe, features, on_view=on_view)
            source = {
                split: ClipFeatures(
                    views, self.targets[split], seed=recipe.seed, training=split == "train"
                )
                for split in SPLITS
            }
        else:
            source = {
                split: ClipCrops(
                    self.dataset, self.targets[split], recipe, training=split == "train"
                )
                for split in SPLITS
            }
        parts = (recipe, self.clips, self.videos["train"], self._order())
        batches, plain = ClipBatches(*parts, ranks), ClipBatches(*parts)
        _check_dealt(plain, len(self.valid_rows), ranks)
        chunks = _chunks(ranks.deal(np.arange(len(self.valid_rows))), _CLIPS_AT_ONCE)
        unchanged = ClipCrops(self.dataset, self.targets["train"], recipe, training=False)
        return Loaders(
            train=loader(source["train"], batches, workers),
            valid=loader(
                source["valid"],
                [(0, self.owners[chunk], self.valid_rows[chunk]) for chunk in chunks],
                workers,
            ),
            plain=loader(unchanged, plain),
            steps=len(batches),
        )

    def _order(self) -> NDArray[Any]:
        """What batches are spread over: the targets of the first head, their first column."""
        values = self.targets["train"][next(iter(self.recipe.heads))]
        return values if values.ndim == 1 else values[:, 0]

    def pool(self, values: NDArray[Any]) -> NDArray[Any]:
        """The recipe's aggregate over a recording's clips, column by column."""
        return pool_clips(
            values, self.owners, len(self.videos["valid"]), self.recipe.temporal.aggregate
        )

    def batch_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """That of the clip's recording."""
        return values[self.owners]

    def described(self) -> dict[str, Any]:
        """How many recordings have labels and how many were left out."""
        return {
            "recordings": {
                split: {"used": len(videos), "unlabeled": self.counts[split] - len(videos)}
                for split, videos in self.videos.items()
            }
        }


def open_units(recipe: Recipe, dataset: Dataset) -> Units:
    """The units of a recipe in a dataset.

    Raises :class:`MienError` where a split has none, a loss has nothing to learn from, the metric
    of ``select`` cannot be measured, or the recipe's batches cannot be made.
    """
    if recipe.clips is None:
        return Faces(recipe, dataset)
    return Recordings(recipe, dataset, recipe.clips)


def _check_labels(
    recipe: Recipe, dataset: Dataset, targets: Mapping[str, Targets], units: str
) -> None:
    for loss in recipe.losses:
        if not targets["train"].labeled(loss.head).any():
            raise MienError(
                f"expected training {units} with {HEADS[loss.head].labels} for the loss "
                f"{loss.loss}, got none in {dataset.folder}; train on a dataset that has them, or "
                "drop the loss with its head"
            )
    head = recipe.selecting_head
    if not targets["valid"].labeled(head).any():
        raise MienError(
            f"expected {units} with {HEADS[head].labels} in the split valid, which select="
            f"{recipe.select} is measured on, got none in {dataset.folder}; set select to another "
            "metric or prepare a split valid that has them"
        )


def _check_dealt(batches: FaceBatches | ClipBatches, valid: int, ranks: Ranks) -> None:
    """Every rank has a row of every batch."""
    if ranks.size == 1:
        return
    smallest = min(len(index[1]) for index in batches)
    if min(smallest, valid) < ranks.size:
        raise MienError(
            f"expected batches and a split valid of at least one row for each of {ranks.size} "
            f"processes, got {smallest} rows in a batch and {valid} in valid; use fewer --devices "
            "or larger batches"
        )


def _check_balanced(labels: NDArray[np.int64]) -> None:
    present = len(np.unique(labels[labels >= 0]))
    if present < 2:
        raise MienError(
            f"expected at least two classes in the training rows for the recipe's batches, got "
            f"{present}; train with --set sampler.kind=shuffled, or on more classes"
        )
    if unlabeled := int(np.sum(labels < 0)):
        raise MienError(
            f"class-balanced batches have no place for the {unlabeled:,} training faces without an "
            "expression; train with --set sampler.kind=shuffled"
        )


def _chunks(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return np.array_split(rows, max(1, -(-len(rows) // size)))
