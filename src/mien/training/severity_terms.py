"""Loss terms of clips with a score: severity heads and ordinal embeddings.

Each needs a score in its rows. What is a paper's and what is reconstructed stands at the functions
in :mod:`mien.losses`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from mien.losses import (
    histogram_loss,
    label_aware_histogram_loss,
    label_distribution,
    label_distribution_loss,
    ordinal_histogram_loss,
)
from mien.networks.network import Outputs
from mien.training.batch import Batch, Need
from mien.training.term import Function, LossTerm, Shape


class _OfScores(LossTerm):
    """Terms that read the scores of clips."""

    @property
    def needs(self) -> Need:
        """A score."""
        return "severity"

    def build(self, shape: Shape) -> nn.Module:
        """The term as a module on (outputs, batch)."""
        return Function(self._loss)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        raise NotImplementedError


class LabelDistribution(_OfScores):
    """:func:`mien.losses.label_distribution_loss` against a bell of ``deviation`` levels.

    ``expectation`` adds that many times the absolute error of the expectation, in points (DLDL-v2's
    joint form with 1; 0, which is ours, leaves the divergence alone).
    """

    term: Literal["label-distribution"]
    deviation: float = Field(default=2.0, gt=0)
    expectation: float = Field(default=0.0, ge=0)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        scores = _known(batch.scores)
        levels = outputs.logits.shape[1]
        target = label_distribution(scores, levels=levels, deviation=self.deviation)
        loss = label_distribution_loss(outputs.logits, target)
        if self.expectation:
            loss = loss + self.expectation * (_known(outputs.severity) - scores).abs().mean()
        return loss


class ScoreClassification(_OfScores):
    """Cross-entropy of the level nearest to the score; levels are classes without an order."""

    term: Literal["score-classification"]

    def trivial(self, shape: Shape) -> float:
        """That of equal probabilities."""
        return math.log(shape.classes)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        return functional.cross_entropy(outputs.logits, _known(batch.scores).round().long())


class ScoreRegression(_OfScores):
    """Error of the severity, ``l2``, ``l1`` or ``smooth-l1``, in units of ``unit`` points (ours).

    The unit keeps the term near 1, where gradients are neither clipped nor drowned.
    """

    term: Literal["score-regression"]
    error: Literal["l2", "l1", "smooth-l1"] = "l2"
    unit: float = Field(default=10.0, gt=0)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        said, truth = _known(outputs.severity) / self.unit, _known(batch.scores) / self.unit
        if self.error == "l1":
            return functional.l1_loss(said, truth)
        if self.error == "l2":
            return functional.mse_loss(said, truth)
        return functional.smooth_l1_loss(said, truth)


class Histogram(_OfScores):
    """:func:`mien.losses.histogram_loss`: a pair is like when its scores fall into one group.

    Groups are ``width`` points wide and begin at 0 (ours: pairs of the very same score are rare).
    """

    term: Literal["histogram"]
    width: float = Field(default=5.0, gt=0)
    bins: int = Field(default=151, ge=2)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        groups = (_known(batch.scores) / self.width).floor().long()
        return histogram_loss(outputs.embedding, groups, bins=self.bins)


class LabelAwareHistogram(_OfScores):
    """:func:`mien.losses.label_aware_histogram_loss`, the soft reading; ``bandwidth`` in points."""

    term: Literal["label-aware-histogram"]
    bandwidth: float = Field(default=5.0, gt=0)
    bins: int = Field(default=151, ge=2)

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        return label_aware_histogram_loss(
            outputs.embedding, _known(batch.scores), bins=self.bins, bandwidth=self.bandwidth
        )


class OrdinalHistogram(_OfScores):
    """:func:`mien.losses.ordinal_histogram_loss`, the reading by groups of gaps; in points.

    The last of ``edges`` must lie beyond the scale's top.
    """

    term: Literal["ordinal-histogram"]
    edges: tuple[float, ...] = (0, 2, 5, 10, 20, 64)
    bins: int = Field(default=151, ge=2)

    @model_validator(mode="after")
    def _ascending(self) -> OrdinalHistogram:
        if len(self.edges) < 3 or self.edges[0] != 0 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"expected edges of two groups or more from 0, got {self.edges}")
        return self

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        return ordinal_histogram_loss(
            outputs.embedding, _known(batch.scores), edges=self.edges, bins=self.bins
        )


SEVERITY_TERMS: dict[str, type[LossTerm]] = {
    "label-distribution": LabelDistribution,
    "score-classification": ScoreClassification,
    "score-regression": ScoreRegression,
    "histogram": Histogram,
    "label-aware-histogram": LabelAwareHistogram,
    "ordinal-histogram": OrdinalHistogram,
}


def _known(values: Tensor | None) -> Tensor:
    """Scores or severities that a term cannot do without, in single precision."""
    if values is None:
        raise ValueError("expected a network and a batch with severity, got none")
    return values.to(torch.float32)
