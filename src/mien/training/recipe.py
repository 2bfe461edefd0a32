"""A recipe: one YAML file that says everything about a training. Unknown keys are errors."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    model_validator,
)

from mien.data.augment import Augmentation
from mien.data.clips import Clips
from mien.metrics.aggregation import Aggregate
from mien.networks.clips import VIDEO_BACKBONES
from mien.schema import MienError, Preprocessing
from mien.training.head import Graph, Head
from mien.training.severity_terms import SEVERITY_TERMS
from mien.training.start import describe_backbone, expected_pixels
from mien.training.terms import TERMS, Term

SCORE_METRICS = ("mae", "rmse", "ccc")
LESS_IS_BETTER = ("mae", "rmse")
"""What a recipe of severity can be selected by, and those that are errors."""
_HEAD_TERMS = {
    "levels": {"label-distribution", "score-classification", "score-regression"},
    "score": {"score-regression"},
}


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Backbone(_Settings):
    """A timm backbone and where its start weights come from.

    ``weights`` is null, ``hub``, a ``.safetensors`` file, or the name or ``.onnx`` file of an
    exported model; with weights, ``terms`` must say where they come from and under which license,
    because that travels with the model. An exported model says so itself, and its architecture
    (see :func:`mien.training.start.describe_backbone`).
    ``restore_batch_norm`` is for weights whose batch norm was folded into the convolutions.
    ``frozen`` keeps the backbone as it is: its maps of the training faces are computed once, as
    they are and in ``views`` - 1 augmented views each, and only what stands above is trained.
    """

    name: str = "mobilenetv1_100"
    weights: str | None = None
    license_terms: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    restore_batch_norm: bool = False
    frozen: bool = False
    views: int = Field(default=4, ge=1, le=64)

    @model_validator(mode="before")
    @classmethod
    def _models_describe_themselves(cls, said: Any) -> Any:
        return describe_backbone(said) if isinstance(said, dict) else said

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
    def _terms_travel(self) -> Backbone:
        if self.weights is not None and not self.license_terms:
            raise ValueError(
                "start weights need backbone.license_terms: one sentence with their source and "
                "license"
            )
        return self


class Embedding(_Settings):
    """Size of the embedding (null: the pooled features) and what makes it.

    ``hidden`` adds a layer with ReLU before it; ``slices`` cuts it into parts that are scaled to
    unit rows one by one; ``pooling`` is how the last map becomes a row; ``dropout`` acts before
    the classification head.
    """

    size: int | None = Field(default=None, ge=2)
    hidden: int | None = Field(default=None, ge=2)
    slices: int = Field(default=1, ge=1)
    pooling: Literal["average", "max"] = "average"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _slices_fit(self) -> Embedding:
        if self.hidden is not None and self.size is None:
            raise ValueError("a hidden layer stands before an embedding; set embedding.size too")
        if self.slices > 1 and (self.size is None or self.size % self.slices):
            raise ValueError(
                f"expected an embedding.size that {self.slices} slices share evenly, "
                f"got {self.size}"
            )
        return self


class Attention(_Settings):
    """Selective attention: ``pixel`` weighs the places of the last map, ``element`` the dimensions.

    Element-wise weights reach the terms ``center`` and ``triplet-center``. With ``attended``
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


class Severity(_Settings):
    """Severity from clips: which head gives it, how frames become one row, how clips one score.

    ``head`` ``levels`` is a softmax over the scores, divided by ``temperature``, whose expectation
    is the severity; ``score`` a linear layer. ``temporal`` and its width ``hidden`` are for
    backbones that read a clip frame by frame. ``aggregate`` makes the score of a recording of those
    of its clips; ``trimmed`` is the mean without the lowest and the highest quarter.
    """

    head: Literal["levels", "score"] = "levels"
    temperature: float = Field(default=1.0, gt=0)
    temporal: Literal["gru", "convolution", "mean"] = "gru"
    hidden: int = Field(default=128, ge=2)
    clips: Clips = Clips()
    aggregate: Aggregate = "mean"


