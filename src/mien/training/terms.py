"""Loss terms of a recipe: settings on one side, the function of a batch on the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Discriminator, Field, Tag, model_validator
from torch import Tensor, nn
from torch.nn import functional

from mien.losses import (
    Centers,
    active_triplets,
    center_loss,
    concordance_loss,
    dual_triplet_loss,
    expression_center_loss,
    expression_metric_loss,
    multi_threshold_loss,
    triplet_center_loss,
    triplet_loss,
)
from mien.losses.center import Negatives
from mien.losses.external import pytorch_metric_learning_loss
from mien.losses.triplet import Mining
from mien.networks.network import Outputs
from mien.training.batch import Batch, Need
from mien.training.severity_terms import (
    SEVERITY_TERMS,
    Histogram,
    LabelAwareHistogram,
    LabelDistribution,
    OrdinalHistogram,
    ScoreClassification,
    ScoreRegression,
)
from mien.training.term import Function, LossTerm, Shape


class CrossEntropy(LossTerm):
    """Cross-entropy against the target distribution (one-hot unless the target rule keeps votes).

    ``smoothing`` moves that share of each target to the uniform distribution. ``balanced`` weighs
    each class by the rarest one's training rows over its own, and the mean over rows alike.
    """

    term: Literal["cross-entropy"]
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    balanced: bool = False

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        if not self.balanced:
            return Function(self._loss)
        return Function(partial(self._balanced_loss, weights=class_weights(shape.counts)))

    def trivial(self, shape: Shape) -> float:
        """That of equal probabilities."""
        return math.log(shape.classes)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        return functional.cross_entropy(
            outputs.logits, batch.distribution, label_smoothing=self.smoothing
        )

    def _balanced_loss(self, outputs: Outputs, batch: Batch, weights: Tensor) -> Tensor:
        target = torch.lerp(
            batch.distribution,
            torch.full_like(batch.distribution, 1 / batch.distribution.shape[1]),
            self.smoothing,
        )
        weighted = target * weights.to(target.device)
        return -(weighted * outputs.logits.log_softmax(1)).sum() / weighted.sum()


def class_weights(counts: Sequence[int]) -> Tensor:
    """The smallest count over each class's own, ``(C,)``; 1 for a class without rows.

    >>> class_weights([30, 10, 0])
    tensor([0.3333, 1.0000, 1.0000])
    """
    rows = torch.tensor(counts, dtype=torch.float32)
    return torch.where(rows > 0, rows[rows > 0].min() / rows.clamp(min=1), 1.0)


class Concordance(LossTerm):
    """:func:`mien.losses.concordance_loss` of valence and arousal, the mean of the two."""

    term: Literal["concordance"]

    @property
    def needs(self) -> Need:
        """Both values."""
        return "valence_arousal"

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return Function(self._loss)

    def trivial(self, shape: Shape) -> float:
        """A constant agrees with nothing: 1."""
        return 1.0

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        if outputs.valence_arousal is None:
            raise ValueError("expected a head that gives valence and arousal, got none")
        return concordance_loss(outputs.valence_arousal, batch.valence_arousal)


class Triplet(LossTerm):
    """:func:`mien.losses.triplet_loss`, or with ``dual`` :func:`mien.losses.dual_triplet_loss`."""

    term: Literal["triplet"]
    threshold: float = Field(default=0.5, gt=0)
    dual: bool = False
    mining: Mining = "hard"

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return Function(self._loss)

    def trivial(self, shape: Shape) -> float:
        """All distances zero: the threshold, once for each judgment."""
        return self.threshold * (2 if self.dual else 1)

    def active(self, embeddings: Tensor, labels: Tensor, shape: Shape) -> float:
        """See :func:`mien.losses.active_triplets`."""
        return active_triplets(
            embeddings, labels, thresholds=[self.threshold], dual=self.dual, mining=self.mining
        )

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        function = dual_triplet_loss if self.dual else triplet_loss
        return function(
            outputs.embedding, batch.labels, threshold=self.threshold, mining=self.mining
        )


class MultiThreshold(LossTerm):
    """:func:`mien.losses.multi_threshold_loss`, thresholds evenly from ``low`` to ``high``.

    There are as many as the embedding has slices. The paper samples a range; even steps are ours.
    """

    term: Literal["multi-threshold"]
    low: float = Field(default=0.1, gt=0)
    high: float = Field(default=1.6, gt=0)
    dual: bool = True
    mining: Mining = "hard"

    @model_validator(mode="after")
    def _in_order(self) -> MultiThreshold:
        if self.low > self.high:
            raise ValueError(f"expected low <= high, got {self.low} and {self.high}")
        return self

    def thresholds(self, shape: Shape) -> list[float]:
        """One for each slice."""
        steps: list[float] = np.linspace(self.low, self.high, shape.slices).tolist()
        return steps

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        thresholds = self.thresholds(shape)

        def loss(outputs: Outputs, batch: Batch) -> Tensor:
            return multi_threshold_loss(
                outputs.embedding,
                batch.labels,
                thresholds=thresholds,
                dual=self.dual,
                mining=self.mining,
            )

        return Function(loss)

    def trivial(self, shape: Shape) -> float:
        """The mean threshold, once for each judgment."""
        return (self.low + self.high) / 2 * (2 if self.dual else 1)

    def active(self, embeddings: Tensor, labels: Tensor, shape: Shape) -> float:
        """See :func:`mien.losses.active_triplets`."""
        thresholds = self.thresholds(shape)
        return active_triplets(
            embeddings, labels, thresholds=thresholds, dual=self.dual, mining=self.mining
        )


class Expression(LossTerm):
    """:func:`mien.losses.expression_metric_loss`, or with ``form: center`` its center variant."""

    term: Literal["expression"]
    form: Literal["pair", "center"] = "pair"
    margin: float = Field(default=1.0, gt=0)
    beta: float = Field(default=1.0, ge=0)

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return Function(self._loss)

    def trivial(self, shape: Shape) -> float:
        """All distances zero: only the pushing part is left."""
        return self.beta * self.margin

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        function = expression_metric_loss if self.form == "pair" else expression_center_loss
        return function(outputs.embedding, batch.labels, margin=self.margin, beta=self.beta)


class _WithCenters(LossTerm):
    """Terms with a learned center a class.

    ``rule`` ``gradient`` lets the optimizer move the centers at ``rate`` times the network's rate
    (ours); ``dacl`` moves them toward their rows' means after each step, by the share ``rate``.
    """

    rate: float = Field(default=10.0, gt=0)
    rule: Literal["gradient", "dacl"] = "gradient"

    @property
    def uses_attention(self) -> bool:
        return True


class Center(_WithCenters):
    """:func:`mien.losses.center_loss`, weighted by element-wise attention where there is one."""

    term: Literal["center"]

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return CenterTerm(self._loss, shape, rule=self.rule, rate=self.rate)

    def _loss(self, outputs: Outputs, batch: Batch, centers: Tensor) -> Tensor:
        return center_loss(outputs.embedding, batch.labels, centers, attention=outputs.attention)


class TripletCenter(_WithCenters):
    """:func:`mien.losses.triplet_center_loss`; element-wise attention reaches it.

    ``ratio`` is the share of dimensions that ``semi-synthesized`` negatives synthesize.
    """

    term: Literal["triplet-center"]
    negatives: Negatives = "nearest"
    margin: float = Field(default=1.0, gt=0)
    ratio: float = Field(default=0.5, ge=0, le=1)

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return CenterTerm(self._loss, shape, rule=self.rule, rate=self.rate)

    def trivial(self, shape: Shape) -> float:
        """Rows as far from their own center as from the negative: the margin."""
        return self.margin

    def _loss(self, outputs: Outputs, batch: Batch, centers: Tensor) -> Tensor:
        return triplet_center_loss(
            outputs.embedding,
            batch.labels,
            centers,
            margin=self.margin,
            negatives=self.negatives,
            logits=outputs.logits,
            attention=outputs.attention,
            ratio=self.ratio,
        )


class External(LossTerm):
    """A loss of pytorch-metric-learning on the embedding, named ``pml.SupConLoss`` and the like.

    ``arguments`` go to its constructor; ``miner`` is a miner's class name.
    """

    term: str = Field(pattern=r"^pml\.\w+$")
    arguments: dict[str, Any] = Field(default_factory=dict)
    miner: str | None = None
    miner_arguments: dict[str, Any] = Field(default_factory=dict)

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return _ExternalTerm(
            pytorch_metric_learning_loss(
                self.term.removeprefix("pml."),
                self.arguments,
                miner=self.miner.removeprefix("pml.") if self.miner else None,
                miner_arguments=self.miner_arguments,
            )
        )


TERMS: dict[str, type[LossTerm]] = {
    "cross-entropy": CrossEntropy,
    "concordance": Concordance,
    "triplet": Triplet,
    "multi-threshold": MultiThreshold,
    "expression": Expression,
    "center": Center,
    "triplet-center": TripletCenter,
    **SEVERITY_TERMS,
    "pml": External,
}


def _kind(term: Any) -> str:
    name = term.get("term") if isinstance(term, dict) else getattr(term, "term", None)
    return str(name).partition(".")[0]


Term = Annotated[
    Annotated[CrossEntropy, Tag("cross-entropy")]
    | Annotated[Concordance, Tag("concordance")]
    | Annotated[Triplet, Tag("triplet")]
    | Annotated[MultiThreshold, Tag("multi-threshold")]
    | Annotated[Expression, Tag("expression")]
    | Annotated[Center, Tag("center")]
    | Annotated[TripletCenter, Tag("triplet-center")]
    | Annotated[LabelDistribution, Tag("label-distribution")]
    | Annotated[ScoreClassification, Tag("score-classification")]
    | Annotated[ScoreRegression, Tag("score-regression")]
    | Annotated[Histogram, Tag("histogram")]
    | Annotated[LabelAwareHistogram, Tag("label-aware-histogram")]
    | Annotated[OrdinalHistogram, Tag("ordinal-histogram")]
    | Annotated[External, Tag("pml")],
    Discriminator(
        _kind,
        custom_error_type="unknown_term",
        custom_error_message=(
            f"expected a term {', '.join(name for name in TERMS if name != 'pml')} or "
            "pml.SomeLoss (a loss of pytorch-metric-learning)"
        ),
    ),
]


class CenterTerm(nn.Module):
    """A loss with learned centers; :meth:`after_step` is DACL's own rule for moving them."""

    def __init__(
        self,
        function: Callable[[Outputs, Batch, Tensor], Tensor],
        shape: Shape,
        *,
        rule: Literal["gradient", "dacl"],
        rate: float,
    ) -> None:
        super().__init__()
        self.function = function
        self.centers = Centers(shape.classes, shape.width, learning_rate=rate, rule=rule)
        self._seen: tuple[Tensor, Tensor, Tensor | None] | None = None

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The loss; a batch is kept for :meth:`after_step` where that will need it."""
        if self.centers.rule == "dacl":
            attention = None if outputs.attention is None else outputs.attention.detach()
            self._seen = (outputs.embedding.detach(), batch.labels, attention)
        return self.function(outputs, batch, self.centers.weight)

    def after_step(self) -> None:
        """Move the centers toward the rows of the last batch; nothing under ``gradient``."""
        if self._seen is not None:
            self.centers.update(*self._seen)
            self._seen = None


class _ExternalTerm(nn.Module):
    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        result: Tensor = self.loss(outputs.embedding, batch.labels)
        return result
