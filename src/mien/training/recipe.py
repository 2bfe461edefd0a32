"""A recipe: one YAML file that says everything about a training. Unknown keys are errors."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mien.data.augment import Augmentation
from mien.schema import MienError, Preprocessing
from mien.training.terms import TERMS, Term


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Backbone(_Settings):
    """A timm backbone and where its start weights come from.

    ``weights`` is null, ``hub`` or a ``.safetensors`` file; with weights, ``terms`` must say
    where they come from and under which licence, because that travels with the model.
    ``restore_batch_norm`` is for weights whose batch norm was folded into the convolutions.
    """

    name: str = "mobilenetv1_100"
    weights: str | None = None
    terms: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    restore_batch_norm: bool = False

    @model_validator(mode="after")
    def _terms_travel(self) -> Backbone:
        if self.weights is not None and not self.terms:
            raise ValueError(
                "start weights need backbone.terms: one sentence with their source and licence"
            )
        return self


class Embedding(_Settings):
    """Size of the embedding (null: the pooled features) and dropout before the head."""

    size: int | None = Field(default=None, ge=2)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class Sampler(_Settings):
    """Plain shuffled batches, or P x K: ``classes`` x ``samples`` rows a batch."""

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
    ``select`` the validation metric by which the kept epoch is chosen. ``preprocessing`` null
    takes the dataset's. ``mixup`` is the Beta parameter (0: off) and ``averaging`` the decay of
    the exponential moving average of the weights (0: off).
    """

    name: str
    paper: str = ""
    about: str = ""
    expect: str = ""
    seed: int = Field(default=0, ge=0)
    target: Literal["majority", "ferplus", "distribution"] = "majority"
    select: Literal["accuracy", "mean_class_accuracy", "macro_f1"] = "accuracy"
    preprocessing: Preprocessing | None = None
    backbone: Backbone = Backbone()
    embedding: Embedding = Embedding()
    losses: tuple[Term, ...] = Field(min_length=1)
    sampler: Sampler = Sampler()
    augmentation: Augmentation = Augmentation()
    mixup: float = Field(default=0.0, ge=0)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    averaging: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        metric = [loss.term for loss in self.losses if loss.term != "cross-entropy"]
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
            node = node[_position(node, part, change)]
        elif isinstance(node, dict):
            if node.get(part) is None:
                node[part] = {}
            node = node[part]
        else:
            raise MienError(f"--set {change}: {part!r} is inside a single value")
    if isinstance(node, list):
        node[_position(node, last, change)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise MienError(f"--set {change}: {last!r} is inside a single value")


def _position(items: list[Any], part: str, change: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        raise MienError(f"--set {change}: expected an item number below {len(items)}, got {part!r}")
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
    for model in (Recipe, Backbone, Embedding, Sampler, Optimizer, Schedule, Augmentation):
        keys.update(model.model_fields)
    for term in TERMS.values():
        keys.update(term.model_fields)
    keys.update(Preprocessing.model_fields)
    return sorted(keys)
