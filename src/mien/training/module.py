"""The Lightning module: a network and its loss terms, driven by a recipe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mien.data.augment import augment
from mien.data.dataset import Dataset
from mien.data.samplers import class_balanced_batches, shuffled_batches
from mien.data.targets import Targets
from mien.faces.tensors import to_tensor
from mien.networks.network import Network
from mien.schema import Preprocessing
from mien.training.recipe import Recipe
from mien.training.terms import Batch, mix


class EpochBatches:
    """A batch sampler that yields (epoch, dataset rows), so a batch depends on nothing else."""

    def __init__(self, recipe: Recipe, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
        self.recipe, self.rows, self.labels = recipe, rows, labels
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch, also when resuming."""
        self.epoch = epoch

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        sampler, seed = self.recipe.sampler, self.recipe.seed
        if sampler.kind == "shuffled":
            return shuffled_batches(self.labels, sampler.batch_size, seed=seed, epoch=epoch)
        return class_balanced_batches(
            self.labels, sampler.classes, sampler.samples, seed=seed, epoch=epoch
        )

    def __len__(self) -> int:
        return len(self._batches(0))

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        epoch = self.epoch
        for batch in self._batches(epoch):
            yield epoch, self.rows[batch]


class Crops(torch.utils.data.Dataset[Batch]):
    """Rows of a dataset as augmented, normalised batches; indexed by (epoch, rows)."""

    def __init__(
        self,
        dataset: Dataset,
        targets: Targets,
        recipe: Recipe,
        preprocessing: Preprocessing,
        *,
        training: bool,
    ) -> None:
        self.dataset, self.targets, self.recipe = dataset, targets, recipe
        self.preprocessing = preprocessing
        self.training = training

    def __getitem__(self, index: tuple[int, NDArray[np.int64]]) -> Batch:
        epoch, rows = index
        # Grey crops stay single-channelled through the augmentation, which takes half the time.
        crops = self.dataset.crops.stored(rows)
        if self.training:
            crops = augment(
                crops, rows, self.recipe.augmentation, seed=self.recipe.seed, epoch=epoch
            )
        if crops.shape[-1] == 1:
            wide = cv2.cvtColor(crops.reshape(-1, crops.shape[2]), cv2.COLOR_GRAY2RGB)
            crops = np.asarray(wide, np.uint8).reshape(*crops.shape[:3], 3)
        return Batch(
            images_for_network(crops, self.preprocessing),
            torch.from_numpy(self.targets.labels[rows]),
            torch.from_numpy(self.targets.distribution[rows]),
        )


def images_for_network(crops: NDArray[np.uint8], preprocessing: Preprocessing) -> Tensor:
    """Crops ``(B, S, S, 3)`` as the network's input; channels last, which is faster on CPUs."""
    return torch.from_numpy(to_tensor(crops, preprocessing, channels_last=True))


def loader(crops: Crops, batches: Any) -> DataLoader[Batch]:
    """A loader without workers: a batch costs a few per cent of a step and stays reproducible."""
    # `batch_size=None` hands each (epoch, rows) pair to the dataset as it is.
    return DataLoader(crops, sampler=batches, batch_size=None)


class Module(lightning.LightningModule):
    """Network, loss terms, optimiser and schedule of a recipe."""

    def __init__(self, network: Network, recipe: Recipe, *, steps_per_epoch: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.steps_per_epoch = steps_per_epoch
        classes = network.classifier.out_features
        self.terms = nn.ModuleList(
            [term.build(classes, network.embedding_size) for term in recipe.losses]
        )
        self._sums: dict[str, Tensor] = {}
        self.validation: list[Tensor] = []

    def on_train_epoch_start(self) -> None:
        """Start the epoch's sums."""
        self._sums = {}

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Seed what is left of global randomness (dropout) by (seed, step).

        At every step, because whoever draws in between (a loader's start, a logger) must not
        make a resumed run differ.
        """
        state = np.random.SeedSequence((self.recipe.seed, self.global_step)).generate_state(1)
        # torch.manual_seed also notes a stack trace for every accelerator that is not there.
        on_cpu = self.device.type == "cpu"
        (torch.default_generator.manual_seed if on_cpu else torch.manual_seed)(int(state[0]))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The weighted sum of the terms; each term's mean over the epoch is logged."""
        if self.recipe.mixup:
            batch = mix(
                batch, alpha=self.recipe.mixup, seed=self.recipe.seed, step=self.global_step
            )
        outputs = self.network(batch.images)
        total: Tensor = outputs.logits.new_zeros(())
        for settings, term in zip(self.recipe.losses, self.terms, strict=True):
            value: Tensor = term(outputs, batch)
            total = total + settings.weight * value
            self._add(settings.term, value)
        self._add("loss", total)
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"the loss became {total.item()} in epoch {self.current_epoch}, step {batch_index}"
            )
        return total

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums.get(name, torch.zeros(())) + value.detach()

    def epoch_losses(self) -> dict[str, float]:
        """Mean of each term over the epoch so far."""
        steps = max(1, self.trainer.fit_loop.epoch_loop.batch_idx + 1)
        return {name: float(total) / steps for name, total in self._sums.items()}

    def on_validation_epoch_start(self) -> None:
        """Start with no logits."""
        self.validation = []

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep the logits; metrics are computed once over the whole split."""
        self.validation.append(self.network(batch.images).logits)

    def configure_optimizers(self) -> Any:
        """AdamW or SGD with warm-up and cosine; centres learn at their own rate."""
        settings = self.recipe.optimizer
        matrices = [p for p in self.network.parameters() if p.ndim > 1]
        vectors = [p for p in self.network.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": settings.weight_decay, "lr": settings.rate},
            {"params": vectors, "weight_decay": 0.0, "lr": settings.rate},
        ]
        for term_settings, term in zip(self.recipe.losses, self.terms, strict=True):
            parameters = list(term.parameters())
            if parameters:
                rate = settings.rate * getattr(term_settings, "rate", 1.0)
                groups.append({"params": parameters, "weight_decay": 0.0, "lr": rate})
        optimizer: torch.optim.Optimizer
        if settings.name == "adamw":
            optimizer = torch.optim.AdamW(groups, lr=settings.rate, fused=True)
        else:
            optimizer = torch.optim.SGD(
                groups, lr=settings.rate, momentum=settings.momentum, fused=True
            )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate_at)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _rate_at(self, step: int) -> float:
        plan = self.recipe.schedule
        warmup = plan.warmup * self.steps_per_epoch
        total = plan.epochs * self.steps_per_epoch
        rise = min(1.0, (step + 1) / max(1.0, warmup))
        done = min(1.0, max(0.0, (step - warmup) / max(1.0, total - warmup)))
        return rise * (plan.final + (1 - plan.final) * 0.5 * (1 + math.cos(math.pi * done)))
