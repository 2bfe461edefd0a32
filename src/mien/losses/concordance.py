"""The concordance loss for valence and arousal."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.losses.pairs import full_precision


@full_precision
def concordance_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """One minus Lin's concordance correlation coefficient, in [0, 2], averaged over the columns.

    ``CCC = 2 cov / (var + var + (difference of means)^2)`` with moments over the batch divided by
    n, not n - 1: predictions (0, 2) against targets (0, 4) have CCC 2*2/(1 + 4 + 1) = 0.667; with
    n - 1 it would be 0.727. Where both are the same constant CCC has no value and counts as zero,
    with zero gradient: there is no agreement to measure.

    Parameters
    ----------
    prediction, target
        ``(B,)`` or ``(B, K)``, of one shape.
    """
    if prediction.shape != target.shape or prediction.ndim not in (1, 2):
        raise ValueError(
            "expected prediction and target of one shape (B,) or (B, K), "
            f"got {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    target = target.to(prediction.dtype)
    count = max(1, len(prediction))
    mean, target_mean = prediction.sum(0) / count, target.sum(0) / count
    off, target_off = prediction - mean, target - target_mean
    covariance = (off * target_off).sum(0) / count
    spread = (off.square() + target_off.square()).sum(0) / count + (mean - target_mean).square()
    # The rounding of a mean leaves a constant a spread of about (eps * size)^2, which is no spread.
    size = (prediction.square() + target.square()).detach().sum(0) / count
    constant = spread.detach() <= (16 * torch.finfo(spread.dtype).eps) ** 2 * size
    concordance = 2 * covariance / torch.where(constant, 1.0, spread)
    return (1 - torch.where(constant, 0.0, concordance)).mean()
