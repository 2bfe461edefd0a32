"""Recipes by name or file, with changes from the command line."""

from __future__ import annotations

import contextlib
import re
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from mien.errors import MienError, did_you_mean
from mien.files import is_text
from mien.heads import HEADS
from mien.recipes import recipe_text
from mien.training.losses import LOSSES
from mien.training.recipe.recipe import Recipe


def load_recipe(name_or_file: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """A recipe by name or file, with ``key.key=value`` changes applied.

    Values are YAML; a list's items are addressed by number (``losses.0.weight=0.5``). Anything
    misspelt is a :class:`MienError` that names the closest key.
    """
    text = recipe_text(name_or_file)
    try:
        tree = yaml.safe_load(text)
    # ValueError: a date or a number that is none, such as 2001-99-99.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise MienError(f"expected a recipe in YAML, got {name_or_file}: {where}") from None
    if not isinstance(tree, dict):
        raise MienError(f"expected a recipe (a YAML mapping), got {name_or_file}")
    for change in changes:
        _apply(tree, change)
    if not is_text(tree):
        raise MienError(
            f"expected a recipe in text, got {name_or_file} with half of a letter: write it again"
        )
    try:
        return Recipe.model_validate(tree)
    except RecursionError:
        raise MienError(
            f"expected a recipe, got {name_or_file} with lists in lists without end"
        ) from None
    except ValidationError as error:
        raise MienError(f"recipe {name_or_file}: {_explain(error)}") from None


def _apply(tree: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise MienError(f"expected --set key=value, got {change[:80]!r}")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise MienError(f"expected a YAML value after '=', got {change[:80]!r}") from None
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
            raise MienError(f"--set {change[:80]}: {part[:40]!r} is inside a single value")
    if isinstance(node, list):
        place = _position(node, last, change)
        node[place : place + 1] = [value]
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise MienError(f"--set {change[:80]}: {last[:40]!r} is inside a single value")


def _position(items: list[Any], part: str, change: str) -> int:
    """Where in a list; the first free place appends."""
    if not re.fullmatch(r"[0-9]{1,9}", part) or int(part) > len(items):
        raise MienError(
            f"--set {change[:80]}: expected an item number up to {len(items)}, which appends, "
            f"got {part[:40]!r}"
        )
    return int(part)


def _explain(error: ValidationError) -> str:
    # A misspelt key first: what it left undone may be an error of its own.
    errors = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    if first["type"] == "extra_forbidden":
        *place, key = first["loc"]
        return f"unknown key {where!r}{did_you_mean(str(key), _keys_at(place))}"
    message = first["msg"].removeprefix("Value error, ")
    got = first.get("input")
    if first["type"] == "unknown_loss" and isinstance(got, dict):
        name = str(got.get("loss"))
        return f"{where}: {message}, got {name!r}{did_you_mean(name, LOSSES)}"
    shown = f", got {_shown(got)}" if isinstance(got, str | int | float | bool) else ""
    return f"{where}: {message[0].lower()}{message[1:]}{shown}"


def _shown(value: object) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def _keys_at(place: list[str | int]) -> list[str]:
    """The keys that a recipe may have at a place that pydantic names."""
    match place:
        case []:
            return list(Recipe.model_fields)
        case ["heads"]:
            return list(HEADS)
        case ["heads", str(head)]:
            return list(HEADS[head].Settings.model_fields)
        case ["losses", _, str(loss)]:
            return list(LOSSES[loss].model_fields)
        case [str(part)]:
            kind = Recipe.model_fields[part].annotation
            return next(
                list(model.model_fields)
                for model in (kind, *get_args(kind))
                if isinstance(model, type) and issubclass(model, BaseModel)
            )
    return []
