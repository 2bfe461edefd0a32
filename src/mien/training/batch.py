"""One training batch, its blend with itself, and the part of it that a term can use."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mien.networks.network import Outputs

Need = Literal["expression", "valence_arousal", "severity"]
"""What a row must have before a loss term can use it."""


class Batch(NamedTuple):
    """One training batch: inputs, labels ``(B,)``, target distribution ``(B, C)``, ``(B, 2)``.

    ``inputs`` are images ``(B, 3, S, S)``, or with a frozen backbone its maps ``(B, K, H, W)``;
    of clips they are ``(B, T, 3, S, S)`` or its rows ``(B, T, K)``, and ``scores`` ``(B,)`` are
    what they teach. A row without an expression has label -1 and a distribution of zeros, one
    without valence and arousal has NaN. After mixup, images and distribution are blends;
    ``labels`` stay those of the larger part.
    """

    inputs: Tensor
    labels: Tensor
    distribution: Tensor
    valence_arousal: Tensor
    scores: Tensor | None = None

    def has(self, need: Need) -> Tensor:
        """Which rows have it, ``(B,)`` bool."""
        if need == "expression":
            return self.labels >= 0
        if need == "valence_arousal":
            return ~self.valence_arousal.isnan().any(1)
        if self.scores is None:
            return torch.zeros_like(self.labels, dtype=torch.bool)
        return ~self.scores.isnan()


def rows_with(need: Need, outputs: Outputs, batch: Batch) -> tuple[Outputs, Batch]:
    """Outputs and batch of the rows that have what a term needs; both as they are if all have."""
    there = batch.has(need)
    if bool(there.all()):
        return outputs, batch
    return (
        Outputs._make(None if part is None else part[there] for part in outputs),
        Batch._make(None if part is None else part[there] for part in batch),
    )


def mix(batch: Batch, *, alpha: float, seed: int, step: int) -> Batch:
    """Mixup (Zhang et al., ICLR 2018): each image blended with another one, targets alike.

    The share of the first image is Beta(alpha, alpha) folded to at least a half, so ``labels``
    still name the larger part.
    """
    generator = np.random.default_rng((seed, step))
    order = torch.from_numpy(generator.permutation(len(batch.labels)))
    share = generator.beta(alpha, alpha)
    share = max(share, 1 - share)
    return batch._replace(
        inputs=torch.lerp(batch.inputs[order], batch.inputs, share),
        distribution=torch.lerp(batch.distribution[order], batch.distribution, share),
    )
