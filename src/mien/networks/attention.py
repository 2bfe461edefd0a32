"""Selective attention: which places of the feature map matter, and which dimensions of a row."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelAttention(nn.Module):
    """One weight in (0, 1) for each place of a map: a 1x1 convolution and a sigmoid.

    The pixel-wise half of the selective attention of Rajoli et al., CISS 2023; its form is our
    reading, as the paper's text was not at hand. It starts at a half everywhere, so the weighted
    map keeps its pattern.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, kernel_size=1)
        for parameter in self.score.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` -> weights ``(B, 1, H, W)``."""
        weights: Tensor = torch.sigmoid(self.score(features))
        return weights


class ElementAttention(nn.Module):
    """One weight in (0, 1) for each dimension of an embedding, from the pooled map.

    As in DACL (Farzaneh and Qi, WACV 2021): a context of 64 numbers, then a softmax of two for
    every dimension, of which the second is the weight. DACL reads the context from the flattened
    map; ours reads it from the pooled one, which takes far fewer parameters and lets the size of
    the image vary.
    """

    def __init__(self, channels: int, width: int, *, context: int = 64) -> None:
        super().__init__()
        hidden = min(512, channels)
        self.context = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, context, bias=False),
            nn.BatchNorm1d(context),
            nn.Tanh(),
        )
        # A softmax of two is a sigmoid of their difference; one output per dimension says the same.
        self.score = nn.Linear(context, width)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.zeros_(self.score.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Pooled maps ``(B, C)`` -> weights ``(B, width)``."""
        weights: Tensor = torch.sigmoid(self.score(self.context(pooled)))
        return weights
