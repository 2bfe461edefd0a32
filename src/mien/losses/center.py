"""Center loss and triplet-center loss, with and without attention on the dimensions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mien.losses.pairs import check_rows, full_precision

Negatives = Literal["nearest", "fully-synthesized", "semi-synthesized", "prediction-based"]


@full_precision
def center_loss(
    embeddings: Tensor, labels: Tensor, centers: Tensor, *, attention: Tensor | None = None
) -> Tensor:
    """Half the mean squared distance to each row's own center, ``1/(2B) sum A_d (f_d - c_d)^2``.

    Wen et al., ECCV 2016; with attention the sparse center loss of DACL (Farzaneh and Qi, WACV
    2021). Summed over the dimensions: a row (3, 4) and a center (0, 0) give 12.5.

    Parameters
    ----------
    embeddings
        ``(B, D)``, used as they are, not scaled to unit rows.
    labels
        ``(B,)`` int64 in [0, C).
    centers
        ``(C, D)``.
    attention
        ``(B, D)`` weights of the dimensions; None weighs all with one.
    """
    _check(embeddings, labels, centers, attention)
    return _distances(embeddings, centers[labels], attention).sum() / max(1, len(embeddings))


@full_precision
def triplet_center_loss(
    embeddings: Tensor,
    labels: Tensor,
    centers: Tensor,
    *,
    margin: float = 1.0,
    negatives: Negatives = "nearest",
    logits: Tensor | None = None,
    attention: Tensor | None = None,
    ratio: float = 0.5,
) -> Tensor:
    """Mean of ``[D_A(f, own center) - D_A(f, negative) + margin]_+``.

    ``D_A(f, c) = 1/2 sum A_d (f_d - c_d)^2`` on raw embeddings, so the margin has their scale. The
    negative is that of `negative_centers`; the gradient reaches rows, centers and attention, not
    the choice. He et al., CVPR 2018, takes ``nearest``; their code measures the unsquared distance.
    """
    _check(embeddings, labels, centers, attention)
    others = _negatives(embeddings, labels, centers, negatives, logits, attention, ratio)
    positive = _distances(embeddings, centers[labels], attention)
    negative = _distances(embeddings, others, attention)
    return torch.relu(positive - negative + margin).sum() / max(1, len(embeddings))


@full_precision
def negative_centers(
    embeddings: Tensor,
    labels: Tensor,
    centers: Tensor,
    *,
    negatives: Negatives,
    logits: Tensor | None = None,
    attention: Tensor | None = None,
    ratio: float = 0.5,
) -> Tensor:
    """The center that each row is pushed away from, ``(B, D)``; ties go to the lowest class.

    - ``nearest``: the other class's center with the smallest ``D_A``.
    - ``fully-synthesized``: in each dimension the nearest value among the other centers.
    - ``semi-synthesized``: the nearest center, except on the ``round(ratio * D)`` dimensions of
      largest attention (ties: the first), which are synthesized.
    - ``prediction-based``: the other class with the largest of ``logits`` ``(B, C)``.

    Raises
    ------
    ValueError
        Shapes that do not fit, fewer than two centers, no logits where they are needed.
    """
    _check(embeddings, labels, centers, attention)
    return _negatives(embeddings, labels, centers, negatives, logits, attention, ratio)


def _negatives(
    embeddings: Tensor,
    labels: Tensor,
    centers: Tensor,
    negatives: Negatives,
    logits: Tensor | None,
    attention: Tensor | None,
    ratio: float,
) -> Tensor:
    if len(centers) < 2:
        raise ValueError(f"expected the centers of at least two classes, got {len(centers)}")
    of_class = torch.zeros(len(labels), len(centers), dtype=torch.bool, device=labels.device)
    of_class.scatter_(1, labels[:, None], True)
    if negatives == "prediction-based":
        if logits is None or logits.shape != of_class.shape:
            got = "none" if logits is None else tuple(logits.shape)
            raise ValueError(f"expected logits {tuple(of_class.shape)}, got {got}")
        return centers[logits.detach().masked_fill(of_class, -torch.inf).argmax(1)]
    if negatives == "nearest":
        return centers[_nearest(embeddings, centers, of_class, attention)]
    if negatives == "fully-synthesized":
        return centers.gather(0, _nearest_values(embeddings, centers, of_class))
    if negatives == "semi-synthesized":
        chosen = _nearest(embeddings, centers, of_class, attention)[:, None]
        synthesized = _attended(embeddings, attention, ratio)
        values = _nearest_values(embeddings, centers, of_class)
        return centers.gather(0, torch.where(synthesized, values, chosen))
    raise ValueError(
        "expected negatives 'nearest', 'fully-synthesized', 'semi-synthesized' or "
        f"'prediction-based', got {negatives!r}"
    )


@torch.no_grad()
def _nearest(
    embeddings: Tensor, centers: Tensor, of_class: Tensor, attention: Tensor | None
) -> Tensor:
    """Index of the nearest other center, ``(B,)``."""
    distances = [_distances(embeddings, center, attention) for center in centers]
    return torch.stack(distances, 1).masked_fill(of_class, torch.inf).argmin(1)


@torch.no_grad()
def _nearest_values(embeddings: Tensor, centers: Tensor, of_class: Tensor) -> Tensor:
    """Index of the other center that is nearest in each dimension, ``(B, D)``."""
    # One class at a time: classes are few, and (B, C, D) values are slower to make than to compare.
    least = torch.full_like(embeddings, torch.inf)
    chosen = torch.zeros_like(embeddings, dtype=torch.int64)
    for k, center in enumerate(centers):
        gaps = (embeddings - center).abs().masked_fill(of_class[:, k, None], torch.inf)
        chosen.masked_fill_(gaps < least, k)
        least = torch.minimum(least, gaps)
    return chosen


@torch.no_grad()
def _attended(embeddings: Tensor, attention: Tensor | None, ratio: float) -> Tensor:
    """The ``round(ratio * D)`` dimensions of largest attention, bool ``(B, D)``."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"expected a ratio in [0, 1], got {ratio}")
    weights = torch.ones_like(embeddings) if attention is None else attention
    order = weights.argsort(dim=1, descending=True, stable=True)
    first = order[:, : round(ratio * embeddings.shape[1])]
    return torch.zeros_like(weights, dtype=torch.bool).scatter_(1, first, True)


