"""Losses as pure functions of embeddings and labels; a scalar each, always differentiable."""

from mien.losses.center import Centers, center_loss, negative_centers, triplet_center_loss
from mien.losses.concordance import concordance_loss
from mien.losses.distribution import label_distribution, label_distribution_loss
from mien.losses.expression import expression_center_loss, expression_metric_loss
from mien.losses.external import pytorch_metric_learning_loss
from mien.losses.histogram import (
    histogram_loss,
    label_aware_histogram_loss,
    ordinal_histogram_loss,
)
from mien.losses.triplet import (
    active_triplets,
    dual_triplet_loss,
    multi_threshold_loss,
    triplet_loss,
)

__all__ = [
    "Centers",
    "active_triplets",
    "center_loss",
    "concordance_loss",
    "dual_triplet_loss",
    "expression_center_loss",
    "expression_metric_loss",
    "histogram_loss",
    "label_aware_histogram_loss",
    "label_distribution",
    "label_distribution_loss",
    "multi_threshold_loss",
    "negative_centers",
    "ordinal_histogram_loss",
    "pytorch_metric_learning_loss",
    "triplet_center_loss",
    "triplet_loss",
]
