"""Losses as pure functions of embeddings and labels; a scalar each, always differentiable."""

from mien.losses.center import Centers, center_loss, negative_centers, triplet_center_loss
from mien.losses.triplet import dual_triplet_loss, multi_threshold_loss, triplet_loss

__all__ = [
    "Centers",
    "center_loss",
    "dual_triplet_loss",
    "multi_threshold_loss",
    "negative_centers",
    "triplet_center_loss",
    "triplet_loss",
]
