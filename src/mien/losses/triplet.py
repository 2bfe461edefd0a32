"""Triplet losses on unit rows: conventional, dual, and one threshold per slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mien.losses.pairs import (
    check_rows,
    full_precision,
    masked_mean,
    pair_masks,
    squared_distances,
    unit_rows,
)

Mining = Literal["hard", "all"]


@full_precision
def triplet_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.5,
    mining: Mining = "hard",
    anchors: int | None = None,
) -> Tensor:
    """Conventional triplet loss, the mean of ``[d(a, p) - d(a, n) + threshold]_+``.

    ``d`` is the squared L2 distance of unit rows, in [0, 4]. ``hard`` takes for each anchor its
    farthest positive and its nearest negative (any of equals) and averages over the anchors that
    have both; ``all`` takes every valid triplet and averages over those above zero, so its value
    can fall where the threshold grows. pytorch-metric-learning measures unsquared distances and
    averages over those above zero in both cases unless told otherwise.

    Parameters
    ----------
    embeddings
        ``(B, D)``, any scale.
    labels
        ``(B,)`` int64.
    anchors
        Only so many of the first rows are anchors; the others, such as rows of earlier batches,
        are positives and negatives of them. None: all.
    """
    check_rows(embeddings, labels)
    rows = unit_rows(embeddings)[None]
    return _mean_triplet(rows, labels, [threshold], mining, dual=False, anchors=anchors)


@full_precision
def dual_triplet_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.5,
    mining: Mining = "hard",
    anchors: int | None = None,
) -> Tensor:
    """Triplet loss that judges the negative against the anchor and against the positive.

    The mean of ``[d(a, p) - d(a, n) + threshold]_+ + [d(a, p) - d(p, n) + threshold]_+`` over the
    same selection as `triplet_loss`. With ``all`` every pair appears in both roles, so the value
    is exactly twice the conventional one.
    """
    check_rows(embeddings, labels)
    rows = unit_rows(embeddings)[None]
    return _mean_triplet(rows, labels, [threshold], mining, dual=True, anchors=anchors)


@full_precision
def multi_threshold_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    thresholds: Sequence[float],
    dual: bool = True,
    mining: Mining = "hard",
    anchors: int | None = None,
) -> Tensor:
    """Mean of one triplet loss per slice, each slice with its own threshold.

    ``D`` is cut into ``len(thresholds)`` equal slices; each is scaled to unit rows and mined on
    its own.

    Raises
    ------
    ValueError
        ``D`` is not divisible by the number of thresholds, or there is none.
    """
    check_rows(embeddings, labels)
    batch, width = embeddings.shape
    if not thresholds or width % len(thresholds):
        raise ValueError(
            f"expected a width divisible by the {len(thresholds)} thresholds, got {width}"
        )
    slices = embeddings.reshape(batch, len(thresholds), width // len(thresholds)).transpose(0, 1)
    rows = unit_rows(slices)
    return _mean_triplet(rows, labels, thresholds, mining, dual=dual, anchors=anchors)


@torch.no_grad()
def active_triplets(
    embeddings: Tensor,
    labels: Tensor,
    *,
    thresholds: Sequence[float],
    dual: bool = False,
    mining: Mining = "hard",
) -> float:
    """Share of the triplets whose hinge is above zero, the only ones that move anything; [0, 1].

    Mean over slices and, with ``dual``, over both judgments, of the selection that the losses
    above make; one threshold is a single slice. 1 everywhere is what a collapsed embedding gives,
    0 what an embedding gives that has nothing left to learn. 0 without a valid triplet.
    """
    check_rows(embeddings, labels)
    slices = embeddings.float().reshape(len(embeddings), len(thresholds), -1)
    rows = unit_rows(slices.transpose(0, 1))
    positives, negatives = pair_masks(labels)
    if mining == "all":
        valid = float((positives.sum(1) * negatives.sum(1)).sum())
        counts = [
            float(_active(squared_distances(one), labels, rows.new_tensor(level))[1])
            for one, level in zip(rows.unbind(), thresholds, strict=True)
        ]
        return sum(counts) / len(counts) / valid if valid else 0.0
    usable = positives.any(1) & negatives.any(1)
    if not usable.any():
        return 0.0
    farthest, nearest = _hardest(rows, positives)
    positive, negative = _pick(rows, farthest), _pick(rows, nearest)
    apart = (rows - positive).square().sum(-1) + rows.new_tensor(thresholds)[:, None]
    active = [apart > (rows - negative).square().sum(-1)]
    if dual:
        active.append(apart > (positive - negative).square().sum(-1))
    return float(torch.stack(active)[..., usable].float().mean())


def _mean_triplet(
    rows: Tensor,
    labels: Tensor,
    thresholds: Sequence[float],
    mining: Mining,
    *,
    dual: bool,
    anchors: int | None,
) -> Tensor:
    """Mean over the slices of ``rows`` (S, B, D), already of unit length."""
    if mining not in ("hard", "all"):
        raise ValueError(f"expected mining 'hard' or 'all', got {mining!r}")
    if rows.shape[1] < 2:
        return rows.sum() * 0.0
    levels = torch.as_tensor(thresholds, dtype=rows.dtype, device=rows.device)
    count = rows.shape[1] if anchors is None else anchors
    if mining == "hard":
        return _hard(rows, labels, levels, dual=dual, anchors=count)
    each = [
        _all(one, labels, level, count)
        for one, level in zip(rows.unbind(), levels.unbind(), strict=True)
    ]
    return torch.stack(each).mean() * (2.0 if dual else 1.0)


def _hard(rows: Tensor, labels: Tensor, thresholds: Tensor, *, dual: bool, anchors: int) -> Tensor:
    positives, negatives = (mask[:anchors] for mask in pair_masks(labels))
    usable = positives.any(1) & negatives.any(1)
    farthest, nearest = _hardest(rows.detach(), positives)
    # Only the mined pairs carry a gradient, so their distances are taken anew from the rows:
    # no (S, B, B) tensor reaches the backward pass, and small distances keep their digits.
    positive, negative = _pick(rows, farthest), _pick(rows, nearest)
    anchor = rows[:, :anchors]
    apart = (anchor - positive).square().sum(-1) + thresholds[:, None]
    loss = torch.relu(apart - (anchor - negative).square().sum(-1))
    if dual:
        loss = loss + torch.relu(apart - (positive - negative).square().sum(-1))
    return masked_mean(loss, usable.expand_as(loss))


def _pick(rows: Tensor, chosen: Tensor) -> Tensor:
    slices, batch, width = rows.shape
    first = torch.arange(slices, device=rows.device)[:, None] * batch
    return (
        rows.reshape(-1, width).index_select(0, (chosen + first).flatten()).view(slices, -1, width)
    )


@torch.no_grad()
def _hardest(rows: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Farthest positive and nearest negative of each anchor, both ``(S, A)`` int64.

    The anchors are the first rows, as many as ``positives`` ``(A, B)`` has.
    An anchor without one gets any row: the caller leaves it out.
    """
    # |n|^2 - 2 a.n ranks the rows around an anchor as the distance does and lies in [-1, 3];
    # the offsets put negatives below self below positives, so one matrix serves both searches.
    offsets = torch.where(positives, 2.5, -2.5).to(rows.dtype)
    offsets.diagonal().fill_(2.0)
    keys = rows.square().sum(-1)[:, None, :] + offsets
    keys.baddbmm_(rows[:, : len(positives)], rows.transpose(1, 2), alpha=-2)
    return keys.argmax(-1), keys.argmin(-1)


