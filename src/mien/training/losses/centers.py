"""Losses with one learned center per class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from mien.losses import Centers, center_loss, triplet_center_loss
from mien.losses.center import Negatives
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses.loss import Loss, LossContext, register

UpdateRule = Literal["gradient", "dacl"]


class _WithCenters(Loss):
    """Losses with one learned center per class.

    ``update_rule`` ``gradient`` lets the optimizer move the centers at ``lr_multiplier`` times the
    network's learning rate (ours); ``dacl`` moves them toward their rows' means after each step,
    by the share ``step``.
    """

    uses_attention = True

    update_rule: UpdateRule = "gradient"
    lr_multiplier: float = Field(default=10.0, gt=0)
    step: float = Field(default=0.5, gt=0, le=1)

    def build(self, context: LossContext) -> nn.Module:
        """The loss as a module on (outputs, batch)."""
        return CenterLossModule(self.around, context, update_rule=self.update_rule, step=self.step)

    def around(self, outputs: Outputs, batch: Batch, centers: Tensor) -> Tensor:
        """The loss around centers ``(C, D)``."""
        raise NotImplementedError


@register("center")
class Center(_WithCenters):
    """:func:`mien.losses.center_loss`, weighted by element-wise attention where there is one."""

    def around(self, outputs: Outputs, batch: Batch, centers: Tensor) -> Tensor:
        """Half the mean squared distance to the row's own center."""
        labels = batch.targets["expression"]
        return center_loss(outputs.embedding, labels, centers, attention=outputs.attention)


@register("triplet-center")
class TripletCenter(_WithCenters):
    """:func:`mien.losses.triplet_center_loss`; element-wise attention reaches it.

    ``ratio`` is the share of dimensions that ``semi-synthesized`` negatives synthesize.
    """

    negatives: Negatives = "nearest"
    margin: float = Field(default=1.0, gt=0)
    ratio: float = Field(default=0.5, ge=0, le=1)

    def trivial(self, context: LossContext) -> float:
        """Rows as far from their own center as from the negative: the margin."""
        return self.margin

    def around(self, outputs: Outputs, batch: Batch, centers: Tensor) -> Tensor:
        """The mean over rows."""
        return triplet_center_loss(
            outputs.embedding,
            batch.targets["expression"],
            centers,
            margin=self.margin,
            negatives=self.negatives,
            logits=outputs.heads.get("expression"),
            attention=outputs.attention,
            ratio=self.ratio,
        )


class CenterLossModule(nn.Module):
    """A loss with learned centers; :meth:`after_step` is DACL's own rule for moving them."""

    def __init__(
        self,
        function: Callable[[Outputs, Batch, Tensor], Tensor],
        context: LossContext,
        *,
        update_rule: UpdateRule,
        step: float,
    ) -> None:
        super().__init__()
        self.function = function
        self.centers = Centers(context.classes, context.width, lr=step, update_rule=update_rule)
        self._last: tuple[Tensor, Tensor, Tensor | None] | None = None

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The loss; the batch is kept for :meth:`after_step` where that will need it."""
        if self.centers.update_rule == "dacl":
            attention = None if outputs.attention is None else outputs.attention.detach()
            labels = batch.targets["expression"]
            self._last = (outputs.embedding.detach(), labels, attention)
        return self.function(outputs, batch, self.centers.weight)

    def after_step(self) -> None:
        """Move the centers toward the rows of the last batch; nothing under ``gradient``."""
        if self._last is not None:
            self.centers.update(*self._last)
            self._last = None
