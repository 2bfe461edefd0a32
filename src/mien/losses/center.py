"""Center loss and triplet-center loss, with and without attention on the dimensions."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from mien.losses.pairs import check_rows, full_precision

Negatives = Literal["nearest", "fully-synthesized", "semi-synthesized", "prediction-based"]


@full_precision
def center_loss(
    embeddings: Tensor, labels: Tensor, centers: Tensor, *, attention: Tensor | None = None
) -> Tensor:
    """Half the mean squared distance to the own centre, ``1/(2B) sum A_d (f_d - c_d)^2``.

    Parameters
    ----------
    embeddings
        ``(B, D)``, used as they are, not scaled to unit rows.
    labels
        ``(B,)`` int64 in [0, C).
    centers
        ``(C, D)``.
    attention
        ``(B, D)`` weights of the dimensions; None weighs all with one. With it the loss is the
        sparse center loss of DACL.
    """
    check_centers(embeddings, labels, centers, attention)
    return _distance(embeddings, centers[labels], attention).sum() / max(1, len(embeddings))


def check_centers(
    embeddings: Tensor, labels: Tensor, centers: Tensor, attention: Tensor | None
) -> None:
    """Raise ValueError unless the shapes are (B, D), (B,), (C, D) and (B, D) or None."""
    check_rows(embeddings, labels)
    if centers.ndim != 2 or centers.shape[1] != embeddings.shape[1]:
        raise ValueError(f"expected centers (C, {embeddings.shape[1]}), got {tuple(centers.shape)}")
    if attention is not None and attention.shape != embeddings.shape:
        raise ValueError(
            f"expected attention {tuple(embeddings.shape)}, got {tuple(attention.shape)}"
        )


def _distance(embeddings: Tensor, centers: Tensor, attention: Tensor | None) -> Tensor:
    """``1/2 sum A_d (f_d - c_d)^2``, one value a row."""
    squares = (embeddings - centers).square()
    return 0.5 * (squares if attention is None else squares * attention).sum(-1)
