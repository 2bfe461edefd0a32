"""Rows of a batch over ranks: dealt out for the network, gathered with gradients for the losses.

A loss over pairs, a center's pull or a concordance is no mean over parts of a batch. So the network
reads only the rows of its rank, and every rank computes every loss of the whole batch, whose rows
stand in the order that they have on one rank: values, ties and random draws are those of one rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from mien.networks.network import Outputs
from mien.training.batches.batch import Batch

Scalar = TypeVar("Scalar", bound=np.generic)


class Ranks(NamedTuple):
    """Which of ``size`` processes this one is, counted from 0."""

    rank: int = 0
    size: int = 1

    def deal(self, rows: NDArray[Scalar]) -> NDArray[Scalar]:
        """The rows of this rank: every ``size``-th, as cards are dealt.

        In P x K batches, whose classes stand together, each rank so sees all of them.

        >>> [Ranks(rank, 3).deal(np.arange(8)).tolist() for rank in range(3)]
        [[0, 3, 6], [1, 4, 7], [2, 5]]
        """
        return rows[self.rank :: self.size]


ONE = Ranks()
"""Of a training on one process."""


def current_ranks() -> Ranks:
    """Those of the process group, if there is one."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ONE
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def whole_batch(outputs: Outputs, batch: Batch) -> tuple[Outputs, Batch]:
    """Outputs and targets of the whole batch on every rank; both as they are on one rank.

    Inputs are not gathered: those of the whole batch are ``(B, 0)``.
    """
    if current_ranks().size == 1:
        return outputs, batch
    # Labels are exact in double precision, so all targets travel at once.
    names = list(batch.targets)
    targets = gather([batch.targets[name].double() for name in names])
    whole = whole_outputs(outputs)
    return whole, Batch(
        whole.embedding.new_empty(len(whole.embedding), 0),
        {
            name: target.to(batch.targets[name].dtype)
            for name, target in zip(names, targets, strict=True)
        },
    )


def whole_outputs(outputs: Outputs) -> Outputs:
    """Outputs of the whole batch on every rank, without the attention of places."""
    names = list(outputs.heads)
    attention = [] if outputs.attention is None else [outputs.attention]
    embedding, *others = gather(
        [outputs.embedding, *(outputs.heads[name] for name in names), *attention]
    )
    return Outputs(
        embedding,
        dict(zip(names, others[: len(names)], strict=True)),
        others[-1] if attention else None,
    )


def gather(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors ``(b, ...)`` of dealt rows as those ``(B, ...)`` of all ranks, in order, everywhere.

    The gradient of the local rows is that of the whole-batch loss times the number of ranks: every
    rank computes the same loss, so nothing has to be sent back, and DDP divides by the number of
    ranks when it averages what each rank passes on through the network. What the loss itself
    learns gets the whole gradient on every rank, which the average leaves as it is.

    Raises as :func:`row_counts` does.
    """
    ranks = current_ranks()
    if ranks.size == 1:
        return list(tensors)
    return list(_Gather.apply(ranks, row_counts(tensors[0], ranks), *tensors))


def row_counts(rows: Tensor, ranks: Ranks) -> list[int]:
    """How many of a batch's rows each rank has.

    Raises ``RuntimeError`` where they were not dealt by :meth:`Ranks.deal`.
    """
    counts = exchange(torch.tensor([len(rows)], device=rows.device), ranks)
    sizes: list[int] = counts[:, 0].tolist()
    dealt = [len(range(rank, sum(sizes), ranks.size)) for rank in range(ranks.size)]
    if sizes != dealt:
        raise RuntimeError(f"expected {dealt} rows on the ranks of a batch, got {sizes}")
    return sizes


def exchange(tensor: Tensor, ranks: Ranks) -> Tensor:
    """The tensors ``(...)`` of all ranks, of one shape, as ``(size, ...)``; without gradients."""
    everyone = tensor.new_empty(ranks.size, *tensor.shape)
    distributed.all_gather(list(everyone.unbind()), tensor)
    return everyone


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ranks: Ranks, sizes: list[int], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.ranks = ranks
        # What no loss reads shall have no gradient, as on one rank, instead of zeros.
        ctx.set_materialize_grads(False)
        # One exchange for all, in the widest precision among them.
        flat = [tensor.reshape(len(tensor), -1) for tensor in tensors]
        widest = torch.float64 if any(part.dtype == torch.float64 for part in flat) else None
        joined = torch.cat([part.to(widest or torch.float32) for part in flat], 1)
        padded = joined.new_zeros(sizes[0], joined.shape[1])
        padded[: len(joined)] = joined
        dealt = exchange(padded, ranks)
        # Row i of the batch is row i // size of rank i % size, so padding comes last.
        rows = dealt.transpose(0, 1).flatten(0, 1)[: sum(sizes)]
        parts = torch.split(rows, [part.shape[1] for part in flat], 1)
        # Copies, because what a function returns must not share memory.
        return tuple(
            part.to(tensor.dtype, copy=True).reshape(len(rows), *tensor.shape[1:])
            for part, tensor in zip(parts, tensors, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        rank, size = ctx.ranks
        local = (None if part is None else part[rank::size] * size for part in upstream)
        return (None, None, *local)
