"""Losses of clips with a score: heads of severity and ordinal embeddings.

What is a paper's and what is reconstructed stands at the functions in :mod:`mien.losses`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from mien.errors import MienError
from mien.heads import HeadInfo
from mien.heads.severity import SeverityInfo, SeveritySettings
from mien.losses import (
    histogram_loss,
    label_aware_histogram_loss,
    label_distribution,
    label_distribution_loss,
    ordinal_histogram_loss,
)
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses.loss import Loss, LossContext, register
from mien.training.losses.memory import WithMemory

if TYPE_CHECKING:
    from mien.training.recipe.recipe import Recipe


class _OfScores(Loss):
    """Losses that read the scores of clips."""

    head = "severity"


class _OfLevels(_OfScores):
    """Losses of the logits of the scale's levels."""

    trains = ("severity",)

    def check(self, recipe: Recipe) -> None:
        """The head has levels."""
        settings = recipe.heads.get("severity")
        if isinstance(settings, SeveritySettings) and settings.kind != "levels":
            raise ValueError(
                f"the loss {self.loss} needs levels to learn, which heads.severity.kind=score does "
                "not have; set it to levels"
            )


@register("label-distribution")
class LabelDistribution(_OfLevels):
    """:func:`mien.losses.label_distribution_loss` against a bell of ``deviation`` levels.

    ``expectation`` adds that many times the absolute error of the expectation, in points (DLDL-v2's
    joint form with 1; 0, which is ours, leaves the divergence alone).
    """

    deviation: float = Field(default=2.0, gt=0)
    expectation: float = Field(default=0.0, ge=0)

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The divergence, and with ``expectation`` the error."""
        scores, logits = _scores(batch), outputs.heads["severity_levels"]
        target = label_distribution(scores, levels=logits.shape[1], deviation=self.deviation)
        loss = label_distribution_loss(logits, target)
        if self.expectation:
            loss = loss + self.expectation * (_severity(outputs) - scores).abs().mean()
        return loss


class _OfPairs(WithMemory):
    """Losses of pairs of embeddings by the scores of their clips."""

    head = "severity"


@register("score-classification")
class ScoreClassification(_OfLevels):
    """Cross-entropy of the level nearest to the score; levels are classes without an order."""

    def trivial(self, context: LossContext) -> float:
        """That of equal probabilities."""
        return math.log(context.levels)

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The mean over clips."""
        return functional.cross_entropy(
            outputs.heads["severity_levels"], _scores(batch).round().long()
        )


@register("score-regression")
class ScoreRegression(_OfScores):
    """Error of the severity, ``l2``, ``l1`` or ``smooth-l1``, in units of ``unit`` points (ours).

    The unit keeps the loss near 1, where gradients are neither clipped nor drowned.
    """

    trains = ("severity",)

    error: Literal["l2", "l1", "smooth-l1"] = "l2"
    unit: float = Field(default=10.0, gt=0)

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The mean over clips."""
        predictions, targets = _severity(outputs) / self.unit, _scores(batch) / self.unit
        if self.error == "l1":
            return functional.l1_loss(predictions, targets)
        if self.error == "l2":
            return functional.mse_loss(predictions, targets)
        return functional.smooth_l1_loss(predictions, targets)


@register("histogram")
class Histogram(_OfPairs):
    """:func:`mien.losses.histogram_loss`: a pair is like when its scores fall into one group.

    Groups are ``width`` points wide and begin at 0 (ours: pairs of the very same score are rare).
    """

    width: float = Field(default=5.0, gt=0)
    bins: int = Field(default=151, ge=2, le=10_001)

    def among(self, embeddings: Tensor, targets: Tensor, anchors: int | None) -> Tensor:
        """The overlap of the similarities of like and of unlike pairs."""
        groups = (targets.to(torch.float32) / self.width).floor().long()
        return histogram_loss(embeddings, groups, bins=self.bins, anchors=anchors)


@register("label-aware-histogram")
class LabelAwareHistogram(_OfPairs):
    """:func:`mien.losses.label_aware_histogram_loss`, the soft reading; ``bandwidth`` in points."""

    bandwidth: float = Field(default=5.0, gt=0)
    bins: int = Field(default=151, ge=2, le=10_001)

    def among(self, embeddings: Tensor, targets: Tensor, anchors: int | None) -> Tensor:
        """The loss of the pairs."""
        return label_aware_histogram_loss(
            embeddings,
            targets.to(torch.float32),
            bins=self.bins,
            bandwidth=self.bandwidth,
            anchors=anchors,
        )


@register("ordinal-histogram")
class OrdinalHistogram(_OfPairs):
    """:func:`mien.losses.ordinal_histogram_loss`, the reading by groups of gaps; in points.

    The last of ``edges`` must lie beyond the scale's top.
    """

    edges: tuple[float, ...] = (0, 2, 5, 10, 20, 64)
    bins: int = Field(default=151, ge=2, le=10_001)

    @model_validator(mode="after")
    def _ascending(self) -> OrdinalHistogram:
        if len(self.edges) < 3 or self.edges[0] != 0 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"expected edges of two groups or more from 0, got {self.edges}")
        return self

    def check_heads(self, infos: Mapping[str, HeadInfo]) -> None:
        """The groups hold every gap of the scale."""
        info = infos.get("severity")
        if isinstance(info, SeverityInfo) and self.edges[-1] <= info.scale.top:
            raise MienError(
                f"expected edges of {self.loss} that end beyond the scale {info.scale.name} (0 to "
                f"{info.scale.top}), got {self.edges[-1]:g}; set the last one to "
                f"{info.scale.top + 1}"
            )

    def among(self, embeddings: Tensor, targets: Tensor, anchors: int | None) -> Tensor:
        """The loss of the pairs."""
        return ordinal_histogram_loss(
            embeddings,
            targets.to(torch.float32),
            edges=self.edges,
            bins=self.bins,
            anchors=anchors,
        )


def _scores(batch: Batch) -> Tensor:
    return batch.targets["severity"].to(torch.float32)


def _severity(outputs: Outputs) -> Tensor:
    return outputs.heads["severity"].to(torch.float32)
