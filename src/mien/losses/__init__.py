"""Losses as pure functions of embeddings and labels; a scalar each, always differentiable."""

from mien.losses.center import center_loss
from mien.losses.triplet import dual_triplet_loss, multi_threshold_loss, triplet_loss

__all__ = [
    "center_loss",
    "dual_triplet_loss",
    "multi_threshold_loss",
    "triplet_loss",
]
