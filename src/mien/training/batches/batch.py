"""One training batch, its blend with itself, and the part of it that a loss can use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mien.networks.network import Outputs


class Batch(NamedTuple):
    """One training batch: inputs, and targets ``(B, ...)`` by name.

    ``inputs`` are images ``(B, 3, S, S)`` or clips ``(B, T, 3, S, S)``; with a frozen backbone its
    maps ``(B, C, H, W)`` or the rows of its frames ``(B, T, C)``. ``targets`` are those of
    :class:`mien.data.targets.Targets`: a row without an expression has class -1 and a distribution
    of zeros, and an unknown number is NaN. After mixup, inputs, ``expression_distribution`` and
    numbers are blends; ``expression`` stays that of the larger part.
    """

    inputs: Tensor
    targets: dict[str, Tensor]

    def labeled(self, head: str) -> Tensor:
        """Which rows have a target of a head, ``(B,)`` bool."""
        target = self.targets.get(head)
        if target is None:
            return torch.zeros(len(self.inputs), dtype=torch.bool, device=self.inputs.device)
        if not target.is_floating_point():
            return target >= 0
        known = ~target.isnan()
        return known if known.ndim == 1 else known.any(1)


def labeled_part(head: str, outputs: Outputs, batch: Batch) -> tuple[Outputs, Batch]:
    """Outputs and batch of the rows with a target of ``head``; both as they are if all have one."""
    rows = batch.labeled(head)
    if bool(rows.all()):
        return outputs, batch
    return (
        Outputs(
            outputs.embedding[rows],
            {name: output[rows] for name, output in outputs.heads.items()},
            None if outputs.attention is None else outputs.attention[rows],
            None if outputs.attention_map is None else outputs.attention_map[rows],
        ),
        Batch(batch.inputs[rows], {name: target[rows] for name, target in batch.targets.items()}),
    )


def mix(batch: Batch, *, alpha: float, seed: int, step: int) -> Batch:
    """Mixup (Zhang et al., ICLR 2018): each input blended with another one, targets alike.

    The share of the first input is Beta(alpha, alpha) folded to at least a half, so ``expression``
    still names the larger part. A target that the other input lacks stays that of the first (ours).
    """
    generator = np.random.default_rng((seed, step))
    order = torch.from_numpy(generator.permutation(len(batch.inputs)))
    share = generator.beta(alpha, alpha)
    share = max(share, 1 - share)

    def blended(name: str, target: Tensor) -> Tensor:
        if not target.is_floating_point():
            return target
        other = target[order]
        mixed = torch.lerp(other, target, share)
        if name == "expression_distribution":
            return torch.where(other.sum(1, keepdim=True) > 0, mixed, target)
        return torch.where(other.isnan(), target, mixed)

    return Batch(
        torch.lerp(batch.inputs[order], batch.inputs, share),
        {name: blended(name, target) for name, target in batch.targets.items()},
    )
