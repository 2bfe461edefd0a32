"""Concordance of valence and arousal."""

from __future__ import annotations

from torch import Tensor

from mien.losses import concordance_loss
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses.loss import Loss, LossContext, register


@register("concordance")
class Concordance(Loss):
    """:func:`mien.losses.concordance_loss` of valence and arousal, the mean of the two."""

    head = "valence_arousal"
    trains = ("valence_arousal",)
    blends = True

    def trivial(self, context: LossContext) -> float:
        """A constant agrees with nothing: 1."""
        return 1.0

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """One minus the concordance over the rows."""
        return concordance_loss(outputs.heads["valence_arousal"], batch.targets["valence_arousal"])
