"""The expression metric loss: pull one expression together, push two apart; our reading."""

from __future__ import annotations

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


@full_precision
def expression_metric_loss(
    embeddings: Tensor, labels: Tensor, *, margin: float = 1.0, beta: float = 1.0
) -> Tensor:
    """Mean distance of positive pairs plus ``beta`` times the mean ``[margin - d]_+`` of negatives.

    ``d`` is the squared L2 distance of unit rows, in [0, 4]; each mean is over its own pairs and
    zero without them. After Yu and Bai, IEEE Access 2020, who state the aim; the formula is ours:
    a contrastive loss on squared distances, averaged over all pairs instead of the active ones.

    Parameters
    ----------
    embeddings
        ``(B, D)``, any scale.
    labels
        ``(B,)`` int64.
    """
    check_rows(embeddings, labels)
    distances = squared_distances(unit_rows(embeddings))
    positives, negatives = pair_masks(labels)
    pull = masked_mean(distances, positives)
    return pull + beta * masked_mean(torch.relu(margin - distances), negatives)


@full_precision
def expression_center_loss(
    embeddings: Tensor, labels: Tensor, *, margin: float = 1.0, beta: float = 1.0
) -> Tensor:
    """Mean distance to the class mean plus ``beta`` times the mean ``[margin - d]_+`` of means.

    The means are those of the unit rows in the batch and carry gradient; they are not scaled back
    to unit length. The second term averages over the pairs of classes in the batch. Linear in the
    batch where `expression_metric_loss` is quadratic.
    """
    check_rows(embeddings, labels)
    rows = unit_rows(embeddings)
    classes, member = torch.unique(labels, return_inverse=True)
    counts = torch.bincount(member, minlength=len(classes)).to(rows.dtype)
    sums = rows.new_zeros(len(classes), rows.shape[1]).index_add(0, member, rows)
    means = sums / counts[:, None]
    pull = (rows - means[member]).square().sum() / max(1, len(rows))
    others = ~torch.eye(len(classes), dtype=torch.bool, device=rows.device)
    return pull + beta * masked_mean(torch.relu(margin - squared_distances(means)), others)
