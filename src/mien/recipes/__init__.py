"""The recipes that come with mien: one YAML file each, which :mod:`mien.training.recipe` reads."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from mien.errors import MienError, did_you_mean


def list_recipes() -> list[str]:
    """The names of the recipes that come with mien."""
    folder = files("mien.recipes")
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def read_recipe(name: str) -> str:
    """The YAML text of a recipe that comes with mien.

    Raises :class:`~mien.errors.MienError`, which lists the names, for an unknown one.
    """
    names = list_recipes()
    if name not in names:
        raise MienError(
            f"expected a recipe file or one of {', '.join(names)}, got {name!r}"
            f"{did_you_mean(name, names)}"
        )
    return (files("mien.recipes") / f"{name}.yaml").read_text("utf-8")


def recipe_text(name_or_file: str | os.PathLike[str]) -> str:
    """The YAML text of a recipe file, or of a recipe that comes with mien.

    Raises :class:`~mien.errors.MienError` for a file that cannot be read and an unknown name.
    """
    path = Path(name_or_file)
    if path.suffix not in {".yaml", ".yml"} and not path.exists():
        return read_recipe(str(name_or_file))
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MienError(f"expected a readable recipe file, got {path}: {error}") from None
