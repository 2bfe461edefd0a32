"""Losses of pytorch-metric-learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from torch import Tensor, nn

from mien.losses.external import pytorch_metric_learning_loss, takes_memory
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses.loss import LossContext, register
from mien.training.losses.memory import WithMemory

if TYPE_CHECKING:
    from mien.training.recipe.recipe import Recipe


@register("pml")
class External(WithMemory):
    """A loss of pytorch-metric-learning on the embedding, named ``pml.SupConLoss`` and the like.

    ``arguments`` go to its constructor; ``miner`` is a miner's class name. ``memory`` is for the
    losses that the library's own memory serves.
    """

    loss: str = Field(pattern=r"^pml\.[A-Za-z_]\w*$")
    arguments: dict[str, Any] = Field(default_factory=dict)
    miner: str | None = None
    miner_arguments: dict[str, Any] = Field(default_factory=dict)

    def check(self, recipe: Recipe) -> None:
        """The loss can have a memory, where it has one."""
        name = self.loss.removeprefix("pml.")
        if self.memory and not takes_memory(name):
            raise ValueError(
                f"the loss {self.loss} compares no rows with those of earlier batches; set its "
                "memory to 0, or take pml.SupConLoss or another loss of pairs"
            )

    def build(self, context: LossContext) -> nn.Module:
        """The loss as a module on (outputs, batch)."""
        loss = _ExternalLoss(
            pytorch_metric_learning_loss(
                self.loss.removeprefix("pml."),
                self.arguments,
                miner=self.miner.removeprefix("pml.") if self.miner else None,
                miner_arguments=self.miner_arguments,
            )
        )
        return self.remembering(loss, context, loss.loss)


class _ExternalLoss(nn.Module):
    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        value: Tensor = self.loss(outputs.embedding, batch.targets["expression"])
        return value