class Sampler(_Settings):
    """Plain shuffled batches, or P x K: ``classes`` x ``samples`` rows a batch.

    Of clips, a batch holds ``batch_size`` different recordings from all over the scale, whatever
    ``kind`` says.
    """

    kind: Literal["shuffled", "class-balanced"] = "shuffled"
    batch_size: int = Field(default=64, ge=2)
    classes: int = Field(default=7, ge=2)
    samples: int = Field(default=8, ge=1)


class Optimizer(_Settings):
    """AdamW or SGD; weight decay spares biases and norms; ``clip`` bounds the gradient's norm."""

    name: Literal["adamw", "sgd"] = "adamw"
    rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    clip: float = Field(default=5.0, gt=0)


class Schedule(_Settings):
    """Linear warm-up, then a cosine down to ``final`` times the rate."""

    epochs: int = Field(default=10, ge=1)
    warmup: float = Field(default=0.5, ge=0, description="in epochs")
    final: float = Field(default=1e-3, ge=0, le=1)


class Recipe(_Settings):
    """One training, completely described.

    ``target`` names the rule that makes labels from votes (see :mod:`mien.data.targets`);
    ``select`` the validation metric by which the kept epoch is chosen (``mean_ccc``: the mean of
    the concordances of valence and arousal; ``mae``, ``rmse`` and ``ccc`` are of recordings). With
    ``severity`` clips of recordings are read instead of faces, and ``head``, ``target`` and
    ``attention`` say nothing. What ``preprocessing`` does not say is the dataset's.
    ``mixup`` is the Beta parameter (0: off) and ``averaging`` the decay of the exponential moving
    average of the weights (0: off).
    """

    name: str
    paper: str = ""
    about: str = ""
    expect: str = ""
    seed: int = Field(default=0, ge=0)
    target: Literal["majority", "ferplus", "distribution"] = "majority"
    select: Literal[
        "accuracy", "mean_class_accuracy", "macro_f1", "mean_ccc", "mae", "rmse", "ccc"
    ] = "accuracy"
    preprocessing: Preprocessing | None = None
    backbone: Backbone = Backbone()
    embedding: Embedding = Embedding()
    attention: Attention = Attention()
    head: Head = Head()
    severity: Severity | None = None
    losses: tuple[Term, ...] = Field(min_length=1)
    sampler: Sampler = Sampler()
    augmentation: Augmentation = Augmentation()
    mixup: float = Field(default=0.0, ge=0)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    averaging: float = Field(default=0.0, ge=0, lt=1)

    @field_serializer("preprocessing")
    def _as_said(self, value: Preprocessing | None) -> dict[str, Any] | None:
        # A default written out would claim what the recipe leaves to the dataset.
        return None if value is None else value.model_dump(mode="json", exclude_unset=True)

    @model_validator(mode="after")
    def _task_fits(self) -> Recipe:
        of_scores = {loss.term for loss in self.losses if loss.needs == "severity"}
        others = [loss.term for loss in self.losses if loss.needs != "severity"]
        if self.severity is None:
            if of_scores:
                raise ValueError(
                    f"the term {min(of_scores)} learns scores of clips, and this recipe reads "
                    "faces; begin with the recipe dj-ldml, or set severity.head"
                )
            if self.select in SCORE_METRICS:
                raise ValueError(
                    f"select={self.select} is measured on scores of recordings, and this recipe "
                    "reads faces; select accuracy, say"
                )
            return self
        if others:
            raise ValueError(
                f"the term {others[0]} learns expressions of faces, and severity learns scores of "
                f"clips; take some of {', '.join(SEVERITY_TERMS)}"
            )
        if self.select not in SCORE_METRICS:
            raise ValueError(
                f"severity is selected by {', '.join(SCORE_METRICS)}, got select={self.select}"
            )
        wanted = _HEAD_TERMS[self.severity.head]
        if not wanted & of_scores:
            raise ValueError(
                f"nothing would train severity.head={self.severity.head}; add a term "
                f"{' or '.join(sorted(wanted))}"
            )
        if self.severity.head == "score" and of_scores & (_HEAD_TERMS["levels"] - wanted):
            raise ValueError("severity.head=score has no levels to learn; set it to levels")
        if self.attention.pixel or self.attention.element or self.mixup:
            raise ValueError("severity has no attention and no mixup; leave them out")
        if self.embedding.slices > 1 or self.embedding.pooling != "average":
            raise ValueError(
                "severity has one embedding of averaged maps; leave embedding.slices and "
                "embedding.pooling out"
            )
        if self.backbone.restore_batch_norm and not self.backbone.frozen:
            raise ValueError("severity cannot restore_batch_norm; set backbone.frozen to true")
        if self.backbone.frozen and self.backbone.name in VIDEO_BACKBONES:
            raise ValueError(
                f"backbone {self.backbone.name} reads clips at once and has no frames to keep; "
                "set backbone.frozen to false"
            )
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        if self.severity is not None:
            return self
        metric = [loss.term for loss in self.losses if loss.term != "cross-entropy"]
        if "multi-threshold" in metric and self.embedding.slices < 2:
            raise ValueError(
                "the term multi-threshold trains one slice at each threshold, and this embedding "
                "has a single one; set embedding.slices (8 slices of 64 dimensions, say)"
            )
        if self.attention.element and not any(loss.uses_attention for loss in self.losses):
            raise ValueError(
                "nothing would train attention.element; add a term center or triplet-center, or "
                "set it to false"
            )
        if self.head.valence_arousal and "concordance" not in metric:
            raise ValueError(
                "nothing would train head.valence_arousal; add a term concordance, or set it to "
                "false"
            )
        if not self.head.valence_arousal:
            asks = "the term concordance" if "concordance" in metric else "select=mean_ccc"
            if "concordance" in metric or self.select == "mean_ccc":
                raise ValueError(
                    f"{asks} needs valence and arousal, which this head does not give; set "
                    "head.valence_arousal to true or leave it out"
                )
        if self.mixup and self.backbone.frozen:
            raise ValueError(
                "mixup blends images, and a frozen backbone's maps are computed before; set "
                "mixup to 0 or backbone.frozen to false"
            )
        if self.mixup and metric:
            raise ValueError(
                f"mixup has no single label for {', '.join(metric)}; "
                "set mixup to 0 or drop the term"
            )
        if "cross-entropy" not in {loss.term for loss in self.losses}:
            raise ValueError(
                "without a cross-entropy term the classification head would stay untrained; add one"
            )
        return self

    def clip_architecture(self, top: int) -> dict[str, Any]:
        """What :func:`mien.networks.clips.build_clip_network` needs, for scores up to ``top``."""
        severity = self.severity or Severity()
        return {
            "backbone": self.backbone.name,
            "arguments": dict(self.backbone.arguments),
            **severity.model_dump(include={"temporal", "hidden", "head", "temperature"}),
            "embedding": self.embedding.model_dump(include={"size", "hidden"}),
            "dropout": self.embedding.dropout,
            "top": top,
        }

    def architecture(self, classes: int, graph: Graph | None = None) -> dict[str, Any]:
        """What :func:`mien.networks.network.build_network` needs, as ``model.json`` keeps it.

        ``graph`` is that of a graph head (see :func:`mien.training.head.graph_of`).
        """
        head = self.head.model_dump(include={"kind", "valence_arousal", "bias"})
        if graph is not None:
            nodes, size = self.head.nodes, self.head.node_size
            if graph.vectors is not None:
                nodes, size = "vectors", graph.vectors.shape[1]
            head |= {
                "adjacency": graph.adjacency.tolist(),
                "nodes": nodes,
                "node_size": size,
                "hidden": self.head.hidden,
            }
        return {
            "backbone": self.backbone.name,
            "arguments": dict(self.backbone.arguments),
            "embedding": self.embedding.model_dump(include={"size", "hidden", "slices"}),
            "pooling": self.embedding.pooling,
            "dropout": self.embedding.dropout,
            "attention": self.attention.model_dump(),
            "head": head,
            "classes": classes,
        }

    def preprocessing_for(self, dataset: Preprocessing) -> Preprocessing:
        """The dataset's preprocessing with what start weights expect and the recipe says."""
        said = (
            {} if self.preprocessing is None else self.preprocessing.model_dump(exclude_unset=True)
        )
        expected = expected_pixels(self.backbone.weights, dataset)
        return Preprocessing.model_validate(dataset.model_dump() | expected | said)

    def to_yaml(self) -> str:
        """The resolved recipe, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def recipe_names() -> list[str]:
    """The recipes that come with mien."""
    folder = resources.files("mien") / "recipes"
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def load_recipe(name_or_file: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """A recipe by name or file, with ``key.key=value`` changes applied.

    Values are YAML; a list's items are addressed by number (``losses.0.weight=0.5``). Anything
    misspelt is a :class:`MienError` that names the closest key.
    """
    text = _recipe_text(str(name_or_file))
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = str(error).replace("\n", " ")
        raise MienError(f"expected a recipe in YAML, got {name_or_file}: {where}") from None
    if not isinstance(tree, dict):
        raise MienError(f"expected a recipe (a YAML mapping), got {name_or_file}")
    for change in changes:
        _apply(tree, change)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise MienError(f"recipe {name_or_file}: {_explain(error)}") from None


def _recipe_text(name_or_file: str) -> str:
    path = Path(name_or_file)
    if path.suffix in {".yaml", ".yml"} or path.exists():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MienError(f"expected a readable recipe file, got {path}: {error}") from None
    if name_or_file not in recipe_names():
        raise MienError(
            f"expected a recipe file or one of {', '.join(recipe_names())}, got {name_or_file!r}"
        )
    return (resources.files("mien") / "recipes" / f"{name_or_file}.yaml").read_text("utf-8")


def _apply(tree: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise MienError(f"expected --set key=value, got {change!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise MienError(f"expected a YAML value after '=', got {change!r}") from None
    if isinstance(value, str):
        # YAML 1.1 reads 1e-3 as text; a number is what was meant.
        with contextlib.suppress(ValueError):
            value = float(value)
    *parents, last = key.split(".")
    node: Any = tree
    for part in parents:
        if isinstance(node, list):
            place = _position(node, part, change)
            if place == len(node):
                node.append({})
            node = node[place]
        elif isinstance(node, dict):
            if node.get(part) is None:
                node[part] = {}
            node = node[part]
        else:
            raise MienError(f"--set {change}: {part!r} is inside a single value")
    if isinstance(node, list):
        place = _position(node, last, change)
        node[place : place + 1] = [value]
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise MienError(f"--set {change}: {last!r} is inside a single value")


def _position(items: list[Any], part: str, change: str) -> int:
    """Where in a list; the first free place appends."""
    if not part.isdigit() or int(part) > len(items):
        raise MienError(
            f"--set {change}: expected an item number up to {len(items)}, which appends, "
            f"got {part!r}"
        )
    return int(part)


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(first["loc"][-1]), _known_keys(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"unknown key {where!r}{hint}"
    message = first["msg"].removeprefix("Value error, ")
    got = first.get("input")
    shown = f", got {got!r}" if isinstance(got, str | int | float | bool) else ""
    return f"{where}: {message[0].lower()}{message[1:]}{shown}"


def _known_keys() -> list[str]:
    keys: set[str] = set()
    for model in (
        Recipe,
        Backbone,
        Embedding,
        Attention,
        Head,
        Severity,
        Clips,
        Sampler,
        Optimizer,
        Schedule,
        Augmentation,
    ):
        keys.update(model.model_fields)
    for term in TERMS.values():
        keys.update(term.model_fields)
    keys.update(Preprocessing.model_fields)
    return sorted(keys)
