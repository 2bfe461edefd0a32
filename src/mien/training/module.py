"""The Lightning module: a network and its losses, driven by a recipe."""

from __future__ import annotations

import math
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from mien.networks.network import Network, Outputs
from mien.training.batches.batch import Batch, mix
from mien.training.losses import LossContext, loss_value
from mien.training.losses.centers import CenterLossModule
from mien.training.ranks import whole_batch
from mien.training.recipe.recipe import Recipe


class TrainingModule(lightning.LightningModule):
    """Network, losses, optimizer and schedule of a recipe."""

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        context: LossContext,
        *,
        steps_per_epoch: int,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.fused = fused
        """Whether the optimizer may be fused, which cannot clip gradients that are scaled."""
        flat = all(parameter.ndim < 5 for parameter in network.parameters())
        self.network = network.to(memory_format=torch.channels_last) if flat else network
        self.recipe = recipe
        self.context = context
        self.steps_per_epoch = steps_per_epoch
        kinds = [loss.loss for loss in recipe.losses]
        self.loss_names = [
            kind if kinds.count(kind) == 1 else f"{kind}.{index}"
            for index, kind in enumerate(kinds)
        ]
        """What each loss is called in the metrics: its kind, with its number where two share it."""
        self.losses = nn.ModuleList([loss.build(context) for loss in recipe.losses])
        if recipe.backbone.frozen:
            network.backbone.requires_grad_(False)
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self.validation: list[Outputs] = []

    def forward(self, inputs: Tensor) -> Outputs:
        """Images or clips, or what a frozen backbone gave of them, through the network."""
        if self.recipe.backbone.frozen:
            return self.network.forward_head(inputs)
        outputs: Outputs = self.network(inputs)
        return outputs

    def on_train_epoch_start(self) -> None:
        """Start the epoch's sums."""
        self._sums, self._counts = {}, {}

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Seed what is left of global randomness (dropout) by (seed, step).

        At every step, because whoever draws in between (a loader's start, a logger) must not
        make a resumed run differ.
        """
        self._seed()

    def _seed(self) -> None:
        state = np.random.SeedSequence((self.recipe.seed, self.global_step)).generate_state(1)
        # torch.manual_seed also notes a stack trace for every accelerator that is not there.
        on_cpu = self.device.type == "cpu"
        (torch.default_generator.manual_seed if on_cpu else torch.manual_seed)(int(state[0]))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The weighted sum of the losses; each one's mean over the epoch is logged.

        A loss that no row of the batch has labels for adds nothing. On several ranks ``batch`` is
        this rank's part, and the losses are those of the whole batch on every rank.
        """
        if self.recipe.mixup:
            batch = mix(
                batch, alpha=self.recipe.mixup, seed=self.recipe.seed, step=self.global_step
            )
        outputs, batch = whole_batch(self(batch.inputs), batch)
        self._seed()  # a loss that draws (a miner) draws the same on every rank
        # A zero that backpropagates, for a batch that no loss can use.
        total = torch.stack([output.sum() for output in outputs.heads.values()]).sum() * 0
        for name, settings, loss in zip(
            self.loss_names, self.recipe.losses, self.losses, strict=True
        ):
            value = loss_value(settings, loss, outputs, batch)
            if value is not None:
                total = total + settings.weight * value
                self._add(name, value)
        self._add("loss", total)
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"the loss became {total.item()} in epoch {self.current_epoch}, step {batch_index}"
            )
        return total

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_index: int) -> None:
        """Centers with a rule of their own move after the optimizer's step."""
        for loss in self.losses:
            if isinstance(loss, CenterLossModule):
                loss.after_step()

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums.get(name, torch.zeros(())) + value.detach()
        self._counts[name] = self._counts.get(name, 0) + 1

    def epoch_losses(self) -> dict[str, float]:
        """Mean of each loss over the epoch's batches so far that had rows for it."""
        return {name: float(total) / self._counts[name] for name, total in self._sums.items()}

    def on_validation_epoch_start(self) -> None:
        """Start with nothing."""
        self.validation = []

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep what metrics need; they are computed once over the whole split."""
        outputs = self(batch.inputs)
        self.validation.append(Outputs(outputs.embedding, outputs.heads))

    def configure_optimizers(self) -> Any:
        """AdamW or SGD with warm-up and cosine; centers learn at a rate of their own."""
        settings = self.recipe.optimizer
        trained = [p for p in self.network.parameters() if p.requires_grad]
        slopes = {layer.weight for layer in self.network.modules() if isinstance(layer, nn.PReLU)}
        matrices = [p for p in trained if p.ndim > 1 and p not in slopes]
        vectors = [p for p in trained if p.ndim <= 1 or p in slopes]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": settings.weight_decay, "lr": settings.lr},
            {"params": vectors, "weight_decay": 0.0, "lr": settings.lr},
        ]
        for loss_settings, loss in zip(self.recipe.losses, self.losses, strict=True):
            parameters = [p for p in loss.parameters() if p.requires_grad]
            if parameters:
                lr = settings.lr * getattr(loss_settings, "lr_multiplier", 1.0)
                groups.append({"params": parameters, "weight_decay": 0.0, "lr": lr})
        optimizer: torch.optim.Optimizer
        if settings.name == "adamw":
            optimizer = torch.optim.AdamW(groups, lr=settings.lr, fused=self.fused)
        else:
            optimizer = torch.optim.SGD(
                groups, lr=settings.lr, momentum=settings.momentum, fused=self.fused
            )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._lr_at)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _lr_at(self, step: int) -> float:
        plan = self.recipe.schedule
        warmup = plan.warmup * self.steps_per_epoch
        total = plan.epochs * self.steps_per_epoch
        rise = min(1.0, (step + 1) / max(1.0, warmup))
        done = min(1.0, max(0.0, (step - warmup) / max(1.0, total - warmup)))
        return rise * (plan.final + (1 - plan.final) * 0.5 * (1 + math.cos(math.pi * done)))
