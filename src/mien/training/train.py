"""Train a recipe on datasets: what ``mien train`` and ``mien.train`` call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mien.data.concat import concat_datasets
from mien.data.dataset import Dataset
from mien.training.fit import fit
from mien.training.ranks.hardware import ONE_DEVICE, Hardware
from mien.training.recipe import Recipe, load_recipe
from mien.training.selection import selecting_on

Data = str | os.PathLike[str] | Dataset
"""A dataset, or the folder of one."""


def train(
    recipe: str | Path | Recipe,
    data: Data | Sequence[Data],
    out: str | os.PathLike[str],
    *,
    changes: Iterable[str] = (),
    resume: bool = False,
    threads: int | None = None,
    features: str | os.PathLike[str] | None = None,
    hardware: Hardware = ONE_DEVICE,
    select_on: str = "valid",
    unsafe_select_on_test: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_features: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Train ``recipe`` on ``data`` into the run folder ``out``, and return the folder.

    Parameters
    ----------
    recipe
        The name of a recipe that comes with mien, a YAML file, or a :class:`Recipe`.
    data
        A dataset or its folder, or several, which are joined.
    out
        The run folder to create.
    changes
        Changes of a recipe given by name or file, each ``"key.key=value"``.
    select_on, unsafe_select_on_test
        As for :func:`mien.training.selection.selecting_on`.
    hardware
        On what to train, a :class:`mien.training.ranks.hardware.Hardware`.
    resume, threads, features, on_epoch, on_features
        As for :func:`mien.training.fit.fit`.

    Raises :class:`~mien.errors.MienError` for an unknown recipe or key, and where the recipe does
    not fit the datasets.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, changes)
    elif changes := list(changes):
        raise TypeError(f"expected changes with a recipe by name or file, got {changes}")
    parts = [data] if isinstance(data, str | os.PathLike | Dataset) else list(data)
    dataset = concat_datasets(
        [part if isinstance(part, Dataset) else Dataset.open(part) for part in parts]
    )
    dataset, selected_on = selecting_on(dataset, select_on, unsafe=unsafe_select_on_test)
    return fit(
        recipe,
        dataset,
        Path(out),
        resume=resume,
        threads=threads,
        features=None if features is None else Path(features),
        hardware=hardware,
        selected_on=selected_on,
        on_epoch=on_epoch,
        on_features=on_features,
    )
