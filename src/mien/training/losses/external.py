"""Losses of pytorch-metric-learning."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from mien.losses.external import pytorch_metric_learning_loss
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses.loss import Loss, LossContext, register


@register("pml")
class External(Loss):
    """A loss of pytorch-metric-learning on the embedding, named ``pml.SupConLoss`` and the like.

    ``arguments`` go to its constructor; ``miner`` is a miner's class name.
    """

    loss: str = Field(pattern=r"^pml\.[A-Za-z_]\w*$")
    arguments: dict[str, Any] = Field(default_factory=dict)
    miner: str | None = None
    miner_arguments: dict[str, Any] = Field(default_factory=dict)

    def build(self, context: LossContext) -> nn.Module:
        """The loss as a module on (outputs, batch)."""
        return _ExternalLoss(
            pytorch_metric_learning_loss(
                self.loss.removeprefix("pml."),
                self.arguments,
                miner=self.miner.removeprefix("pml.") if self.miner else None,
                miner_arguments=self.miner_arguments,
            )
        )


class _ExternalLoss(nn.Module):
    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        value: Tensor = self.loss(outputs.embedding, batch.targets["expression"])
        return value