def _all(rows: Tensor, labels: Tensor, threshold: Tensor, anchors: int) -> Tensor:
    """All valid triplets of ``rows`` (B, D) in quadratic memory."""
    distances = squared_distances(rows.detach())
    counts, total = _active(distances[:anchors], labels, threshold)
    # Over the active triplets the hinge is linear, so their mean is a weighted sum of distances.
    weights = torch.zeros_like(distances)
    weights[:anchors] = counts / total.clamp_min(1)
    summed: Tensor = _WeightedSum.apply(rows, weights, distances)
    return summed + threshold * (total > 0)


class _WeightedSum(torch.autograd.Function):
    """``sum_ij w_ij |z_i - z_j|^2``, whose gradient is one product where autograd takes two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weights: Tensor, distances: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        return (weights * distances).sum()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        rows, weights = ctx.saved_tensors
        both = weights + weights.T
        pull = torch.addmm(both.sum(1, keepdim=True) * rows, both, rows, alpha=-1)
        return 2 * upstream * pull, None, None


@torch.no_grad()
def _active(distances: Tensor, labels: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """In how many active triplets each pair stands, ``(A, B)``, and how many there are.

    ``distances`` ``(A, B)`` are those of the anchors, the first rows, to all rows. A positive pair
    counts upwards, a negative pair downwards. A triplet is active when
    ``d(a, p) + threshold > d(a, n)``.
    """
    positives, negatives = (mask[: len(distances)] for mask in pair_masks(labels))
    # A positive stands in its anchor's order at d + threshold, just before a negative at the very
    # same place, whose hinge is zero; the anchor itself stands first.
    reach = torch.nextafter(distances + threshold, distances.new_tensor(-torch.inf))
    order = _order(torch.where(negatives, distances, reach).fill_diagonal_(-torch.inf))
    away = negatives.gather(1, order)
    beaten = away.cumsum(1, dtype=distances.dtype)
    place = torch.arange(len(labels), dtype=distances.dtype, device=labels.device)
    beating = place - beaten - positives.sum(1, keepdim=True)
    counts = torch.empty_like(distances).scatter_(1, order, torch.where(away, beating, beaten))
    return counts, counts.clamp_min(0).sum()


def _order(keys: Tensor) -> Tensor:
    """Indices that sort each row; on a CPU by numpy, several times as fast as torch."""
    if keys.device.type == "cpu":
        return torch.from_numpy(np.argsort(keys.numpy(), axis=1))
    return keys.argsort(dim=1)
