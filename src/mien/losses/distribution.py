"""Label distribution learning: a score as a bell over neighboring levels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mien.losses.pairs import full_precision


@full_precision
def label_distribution(scores: Tensor, *, levels: int = 64, deviation: float = 2.0) -> Tensor:
    """Gaussian over the levels 0 to ``levels - 1`` around each score, of mass one.

    Parameters
    ----------
    scores
        ``(B,)`` in [0, levels - 1], integer or not.
    levels
        64 for the BDI-II scale.
    deviation
        Standard deviation in levels.

    Returns
    -------
    Tensor
        ``(B, levels)``, ``exp(-(k - y)^2 / (2 deviation^2))`` over its sum; at the ends of the
        scale the bell is cut and scaled up again.

    Raises
    ------
    ValueError
        A score outside the scale or not a number, or a deviation that is not positive.
    """
    if scores.ndim != 1 or levels < 1 or not deviation > 0:
        raise ValueError(
            "expected scores (B,), levels and a deviation above 0, "
            f"got {tuple(scores.shape)}, {levels} and {deviation}"
        )
    inside = (scores >= 0) & (scores <= levels - 1)
    if not bool(inside.all()):
        raise ValueError(f"expected scores in [0, {levels - 1}], got {scores[~inside][0].item()}")
    places = scores if scores.is_floating_point() else scores.to(torch.get_default_dtype())
    steps = torch.arange(levels, dtype=places.dtype, device=places.device)
    return torch.softmax(-0.5 * ((steps - places[:, None]) / deviation).square(), dim=1)


@full_precision
def label_distribution_loss(logits: Tensor, distribution: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the softmax from the target, ``sum_k q_k log(q_k / p_k)``.

    Summed over the levels, averaged over the batch; a level with ``q = 0`` adds nothing. Zero when
    ``p = q``. Some code averages over the levels too, which is this divided by their number.

    Parameters
    ----------
    logits
        ``(B, K)``.
    distribution
        ``(B, K)``, rows of mass one.
    """
    if logits.ndim != 2 or logits.shape != distribution.shape:
        raise ValueError(
            "expected logits and distribution of one shape (B, K), "
            f"got {tuple(logits.shape)} and {tuple(distribution.shape)}"
        )
    # An impossible level (logit -inf) adds nothing where the target has none of it either.
    log_p = logits.log_softmax(1).masked_fill(distribution == 0, 0.0)
    return functional.kl_div(log_p, distribution, reduction="sum") / max(1, len(logits))
