"""How the rows of a clip's frames become one row."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

TemporalKind = Literal["gru", "convolution", "mean"]


def create_temporal(kind: TemporalKind, channels: int, hidden_size: int) -> tuple[nn.Module, int]:
    """A module from rows of frames ``(B, T, channels)`` to one row, and that row's width.

    ``gru`` is the last state of a gated recurrent unit, ``convolution`` two convolutions over time
    with the mean and the largest value of each channel, ``mean`` the control that sees no order;
    ``hidden_size`` is the width of the first two; that of ``convolution`` is rounded down to an
    even number.
    """
    if kind == "mean":
        return _Mean(), channels
    if kind == "gru":
        return _Recurrent(channels, hidden_size), hidden_size
    return _Convolution(channels, hidden_size // 2), hidden_size // 2 * 2


class _Recurrent(nn.Module):
    """A gated recurrent unit over the frames; its last state."""

    def __init__(self, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.gru = nn.GRU(channels, hidden_size, batch_first=True)

    def forward(self, frames: Tensor) -> Tensor:
        """``(B, T, C)`` -> ``(B, hidden_size)``."""
        states: Tensor = self.gru(self.norm(frames))[0]
        return states[:, -1]


class _Convolution(nn.Module):
    """Two convolutions over time, then the mean and the largest value of each channel."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.layers = nn.Sequential(
            nn.Conv1d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """``(B, T, C)`` -> ``(B, 2 * width)``."""
        rows: Tensor = self.layers(self.norm(frames).transpose(1, 2))
        return torch.cat([rows.mean(2), rows.amax(2)], 1)


class _Mean(nn.Module):
    """The mean of the frames: the control that sees no order."""

    def forward(self, frames: Tensor) -> Tensor:
        """``(B, T, C)`` -> ``(B, C)``."""
        return frames.mean(1)
