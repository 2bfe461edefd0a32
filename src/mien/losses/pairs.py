"""What every loss shares: full precision, unit rows, distances, pair masks, a safe mean."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

Settings = ParamSpec("Settings")

SHORTEST = 1e-12
"""A row with a smaller norm has no direction."""


def full_precision(loss: Callable[Settings, Tensor]) -> Callable[Settings, Tensor]:
    """Run a loss outside autocast, with half-precision tensors widened to float32.

    A distance of two unit rows loses all its digits in bfloat16 where it matters most, near zero.
    The gradient comes back in the caller's dtype.
    """

    @wraps(loss)
    def widened(*args: Settings.args, **kwargs: Settings.kwargs) -> Tensor:
        device = next((a.device.type for a in args if isinstance(a, Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return loss(
                *(_widen(value) for value in args),  # type: ignore[arg-type]
                **{name: _widen(value) for name, value in kwargs.items()},  # type: ignore[arg-type]
            )

    return widened


def _widen(value: object) -> object:
    if isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16):
        return value.float()
    return value


def check_rows(embeddings: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless ``embeddings`` is (B, D) and ``labels`` is (B,)."""
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            "expected embeddings (B, D) and one label a row (B,), "
            f"got {tuple(embeddings.shape)} and {tuple(labels.shape)}"
        )


def unit_rows(embeddings: Tensor) -> Tensor:
    """Scale the last dimension to length one, ``(..., D)``.

    A row without direction stays zero and receives no gradient; the usual clamp of the norm would
    send it a gradient of 1e12.
    """
    norms = torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
    return torch.where(
        norms < SHORTEST, 0.0, embeddings / torch.where(norms < SHORTEST, 1.0, norms)
    )


def squared_distances(rows: Tensor) -> Tensor:
    """Squared L2 distance of every two rows, ``(B, D)`` to ``(B, B)``, by one matrix product."""
    squares = rows.square().sum(-1)
    return torch.addmm(squares[:, None] + squares[None, :], rows, rows.T, alpha=-2)


def pair_masks(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Positive pairs (same label, not the same row) and negative pairs, both bool ``(B, B)``."""
    same = labels[:, None] == labels[None, :]
    return same.clone().fill_diagonal_(False), ~same


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` where ``mask``; a zero that still backpropagates where nothing is."""
    count = mask.sum().clamp_min(1)
    return torch.where(mask, values, 0.0).sum() / count
