"""Cross-batch memory: a loss that compares a batch with the embeddings of earlier ones.

Wang et al., CVPR 2020 ("Cross-Batch Memory for Embedding Learning"). The rows of the batch are the
anchors; those of the memory have no gradient. The memory takes whole batches, so it is the same on
every rank, and it lies in the checkpoint, so that a training continues with it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import Field
from torch import Tensor, nn

from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses.loss import FunctionLoss, Loss, LossContext


class WithMemory(Loss):
    """Losses on the embedding that may remember the last ``memory`` rows (0: none)."""

    memory: int = Field(default=0, ge=0, le=1_000_000)

    def build(self, context: LossContext) -> nn.Module:
        """The loss as a module on (outputs, batch)."""
        return self.remembering(FunctionLoss(self.value), context, self.among)

    def remembering(
        self,
        loss: nn.Module,
        context: LossContext,
        among: Callable[[Tensor, Tensor, int | None], Tensor],
    ) -> nn.Module:
        """``loss``, or with a memory ``among`` all rows, which are those of ``loss`` then."""
        if not self.memory:
            return loss
        return Remembering(loss, among, self.head, self.memory, context.width)

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The loss of the batch alone."""
        return self.among(outputs.embedding, batch.targets[self.head], None)

    def among(self, embeddings: Tensor, targets: Tensor, anchors: int | None) -> Tensor:
        """The loss of embeddings and their targets, of which the first are the anchors."""
        raise NotImplementedError


class Remembering(nn.Module):
    """A loss among the rows of a batch and the last ``size`` rows before it."""

    rows: Tensor
    targets: Tensor
    seen: Tensor

    def __init__(
        self,
        loss: nn.Module,
        among: Callable[[Tensor, Tensor, int | None], Tensor],
        head: str,
        size: int,
        width: int,
    ) -> None:
        super().__init__()
        self.loss, self.among, self.head = loss, among, head
        self.register_buffer("rows", torch.zeros(size, width))
        # Classes are exact in double precision, as scores are.
        self.register_buffer("targets", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The loss; after it the batch is remembered."""
        embeddings, targets = outputs.embedding, batch.targets[self.head]
        filled = min(int(self.seen), len(self.rows))
        value = self.among(
            torch.cat([embeddings, self.rows[:filled].to(embeddings.dtype)]),
            torch.cat([targets, self.targets[:filled].to(targets.dtype)]),
            len(embeddings) if filled else None,
        )
        self._remember(embeddings.detach(), targets)
        return value

    @torch.no_grad()
    def _remember(self, embeddings: Tensor, targets: Tensor) -> None:
        size, count = len(self.rows), len(targets)
        places = (self.seen + torch.arange(count, device=self.seen.device)) % size
        last = slice(max(0, count - size), None)
        self.rows[places[last]] = embeddings[last].to(self.rows.dtype)
        self.targets[places[last]] = targets[last].to(self.targets.dtype)
        self.seen += count