def _distances(rows: Tensor, centers: Tensor, attention: Tensor | None) -> Tensor:
    """``1/2 sum A_d (f_d - c_d)^2`` over the last dimension."""
    squares = (rows - centers).square()
    return 0.5 * (squares if attention is None else squares * attention).sum(-1)


def _check(embeddings: Tensor, labels: Tensor, centers: Tensor, attention: Tensor | None) -> None:
    check_rows(embeddings, labels)
    if centers.ndim != 2 or centers.shape[1] != embeddings.shape[1]:
        raise ValueError(f"expected centers (C, {embeddings.shape[1]}), got {tuple(centers.shape)}")
    if attention is not None and attention.shape != embeddings.shape:
        raise ValueError(
            f"expected attention {tuple(embeddings.shape)}, got {tuple(attention.shape)}"
        )


class Centers(nn.Module):
    """One learned center per class, `weight` ``(classes, width)``, saved with the model.

    With the update rule ``gradient`` the optimizer moves them, at `lr` through
    `parameter_group`. With ``dacl`` they take no gradient: `update` moves each toward the mean of
    its rows after a step of the network. Start: normal, variance ``2 / width`` (Kaiming).
    """

    def __init__(
        self,
        classes: int,
        width: int,
        *,
        lr: float = 0.5,
        update_rule: Literal["gradient", "dacl"] = "gradient",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if update_rule not in ("gradient", "dacl"):
            raise ValueError(f"expected the update rule 'gradient' or 'dacl', got {update_rule!r}")
        self.lr = lr
        self.update_rule = update_rule
        start = torch.randn(classes, width, generator=generator) * (2 / width) ** 0.5
        self.weight = nn.Parameter(start, requires_grad=update_rule == "gradient")

    def forward(self) -> Tensor:
        """The centers."""
        return self.weight

    def parameter_group(self) -> dict[str, object]:
        """A group for the optimizer with the centers' own rate; empty under ``dacl``."""
        trained = [self.weight] if self.update_rule == "gradient" else []
        return {"params": trained, "lr": self.lr, "weight_decay": 0.0}

    @torch.no_grad()
    def update(self, embeddings: Tensor, labels: Tensor, attention: Tensor | None = None) -> None:
        """Move the centers in place by DACL's update rule; nothing happens under ``gradient``.

        ``c_j -= lr * sum over the rows of class j of A (c_j - f) / (1 + n_j)``. A class
        without rows stays. The weight of the loss term has no part in it.
        """
        _check(embeddings, labels, self.weight, attention)
        if self.update_rule == "gradient":
            return
        pull = self.weight[labels] - embeddings.to(self.weight.dtype)
        if attention is not None:
            pull = pull * attention
        counts = torch.bincount(labels, minlength=len(self.weight)).to(self.weight.dtype)
        total = torch.zeros_like(self.weight).index_add_(0, labels, pull.to(self.weight.dtype))
        self.weight.sub_(self.lr * total / (1 + counts)[:, None])
