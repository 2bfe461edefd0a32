"""The losses of a recipe: settings on one side, the function of a batch on the other.

Each loss is registered where it stands; importing this package knows them all.
"""

from mien.training.losses import affect, centers, classification, external, metric, severity
from mien.training.losses.loss import LOSSES, AnyLoss, Loss, LossContext, loss_value

__all__ = [
    "LOSSES",
    "AnyLoss",
    "Loss",
    "LossContext",
    "affect",
    "centers",
    "classification",
    "external",
    "loss_value",
    "metric",
    "severity",
]
