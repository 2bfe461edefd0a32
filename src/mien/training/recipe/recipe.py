"""A recipe: everything that decides a training. Unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_serializer, model_validator

from mien.data.augment import Augmentation
from mien.data.clips import Clips
from mien.heads import HEADS, ByHead, HeadInfo, HeadSettings
from mien.metrics.metric import Metric
from mien.networks.video import VIDEO_BACKBONES
from mien.schema import Preprocessing
from mien.training.losses import LOSSES, AnyLoss, Loss
from mien.training.recipe.settings import (
    Attention,
    Backbone,
    Embedding,
    Graph,
    Optimizer,
    Sampler,
    Schedule,
    Settings,
    Temporal,
)
from mien.training.recipe.start import expected_pixels


class Recipe(Settings):
    """One training, completely described.

    ``heads`` are what the network learns, each with its settings (see :data:`mien.heads.HEADS`);
    ``select`` is the validation metric of one of them by which the best epoch is chosen, its first
    one unless it is said, and ``keep`` which epoch is kept, the ``best`` or the ``last``. ``rule``
    makes labels from votes (see :mod:`mien.data.targets`). With ``clips``, clips of recordings are
    read instead of single faces, and pooled over time as ``temporal`` says. With ``graph``, a graph
    makes the classifiers of expression, valence and arousal. What ``preprocessing`` does not say is
    the dataset's. ``mixup`` is the Beta parameter (0: off) and ``averaging`` the decay of the
    exponential moving average of the weights (0: off).
    """

    name: str
    paper: str = ""
    about: str = ""
    expect: str = ""
    seed: int = Field(default=0, ge=0, lt=2**63)
    rule: Literal["majority", "ferplus", "distribution"] = "majority"
    select: str = ""
    keep: Literal["best", "last"] = "best"
    preprocessing: Preprocessing | None = None
    backbone: Backbone = Backbone()
    clips: Clips | None = None
    temporal: Temporal = Temporal()
    embedding: Embedding = Embedding()
    attention: Attention = Attention()
    heads: Annotated[dict[str, HeadSettings], ByHead("Settings")]
    graph: Graph | None = None
    losses: tuple[Annotated[Loss, AnyLoss], ...] = Field(min_length=1)
    sampler: Sampler = Sampler()
    augmentation: Augmentation = Augmentation()
    mixup: float = Field(default=0.0, ge=0, le=1000)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    averaging: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, recipe: Any) -> Any:
        if not isinstance(recipe, dict):
            return recipe
        recipe = {"heads": {"expression": {}}} | recipe
        heads = recipe["heads"]
        if isinstance(heads, dict):
            # In YAML, a head without settings of its own is a key without a value.
            heads = {name: {} if value is None else value for name, value in heads.items()}
            recipe = recipe | {"heads": heads}
        first = next((name for name in HEADS if isinstance(heads, dict) and name in heads), None)
        if recipe.get("select") is None and first is not None:
            recipe = recipe | {"select": HEADS[first].metrics[0].name}
        return recipe

    @field_serializer("preprocessing")
    def _as_written(self, value: Preprocessing | None) -> dict[str, Any] | None:
        # A default written out would claim what the recipe leaves to the dataset.
        return None if value is None else value.model_dump(mode="json", exclude_unset=True)

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        for check in (_check_heads, _check_graph, _check_clips, _check_attention, _check_mixup):
            check(self)
        for loss in self.losses:
            loss.check(self)
        return self

    @property
    def metrics(self) -> dict[str, Metric]:
        """The validation metrics of the heads, by name."""
        return {metric.name: metric for name in self.heads for metric in HEADS[name].metrics}

    @property
    def selecting_head(self) -> str:
        """The head whose metric ``select`` is."""
        return next(
            name
            for name in self.heads
            if self.select in [metric.name for metric in HEADS[name].metrics]
        )

    def architecture(
        self,
        infos: Mapping[str, HeadInfo],
        image_size: int,
        graph: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The keywords of :func:`mien.networks.create_network`, as ``model.json`` keeps them.

        ``infos`` are what the heads say of themselves, ``graph`` the architecture of a graph.
        """
        return {
            "backbone": self.backbone.name,
            "arguments": dict(self.backbone.arguments),
            "image_size": image_size,
            "temporal": None
            if self.clips is None
            else self.temporal.model_dump(include={"kind", "hidden_size"}),
            "embedding": self.embedding.model_dump(include={"size", "hidden_size", "slices"}),
            "pooling": self.embedding.pooling,
            "dropout": self.embedding.dropout,
            "attention": self.attention.model_dump(),
            "heads": {
                name: HEADS[name].architecture(settings, infos[name])
                for name, settings in self.heads.items()
            },
            "graph": None if graph is None else dict(graph),
        }

    def preprocessing_for(self, dataset: Preprocessing) -> Preprocessing:
        """The dataset's preprocessing with what start weights expect and the recipe says."""
        changes = (
            {} if self.preprocessing is None else self.preprocessing.model_dump(exclude_unset=True)
        )
        expected = expected_pixels(self.backbone.weights, dataset)
        return Preprocessing.model_validate(dataset.model_dump() | expected | changes)

    def to_yaml(self) -> str:
        """The resolved recipe, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _check_heads(recipe: Recipe) -> None:
    """Every head is trained, and what trains and selects has its head."""
    if not recipe.heads:
        raise ValueError(f"expected heads ({', '.join(HEADS)}), got none")
    trained = {name for loss in recipe.losses for name in loss.trains}
    if missing := sorted(trained - set(recipe.heads)):
        loss = next(loss.loss for loss in recipe.losses if missing[0] in loss.trains)
        raise ValueError(
            f"the loss {loss} trains the head {missing[0]}, which this recipe does not have; add "
            f"heads.{missing[0]} or drop the loss"
        )
    if untrained := [name for name in recipe.heads if name not in trained]:
        losses = [name for name, loss in LOSSES.items() if untrained[0] in loss.trains]
        raise ValueError(
            f"nothing would train the head {untrained[0]}; add a loss {' or '.join(losses)}, or "
            f"leave heads.{untrained[0]} out"
        )
    if recipe.select not in recipe.metrics:
        raise ValueError(
            f"expected select to be a metric of the heads ({', '.join(recipe.metrics)}), got "
            f"{recipe.select!r}"
        )


def _check_graph(recipe: Recipe) -> None:
    if recipe.graph is not None and not {"expression", "valence_arousal"} <= set(recipe.heads):
        raise ValueError(
            "a graph joins the heads expression and valence_arousal, and this recipe has "
            f"{', '.join(recipe.heads)}; add the other head or leave graph out"
        )


def _check_clips(recipe: Recipe) -> None:
    video = recipe.backbone.name in VIDEO_BACKBONES
    if recipe.clips is None:
        if video:
            raise ValueError(
                f"backbone {recipe.backbone.name} reads clips, and this recipe reads single faces; "
                "set clips (clips={}) or choose another backbone"
            )
        if "severity" in recipe.heads:
            raise ValueError(
                "the head severity reads recordings, and this recipe reads single faces; set clips "
                "(clips={})"
            )
        return
    if recipe.attention.pixel:
        raise ValueError("clips have no pixel-wise attention; set attention.pixel to false")
    if recipe.mixup:
        raise ValueError("clips have no mixup; set mixup to 0")
    if recipe.backbone.restore_batch_norm and not recipe.backbone.frozen:
        raise ValueError(
            "restore_batch_norm reads single faces, and this recipe reads clips; set "
            "backbone.frozen to true"
        )
    if recipe.backbone.frozen and video:
        raise ValueError(
            f"backbone {recipe.backbone.name} reads clips at once and has no frames to keep; "
            "set backbone.frozen to false"
        )


def _check_attention(recipe: Recipe) -> None:
    if recipe.attention.element and not any(loss.uses_attention for loss in recipe.losses):
        raise ValueError(
            "nothing would train attention.element; add a loss center or triplet-center, or "
            "set it to false"
        )


def _check_mixup(recipe: Recipe) -> None:
    if not recipe.mixup:
        return
    if recipe.backbone.frozen:
        raise ValueError(
            "mixup blends images, and a frozen backbone's maps are computed before; set "
            "mixup to 0 or backbone.frozen to false"
        )
    if single := [loss.loss for loss in recipe.losses if not loss.blends]:
        raise ValueError(
            f"mixup has no single label for {', '.join(single)}; set mixup to 0 or drop the loss"
        )
