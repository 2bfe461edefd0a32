"""What the loss terms of a recipe share: settings, and the value of a term for a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from mien.networks.network import Outputs
from mien.training.batch import Batch, Need, rows_with


class Shape(NamedTuple):
    """What a term may need to know: classes, the embedding's width and cut, and ``counts``.

    These are how many training rows each class has, where they are known.
    """

    classes: int
    width: int
    slices: int = 1
    counts: tuple[int, ...] = ()


LossFunction = Callable[[Outputs, Batch], Tensor]


class LossTerm(BaseModel):
    """What the terms share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(default=1.0, gt=0)

    @property
    def needs(self) -> Need:
        """What a row must have to take part; see :func:`term_value`."""
        return "expression"

    @property
    def uses_attention(self) -> bool:
        """Whether element-wise attention reaches the term."""
        return False

    def trivial(self, shape: Shape) -> float | None:
        """The value that a network reaches by giving every face the same row; None: none."""
        return None

    def active(self, embeddings: Tensor, labels: Tensor, shape: Shape) -> float | None:
        """Share of the triplets that still teach something; None for a term without triplets."""
        return None


def term_value(
    settings: LossTerm, term: nn.Module, outputs: Outputs, batch: Batch
) -> Tensor | None:
    """The term over the rows of the batch that have what it needs; None where none has."""
    outputs, batch = rows_with(settings.needs, outputs, batch)
    if not len(batch.labels):
        return None
    value: Tensor = term(outputs, batch)
    return value


class Function(nn.Module):
    """A function of (outputs, batch) as a module."""

    def __init__(self, function: LossFunction) -> None:
        super().__init__()
        self.function = function

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The function's value."""
        return self.function(outputs, batch)
