"""What the losses of a recipe share: settings, registration, and the value for a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from torch import Tensor, nn

from mien.heads import HeadInfo
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch, labeled_part

if TYPE_CHECKING:
    from mien.training.recipe.recipe import Recipe


class LossContext(NamedTuple):
    """What a loss may need to know of the network and the data.

    ``classes`` of the head expression and ``levels`` of the head severity (0 without one), the
    embedding's ``width`` and number of ``slices``, and ``counts``, how many training rows each
    class has, where they are known.
    """

    classes: int
    width: int
    slices: int = 1
    counts: tuple[int, ...] = ()
    levels: int = 0


LossFunction = Callable[[Outputs, Batch], Tensor]


class Loss(BaseModel):
    """One loss of a recipe; its ``loss`` is the name under which it is registered.

    ``head`` is the head whose targets a row must have to take part. ``trains`` are the heads whose
    layers it trains; a loss on the embedding trains none. ``blends`` says whether it can learn
    from the blended targets of mixup, ``uses_attention`` whether element-wise attention reaches it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    head: ClassVar[str] = "expression"
    trains: ClassVar[tuple[str, ...]] = ()
    blends: ClassVar[bool] = False
    uses_attention: ClassVar[bool] = False

    loss: str
    weight: float = Field(default=1.0, gt=0)

    def check(self, recipe: Recipe) -> None:
        """Raise ``ValueError`` where the loss does not fit the recipe it stands in."""

    def check_heads(self, infos: Mapping[str, HeadInfo]) -> None:
        """Raise :class:`~mien.errors.MienError` where the loss does not fit its head."""

    def build(self, context: LossContext) -> nn.Module:
        """The loss as a module on (outputs, batch); :meth:`value`, unless it has parameters."""
        return FunctionLoss(self.value)

    def value(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The loss of a batch whose rows all have a target of :attr:`head`."""
        raise NotImplementedError

    def trivial(self, context: LossContext) -> float | None:
        """The value that a network reaches by giving every face the same row; None: none."""
        return None

    def active(self, embeddings: Tensor, labels: Tensor, context: LossContext) -> float | None:
        """Share of the triplets that still teach something; None for a loss without triplets."""
        return None


LOSSES: dict[str, type[Loss]] = {}
"""Every loss of a recipe by name; ``pml`` are those of pytorch-metric-learning."""

LossType = TypeVar("LossType", bound=type[Loss])


def register(name: str) -> Callable[[LossType], LossType]:
    """Make a loss known to recipes under ``name``."""

    def add(loss: LossType) -> LossType:
        LOSSES[name] = loss
        return loss

    return add


class AnyLoss:
    """One of :data:`LOSSES`, by its ``loss``, in a pydantic model."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A union of the losses, tagged by name."""
        names = ", ".join(name for name in LOSSES if name != "pml")
        return core_schema.tagged_union_schema(
            {name: handler.generate_schema(loss) for name, loss in LOSSES.items()},
            _tag,
            custom_error_type="unknown_loss",
            custom_error_message=(
                f"expected a loss {names} or pml.SomeLoss (a loss of pytorch-metric-learning)"
            ),
        )


def _tag(value: Any) -> str:
    name = value.get("loss") if isinstance(value, dict) else getattr(value, "loss", None)
    return str(name).partition(".")[0]


def loss_value(settings: Loss, module: nn.Module, outputs: Outputs, batch: Batch) -> Tensor | None:
    """The loss over the rows of the batch that have a target for it; None where none has."""
    outputs, batch = labeled_part(settings.head, outputs, batch)
    if not len(batch.inputs):
        return None
    value: Tensor = module(outputs, batch)
    return value


class FunctionLoss(nn.Module):
    """A function of (outputs, batch) as a module."""

    def __init__(self, function: LossFunction) -> None:
        super().__init__()
        self.function = function

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The function's value."""
        return self.function(outputs, batch)
