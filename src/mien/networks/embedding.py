"""The embedding: from pooled features to the row that losses and heads read."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Embedding(nn.Sequential):
    """Pooled features ``(B, C)`` -> embedding ``(B, D)``.

    ``size`` None takes the features themselves; a number adds a linear layer with batch norm, and
    ``hidden_size`` another one with ReLU before it. ``slices`` > 1 cuts the embedding into equal
    slices and scales each to unit rows times the root of its width, so that its entries keep the
    size that batch norm gave them; losses on unit slices do not see the factor.
    """

    def __init__(
        self, channels: int, *, size: int | None, hidden_size: int | None = None, slices: int = 1
    ) -> None:
        layers: list[nn.Module] = []
        if hidden_size is not None:
            layers += [
                nn.Linear(channels, hidden_size, bias=False),
                nn.BatchNorm1d(hidden_size),
                nn.ReLU(),
            ]
        if size is not None:
            width = hidden_size or channels
            layers += [nn.Linear(width, size, bias=False), nn.BatchNorm1d(size)]
        super().__init__(*layers)
        self.size = size or hidden_size or channels
        self.slices = slices

    def forward(self, pooled: Tensor) -> Tensor:
        """``(B, C)`` -> ``(B, D)``."""
        rows: Tensor = pooled
        for layer in self:
            rows = layer(rows)
        if self.slices == 1:
            return rows
        width = self.size // self.slices
        slices: Tensor = functional.normalize(rows.reshape(-1, self.slices, width), dim=2)
        return slices.reshape(-1, self.size).mul(width**0.5)
