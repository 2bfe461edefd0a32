"""Whether an embedding still tells faces apart: what is logged each epoch, and one sentence.

A metric loss has a trivial answer: give every face the same row, and the loss stands still at its
threshold or margin. Batch-hard mining often goes there first (Hermans et al., 2017).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mien.metrics.geometry import effective_rank, spread
from mien.training.module import TrainingModule

SMALLEST_SPREAD = 0.05
"""Distance of two unit rows (root mean square), in [0, 2], below which all faces look alike."""
SMALLEST_RANK = 1.5
"""Effective rank below which the embedding is a line."""
NEAR_TRIVIAL, CONTRACTED = 0.1, 0.5
"""A triplet loss this close to its trivial value, as a share of it, with every triplet active and a
spread below the second figure only contracts the embedding: it has not begun to sort it."""

FEWEST_ROWS = 20
"""Validation rows below which no collapse is called."""

_ROWS_AT_ONCE = 128


def watch(
    module: TrainingModule, embeddings: Tensor, labels: Tensor, losses: dict[str, float]
) -> dict[str, Any]:
    """``{"embedding": ...}`` for a line of the metrics, and ``"warning"`` after a collapse.

    Of the embedding of the validation faces: ``spread``, the root mean square distance of two
    unit rows in [0, 2]; ``effective_rank`` in [1, D], or 0 for rows all alike; ``relative``, each
    loss's mean over the epoch's training batches divided by its trivial value; ``active``,
    the share of the triplets of each triplet loss that still teach, in validation batches of 128.
    ``embeddings`` is ``(N, D)`` on the CPU, ``labels`` ``(N,)``, -1 for a row without an
    expression, which is in no triplet.
    """
    embeddings = embeddings.float()
    rows = embeddings.numpy()
    if len(rows) < 2:  # nothing to be apart from
        return {}
    if not torch.isfinite(embeddings).all():
        raise FloatingPointError("the embedding of a validation face became infinite or NaN")
    relative, active = {}, {}
    known = labels >= 0
    labeled, labels = embeddings[known], labels[known]
    for name, loss in zip(module.loss_names, module.recipe.losses, strict=True):
        trivial = loss.trivial(module.context)
        if trivial and name in losses:
            relative[name] = losses[name] / trivial
        shares = []
        for start in range(0, len(labeled), _ROWS_AT_ONCE):
            chunk = slice(start, start + _ROWS_AT_ONCE)
            share = loss.active(labeled[chunk], labels[chunk], module.context)
            if share is not None:
                shares.append(share)
        if shares:
            active[name] = sum(shares) / len(shares)
    values = {
        "spread": spread(rows),
        "effective_rank": effective_rank(rows),
        "relative": relative,
        "active": active,
    }
    # A softmax has no trivial answer of this kind, and a few rows say little about all.
    judged = len(rows) >= FEWEST_ROWS and any(not loss.trains for loss in module.recipe.losses)
    sentence = diagnosis(values) if judged else ""
    return {"embedding": values} | ({"warning": sentence} if sentence else {})


def diagnosis(values: dict[str, Any]) -> str:
    """One sentence when the embedding has collapsed, with what to try; empty otherwise."""
    apart, rank = values["spread"], values["effective_rank"]
    stuck = [
        name
        for name, share in values["relative"].items()
        if name != "cross-entropy" and abs(share - 1) < NEAR_TRIVIAL
    ]
    where = f" and {', '.join(stuck)} stands at its trivial value" if stuck else ""
    if apart < SMALLEST_SPREAD:
        finding = f"has collapsed: the rows of different faces are {apart:.3f} apart (of at most 2)"
    elif rank < SMALLEST_RANK:
        finding = f"has collapsed: it has an effective rank of {rank:.2f}"
    elif apart < CONTRACTED and any(values["active"].get(name, 0) > 0.99 for name in stuck):
        finding = (
            f"is only being contracted: its rows are {apart:.2f} apart, every triplet is active"
        )
    else:
        return ""
    return (
        f"the embedding {finding}{where}; lower optimizer.lr, give the metric loss less weight, or "
        "let a triplet loss judge twice (dual: true) or mine all triplets (mining: all)"
    )
