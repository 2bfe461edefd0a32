"""Loss terms of a recipe: settings on one side, the function of a batch on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from torch import Tensor, nn
from torch.nn import functional

from mien.losses import Centers, center_loss, triplet_loss
from mien.losses.external import pytorch_metric_learning_loss
from mien.networks.network import Outputs


class Batch(NamedTuple):
    """One training batch: images ``(B, 3, S, S)``, labels ``(B,)``, target distribution ``(B, C)``.

    After mixup, images and distribution are blends; ``labels`` stay those of the larger part.
    """

    images: Tensor
    labels: Tensor
    distribution: Tensor


LossFunction = Callable[[Outputs, Batch], Tensor]


class _Term(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(default=1.0, gt=0)


class CrossEntropy(_Term):
    """Cross-entropy against the target distribution (one-hot unless the target rule keeps votes).

    ``smoothing`` moves that share of each target to the uniform distribution.
    """

    term: Literal["cross-entropy"]
    smoothing: float = Field(default=0.0, ge=0, lt=1)

    def build(self, classes: int, embedding_size: int) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return _Function(self._loss)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        return functional.cross_entropy(
            outputs.logits, batch.distribution, label_smoothing=self.smoothing
        )


class Triplet(_Term):
    """:func:`mien.losses.triplet_loss` on the embedding."""

    term: Literal["triplet"]
    threshold: float = Field(default=0.5, gt=0)
    mining: Literal["hard", "all"] = "hard"

    def build(self, classes: int, embedding_size: int) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return _Function(self._loss)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        return triplet_loss(
            outputs.embedding, batch.labels, threshold=self.threshold, mining=self.mining
        )


class Center(_Term):
    """:func:`mien.losses.center_loss`; the centres learn at ``rate`` times the network's rate."""

    term: Literal["center"]
    rate: float = Field(default=10.0, gt=0)

    def build(self, classes: int, embedding_size: int) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return _CenterTerm(classes, embedding_size)


class External(_Term):
    """A loss of pytorch-metric-learning on the embedding, named ``pml.SupConLoss`` and the like.

    ``arguments`` go to its constructor; ``miner`` is a miner's class name.
    """

    term: str = Field(pattern=r"^pml\.\w+$")
    arguments: dict[str, Any] = Field(default_factory=dict)
    miner: str | None = None
    miner_arguments: dict[str, Any] = Field(default_factory=dict)

    def build(self, classes: int, embedding_size: int) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return _ExternalTerm(
            pytorch_metric_learning_loss(
                self.term.removeprefix("pml."),
                self.arguments,
                miner=self.miner.removeprefix("pml.") if self.miner else None,
                miner_arguments=self.miner_arguments,
            )
        )


TERMS: dict[str, type[_Term]] = {
    "cross-entropy": CrossEntropy,
    "triplet": Triplet,
    "center": Center,
    "pml": External,
}


def _kind(term: Any) -> str:
    name = term.get("term") if isinstance(term, dict) else getattr(term, "term", None)
    return str(name).partition(".")[0]


Term = Annotated[
    Annotated[CrossEntropy, Tag("cross-entropy")]
    | Annotated[Triplet, Tag("triplet")]
    | Annotated[Center, Tag("center")]
    | Annotated[External, Tag("pml")],
    Discriminator(
        _kind,
        custom_error_type="unknown_term",
        custom_error_message=(
            "expected a term cross-entropy, triplet, center or pml.SomeLoss "
            "(a loss of pytorch-metric-learning)"
        ),
    ),
]


class _Function(nn.Module):
    def __init__(self, function: LossFunction) -> None:
        super().__init__()
        self.function = function

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return self.function(outputs, batch)


class _CenterTerm(nn.Module):
    def __init__(self, classes: int, embedding_size: int) -> None:
        super().__init__()
        self.centers = Centers(classes, embedding_size)

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return center_loss(outputs.embedding, batch.labels, self.centers.weight)


class _ExternalTerm(nn.Module):
    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        result: Tensor = self.loss(outputs.embedding, batch.labels)
        return result


def mix(batch: Batch, *, alpha: float, seed: int, step: int) -> Batch:
    """Mixup (Zhang et al., ICLR 2018): each image blended with another one, targets alike.

    The share of the first image is Beta(alpha, alpha) folded to at least a half, so ``labels``
    still name the larger part.
    """
    generator = np.random.default_rng((seed, step))
    order = torch.from_numpy(generator.permutation(len(batch.labels)))
    share = generator.beta(alpha, alpha)
    share = max(share, 1 - share)
    return Batch(
        torch.lerp(batch.images[order], batch.images, share),
        batch.labels,
        torch.lerp(batch.distribution[order], batch.distribution, share),
    )
