"""The parts of a recipe. Unknown keys are errors."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mien.licenses import Licenses
from mien.metrics.aggregation import Aggregate
from mien.networks.temporal import TemporalKind
from mien.training.recipe.start import describe_backbone


class Settings(BaseModel):
    """What the parts share: they are frozen and take no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Backbone(Settings):
    """A timm backbone and where its start weights come from.

    ``weights`` is null, ``hub``, a ``.safetensors`` file, or the name or ``.onnx`` file of an
    exported model; with weights, ``license_terms`` must say where they come from and under which
    license, because that travels with the model; ``licenses`` says it work by work, and without it
    commercial use is unclear. An exported model says so itself, and its
    architecture (see :func:`mien.training.recipe.start.describe_backbone`).
    ``restore_batch_norm`` is for weights whose batch norm was folded into the convolutions.
    ``frozen`` keeps the backbone as it is: its maps of the training faces are computed once, as
    they are and in so many ``augmented_views``, and only what stands above is trained.
    """

    name: str = "mobilenetv1_100"
    weights: str | None = None
    license_terms: str = ""
    licenses: Licenses = ()
    arguments: dict[str, Any] = Field(default_factory=dict)
    restore_batch_norm: bool = False
    frozen: bool = False
    augmented_views: int = Field(default=3, ge=0, le=63)

    @model_validator(mode="before")
    @classmethod
    def _models_describe_themselves(cls, settings: Any) -> Any:
        return describe_backbone(settings) if isinstance(settings, dict) else settings

    @model_validator(mode="after")
    def _frozen_has_something_to_keep(self) -> Backbone:
        if self.frozen and self.weights is None:
            raise ValueError(
                "a frozen backbone needs backbone.weights, as random features would stay random; "
                "name a shipped model (mien models), an exported one or a run's model.safetensors, "
                "or set backbone.frozen to false"
            )
        return self

    @model_validator(mode="after")
    def _license_terms_travel(self) -> Backbone:
        if self.weights is not None and not self.license_terms:
            raise ValueError(
                "start weights need backbone.license_terms: one sentence with their source and "
                "license"
            )
        return self


class Embedding(Settings):
    """Size of the embedding (null: the pooled features) and what makes it.

    ``hidden_size`` adds a layer with ReLU before it; ``slices`` cuts it into parts that are scaled
    to unit rows one by one; ``pooling`` is how the last map becomes a row; ``dropout`` acts before
    the heads.
    """

    size: int | None = Field(default=None, ge=2, le=8_192)
    hidden_size: int | None = Field(default=None, ge=2, le=8_192)
    slices: int = Field(default=1, ge=1, le=8_192)
    pooling: Literal["average", "max"] = "average"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _slices_fit(self) -> Embedding:
        if self.hidden_size is not None and self.size is None:
            raise ValueError("a hidden layer stands before an embedding; set embedding.size too")
        if self.slices > 1 and (self.size is None or self.size % self.slices):
            raise ValueError(
                f"expected an embedding.size that {self.slices} slices share evenly, "
                f"got {self.size}"
            )
        return self


class Attention(Settings):
    """Selective attention: ``pixel`` weighs the places of the last map, ``element`` the dimensions.

    Element-wise weights reach the losses ``center`` and ``triplet-center``. With ``attended``
    false the pixel-wise weights reach the element-wise ones only, not embedding and head.
    """

    pixel: bool = False
    element: bool = False
    attended: bool = True

    @model_validator(mode="after")
    def _pixels_reach_something(self) -> Attention:
        if self.pixel and not self.attended and not self.element:
            raise ValueError(
                "pixel-wise attention that is not attended needs attention.element, as nothing "
                "else would train it"
            )
        return self


class Temporal(Settings):
    """How the frames of a clip become one row, and the clips of a recording one prediction.

    ``kind`` and its width ``hidden_size`` are for backbones that read a clip frame by frame.
    ``aggregate`` makes the prediction of a recording of those of its clips; ``trimmed`` is the
    mean without the lowest and the highest quarter.
    """

    kind: TemporalKind = "gru"
    hidden_size: int = Field(default=128, ge=2, le=8_192)
    aggregate: Aggregate = "mean"


class Graph(Settings):
    """An emotion graph that makes the classifiers of expression, valence and arousal.

    Its edges come from Spearman's correlation of the training ``labels``, from a JSON file with
    one (``nodes``, names, and ``correlation``, a matrix), or with ``identity`` there are none (the
    control); ``threshold``, ``weight`` and ``normalization`` make them as
    :func:`mien.networks.graph.emotion_adjacency` says. ``nodes`` are ``one-hot``, ``learned`` of
    ``node_size``, or a text file of word vectors; ``hidden_size`` is the width between the layers.
    """

    adjacency: str = "labels"
    threshold: float = Field(default=0.1, gt=0, le=1)
    weight: float = Field(default=0.5, ge=0, lt=1)
    normalization: Literal["released", "symmetric"] = "released"
    nodes: str = "one-hot"
    node_size: int = Field(default=300, ge=1, le=8_192)
    hidden_size: int = Field(default=512, ge=1, le=8_192)

    @model_validator(mode="after")
    def _adjacency_is_known(self) -> Graph:
        if self.adjacency not in ("labels", "identity") and not self.adjacency.endswith(".json"):
            raise ValueError(
                f"expected an adjacency labels, identity or a .json file, got {self.adjacency!r}"
            )
        return self


class Sampler(Settings):
    """Plain shuffled batches, or P x K: ``classes`` x ``samples`` rows per batch.

    There are at most as many ``classes`` in a batch as the training rows have.

    Of clips, a batch holds ``batch_size`` different recordings from all over the scale, whatever
    ``kind`` says.
    """

    kind: Literal["shuffled", "class-balanced"] = "shuffled"
    batch_size: int = Field(default=64, ge=2, le=65_536)
    classes: int = Field(default=7, ge=2, le=1024)
    samples: int = Field(default=8, ge=1, le=1024)


class Optimizer(Settings):
    """AdamW or SGD; ``clip`` bounds the gradient's norm.

    Weight decay spares biases, norms and slopes.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    clip: float = Field(default=5.0, gt=0)


class Schedule(Settings):
    """Linear warm-up, then a cosine down to ``final`` times the learning rate."""

    epochs: int = Field(default=10, ge=1, le=1_000_000)
    warmup: float = Field(default=0.5, ge=0, description="in epochs")
    final: float = Field(default=1e-3, ge=0, le=1)
