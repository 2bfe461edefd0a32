"""Metric losses on the embedding, by class: triplets, many thresholds, expressions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor, nn

from mien.losses import (
    active_triplets,
    dual_triplet_loss,
    expression_center_loss,
    expression_metric_loss,
    multi_threshold_loss,
    triplet_loss,
)
from mien.losses.triplet import Mining
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses.loss import FunctionLoss, Loss, LossContext, register
from mien.training.losses.memory import WithMemory

if TYPE_CHECKING:
    from mien.training.recipe.recipe import Recipe


@register("triplet")
class Triplet(WithMemory):
    """:func:`mien.losses.triplet_loss`, or with ``dual`` :func:`mien.losses.dual_triplet_loss`.

    With ``memory``, anchors of the batch have partners in the last so many rows before it too.
    """

    threshold: float = Field(default=0.5, gt=0)
    dual: bool = False
    mining: Mining = "hard"

    def trivial(self, context: LossContext) -> float:
        """All distances zero: the threshold, once for each judgment."""
        return self.threshold * (2 if self.dual else 1)

    def active(self, embeddings: Tensor, labels: Tensor, context: LossContext) -> float:
        """See :func:`mien.losses.active_triplets`."""
        return active_triplets(
            embeddings, labels, thresholds=[self.threshold], dual=self.dual, mining=self.mining
        )

    def among(self, embeddings: Tensor, targets: Tensor, anchors: int | None) -> Tensor:
        """The mean over triplets."""
        function = dual_triplet_loss if self.dual else triplet_loss
        return function(
            embeddings, targets, threshold=self.threshold, mining=self.mining, anchors=anchors
        )


@register("multi-threshold")
class MultiThreshold(Loss):
    """:func:`mien.losses.multi_threshold_loss`, thresholds evenly from ``low`` to ``high``.

    There are as many as the embedding has slices. The paper samples a range; even steps are ours.
    """

    low: float = Field(default=0.1, gt=0)
    high: float = Field(default=1.6, gt=0)
    dual: bool = True
    mining: Mining = "hard"

    @model_validator(mode="after")
    def _in_order(self) -> MultiThreshold:
        if self.low > self.high:
            raise ValueError(f"expected low <= high, got {self.low} and {self.high}")
        return self

    def check(self, recipe: Recipe) -> None:
        """There are slices to train."""
        if recipe.embedding.slices < 2:
            raise ValueError(
                "the loss multi-threshold trains one slice at each threshold, and this embedding "
                "has a single one; set embedding.slices (8 slices of 64 dimensions, say)"
            )

    def thresholds(self, context: LossContext) -> list[float]:
        """One for each slice."""
        steps: list[float] = np.linspace(self.low, self.high, context.slices).tolist()
        return steps

    def build(self, context: LossContext) -> nn.Module:
        """The loss as a module on (outputs, batch)."""
        return FunctionLoss(partial(self._at, thresholds=self.thresholds(context)))

    def trivial(self, context: LossContext) -> float:
        """The mean threshold, once for each judgment."""
        return (self.low + self.high) / 2 * (2 if self.dual else 1)

    def active(self, embeddings: Tensor, labels: Tensor, context: LossContext) -> float:
        """See :func:`mien.losses.active_triplets`."""
        thresholds = self.thresholds(context)
        return active_triplets(
            embeddings, labels, thresholds=thresholds, dual=self.dual, mining=self.mining
        )

    def _at(self, outputs: Outputs, batch: Batch, *, thresholds: list[float]) -> Tensor:
        return multi_threshold_loss(
            outputs.embedding,
            batch.targets["expression"],
            thresholds=thresholds,
            dual=self.dual,
            mining=self.mining,
        )


@register("expression")
class ExpressionMetric(Loss):
    """:func:`mien.losses.expression_metric_loss`, or with ``form: center`` its center variant."""

    form: Literal["pair", "center"] = "pair"
    margin: float = Field(default=1.0, gt=0)
    beta: float = Field(default=1.0, ge=0)

    def trivial(self, context: LossContext) -> float:
        """All distances zero: only the pushing part is left."""
        return self.beta * self.margin

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The loss of the batch's pairs."""
        function = expression_metric_loss if self.form == "pair" else expression_center_loss
        labels = batch.targets["expression"]
        return function(outputs.embedding, labels, margin=self.margin, beta=self.beta)
