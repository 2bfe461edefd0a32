"""Histogram losses: how often an unlike pair is more similar than a like one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mien.losses.pairs import check_rows, full_precision, unit_rows


@full_precision
def histogram_loss(
    embeddings: Tensor, labels: Tensor, *, bins: int = 151, anchors: int | None = None
) -> Tensor:
    """Probability that a random negative pair is more similar than a random positive pair.

    Ustinova and Lempitsky, NeurIPS 2016: cosine similarities of the unordered pairs fall into soft
    histograms over ``bins`` nodes from -1 to 1, ``h+`` and ``h-``, each of mass one; the loss is
    ``sum_r h-_r sum_{q <= r} h+_q``, in [0, 1]. Mass that meets in a node counts in full, which
    puts it above the exact probability by about ``sum_r h-_r h+_r / 2``. pytorch-metric-learning's
    loss with ``n_bins = bins - 1`` agrees while every row has a positive and no two rows are equal.

    Parameters
    ----------
    embeddings
        ``(B, D)``, any scale.
    labels
        ``(B,)`` int64. With one class or no positive pair the loss is zero.
    anchors
        Only pairs with one of so many first rows count, and not those of the others, such as rows
        of earlier batches, among each other. None: all.
    """
    check_rows(embeddings, labels)
    similarities, first, second = _pairs(embeddings, anchors)
    unlike = (labels[first] != labels[second]).long()
    histograms, masses = _histograms(similarities, unlike, groups=2, bins=bins)
    return _later(histograms, masses)


@full_precision
def label_aware_histogram_loss(
    embeddings: Tensor,
    scores: Tensor,
    *,
    bins: int = 151,
    bandwidth: float = 5.0,
    anchors: int | None = None,
) -> Tensor:
    """Histogram loss whose pairs are like to the degree ``exp(-gap^2 / (2 bandwidth^2))``.

    Each pair enters ``h+`` with that weight and ``h-`` with the rest of one. ``scores`` ``(B,)``
    are ordinal labels, the gap their absolute difference, ``bandwidth`` in their unit. Our reading
    of the label-aware loss of Zhou et al., TAFFC 2022; with weights of 0 and 1 it is
    `histogram_loss`. Constant scores give zero.
    """
    check_rows(embeddings, scores)
    if not bandwidth > 0:
        raise ValueError(f"expected a positive bandwidth, got {bandwidth}")
    similarities, first, second = _pairs(embeddings, anchors)
    gaps = (scores[first] - scores[second]).to(similarities.dtype)
    exponents = -0.5 * (gaps / bandwidth).square()
    # expm1 keeps the digits of a small gap, where 1 - exp loses them all.
    weights = torch.cat([exponents.exp(), -torch.expm1(exponents)])
    group = torch.arange(2, device=gaps.device).repeat_interleave(len(gaps))
    histograms, masses = _histograms(similarities.repeat(2), group, 2, bins, weights)
    return _later(histograms, masses)


@full_precision
def ordinal_histogram_loss(
    embeddings: Tensor,
    scores: Tensor,
    *,
    edges: Sequence[float] = (0, 2, 5, 10, 20, 64),
    bins: int = 151,
    anchors: int | None = None,
) -> Tensor:
    """Histogram loss between every two groups of pairs, grouped by the gap of their scores.

    Group ``a`` holds the pairs with ``edges[a] <= gap < edges[a + 1]``. The loss is the mean over
    ``a < b`` of the probability that a pair of ``b`` is more similar than one of ``a``, weighted
    with the difference of the groups' mean gaps. Groups without a pair are left out; with fewer
    than two groups the loss is zero. Our reading, as is `label_aware_histogram_loss`.

    Raises
    ------
    ValueError
        Edges that do not ascend from zero, or a gap at or beyond the last edge.
    """
    check_rows(embeddings, scores)
    if len(edges) < 2 or edges[0] != 0 or any(a >= b for a, b in pairwise(edges)):
        raise ValueError(f"expected edges that ascend from 0, got {tuple(edges)}")
    similarities, first, second = _pairs(embeddings, anchors)
    gaps = (scores[first] - scores[second]).abs().to(similarities.dtype)
    if not bool((gaps < edges[-1]).all()):
        raise ValueError(f"expected gaps below the last edge {edges[-1]}, got {float(gaps.max())}")
    inner = torch.tensor(edges[1:-1], dtype=gaps.dtype, device=gaps.device)
    group = torch.bucketize(gaps, inner, right=True)
    groups = len(edges) - 1
    histograms, masses = _histograms(similarities, group, groups, bins)
    mean_gaps = gaps.new_zeros(groups).index_add(0, group, gaps) / masses.clamp_min(1)
    both = (masses[:, None] > 0) & (masses[None, :] > 0)
    weights = torch.where(both, mean_gaps[None, :] - mean_gaps[:, None], 0.0).triu(1)
    later = histograms.cumsum(1) @ histograms.T
    total = weights.sum()
    return (weights * later).sum() / torch.where(total > 0, total, 1.0)


def _pairs(embeddings: Tensor, anchors: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine similarities in [-1, 1] of the unordered pairs with an anchor and each one's rows."""
    rows = unit_rows(embeddings)
    count = len(rows) if anchors is None else anchors
    first, second = torch.triu_indices(count, len(rows), 1, device=rows.device).unbind()
    # Selecting from the flat matrix is five times faster, forward and back, than by two indices.
    flat = (rows[:count] @ rows.T).flatten().index_select(0, first * len(rows) + second)
    return flat.clamp(-1, 1), first, second


def _histograms(
    similarities: Tensor, group: Tensor, groups: int, bins: int, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Soft histograms of mass one ``(groups, bins)`` and the weight in each group ``(groups,)``.

    A similarity between two nodes is shared between them in proportion to its nearness, hence each
    pair touches two nodes, not all.
    """
    if bins < 2:
        raise ValueError(f"expected at least two bins, got {bins}")
    position = (similarities + 1) * ((bins - 1) / 2)
    # Not a number has no node; the first one takes it and passes it on to the loss.
    lower = position.detach().floor().nan_to_num(0.0).clamp(0, bins - 2)
    above = position - lower
    below = 1 - above
    counted = torch.ones_like(below) if weights is None else weights
    masses = counted.new_zeros(groups).index_add(0, group, counted)
    if weights is not None:
        above, below = above * weights, below * weights
    node = group * bins + lower.long()
    flat = above.new_zeros(groups * bins).index_add(0, node, below).index_add(0, node + 1, above)
    safe = torch.where(masses > 0, masses, 1.0)
    return flat.view(groups, bins) / safe[:, None], masses


def _later(histograms: Tensor, masses: Tensor) -> Tensor:
    """Chance that a draw of the second histogram does not lie below one of the first."""
    both = (masses > 0).all()
    return torch.where(both, (histograms[1] * histograms[0].cumsum(0)).sum(), 0.0)
