"""Recipes by name or file, with changes from the command line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mien.data.augment import Augmentation
from mien.data.clips import Clips
from mien.errors import MienError, did_you_mean
from mien.heads import HEADS
from mien.recipes import read_recipe
from mien.schema import Preprocessing
from mien.training.losses import LOSSES
from mien.training.recipe.recipe import Recipe
from mien.training.recipe.settings import SETTINGS


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
    return read_recipe(name_or_file)


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
        return f"unknown key {where!r}{did_you_mean(str(first['loc'][-1]), _known_keys())}"
    message = first["msg"].removeprefix("Value error, ")
    got = first.get("input")
    shown = f", got {got!r}" if isinstance(got, str | int | float | bool) else ""
    return f"{where}: {message[0].lower()}{message[1:]}{shown}"


def _known_keys() -> list[str]:
    keys: set[str] = set()
    models: list[type[BaseModel]] = [Recipe, *SETTINGS, Augmentation, Clips, Preprocessing]
    models += [*LOSSES.values(), *(head.Settings for head in HEADS.values())]
    for model in models:
        keys.update(model.model_fields)
    return sorted({*keys, *HEADS})
