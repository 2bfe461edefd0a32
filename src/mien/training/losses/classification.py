"""Cross-entropy of expressions and of action units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mien.labels import ACTION_UNIT_PRESENT
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses.loss import FunctionLoss, Loss, LossContext, register


@register("cross-entropy")
class CrossEntropy(Loss):
    """Cross-entropy against the target distribution (one-hot unless the rule keeps votes).

    ``smoothing`` moves that share of each target to the uniform distribution. ``balanced`` weighs
    each class by the rarest one's training rows over its own, and the mean over rows alike.
    """

    trains = ("expression",)
    blends = True

    smoothing: float = Field(default=0.0, ge=0, lt=1)
    balanced: bool = False

    def build(self, context: LossContext) -> nn.Module:
        """The loss as a module on (outputs, batch)."""
        if not self.balanced:
            return FunctionLoss(self.value)
        return FunctionLoss(partial(self._balanced, weights=class_weights(context.counts)))

    def trivial(self, context: LossContext) -> float:
        """That of equal probabilities."""
        return math.log(context.classes)

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The mean over rows."""
        return functional.cross_entropy(
            outputs.heads["expression"],
            batch.targets["expression_distribution"],
            label_smoothing=self.smoothing,
        )

    def _balanced(self, outputs: Outputs, batch: Batch, weights: Tensor) -> Tensor:
        distribution = batch.targets["expression_distribution"]
        target = torch.lerp(
            distribution, torch.full_like(distribution, 1 / distribution.shape[1]), self.smoothing
        )
        weighted = target * weights.to(target.device)
        return -(weighted * outputs.heads["expression"].log_softmax(1)).sum() / weighted.sum()


@register("binary-cross-entropy")
class BinaryCrossEntropy(Loss):
    """Cross-entropy of each action unit's presence, over the annotated cells of the batch.

    A unit is present from :data:`mien.labels.ACTION_UNIT_PRESENT` on. ``positive_weight`` weighs
    the cells in which it is (ours; units are rare). With ``intensities`` the target is the unit's
    intensity itself, so that the prediction is the expected intensity rather than a probability.
    """

    head = "action_units"
    trains = ("action_units",)
    blends = True

    positive_weight: float = Field(default=1.0, gt=0)
    intensities: bool = False

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The mean over annotated cells."""
        targets = batch.targets["action_units"]
        annotated = ~targets.isnan()
        known = targets[annotated].to(torch.float32)
        present = known if self.intensities else (known >= ACTION_UNIT_PRESENT).to(torch.float32)
        return functional.binary_cross_entropy_with_logits(
            outputs.heads["action_units"][annotated].to(torch.float32),
            present,
            pos_weight=torch.tensor(self.positive_weight, device=targets.device),
        )


def class_weights(counts: Sequence[int]) -> Tensor:
    """The smallest count over each class's own, ``(C,)``; 1 for a class without rows.

    >>> class_weights([30, 10, 0])
    tensor([0.3333, 1.0000, 1.0000])
    """
    rows = torch.tensor(counts, dtype=torch.float32)
    return torch.where(rows > 0, rows[rows > 0].min() / rows.clamp(min=1), 1.0)
