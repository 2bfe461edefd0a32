"""Which rows of a dataset a recipe trains and validates on, and what they must have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset
from mien.data.targets import Targets
from mien.schema import MienError
from mien.training.recipe import Recipe

_WORDS = {"expression": "an expression", "valence_arousal": "valence and arousal"}


def training_rows(
    recipe: Recipe, dataset: Dataset, targets: Targets
) -> dict[str, NDArray[np.int64]]:
    """The rows of ``train`` and ``valid`` that some term of the recipe can use, ascending.

    Raises :class:`MienError` where a split has none, a term has nothing to learn from, the metric
    of ``select`` cannot be measured, or the recipe's batches cannot be made.
    """
    has = {
        "expression": targets.labels >= 0,
        "valence_arousal": ~np.isnan(targets.valence_arousal[:, 0]),
    }
    needs = {term.needs for term in recipe.losses}
    usable = np.any([has[need] for need in needs], axis=0)
    rows = {split: _usable(dataset, usable, split) for split in ("train", "valid")}
    for term in recipe.losses:
        if not has[term.needs][rows["train"]].any():
            raise MienError(
                f"expected training faces with {_WORDS[term.needs]} for the term {term.term}, got "
                f"none in {dataset.folder}; train on a dataset that has them, or drop the term "
                "(valence and arousal: with head.valence_arousal)"
            )
    measured = "valence_arousal" if recipe.select == "mean_ccc" else "expression"
    if not has[measured][rows["valid"]].any():
        raise MienError(
            f"expected faces with {_WORDS[measured]} in the split valid, which select="
            f"{recipe.select} is measured on, got none in {dataset.folder}; set select to another "
            "metric or prepare a split valid that has them"
        )
    if recipe.sampler.kind == "class-balanced":
        _check_balanced(recipe, targets.labels[rows["train"]])
    return rows


def _usable(dataset: Dataset, usable: NDArray[np.bool_], split: str) -> NDArray[np.int64]:
    rows = np.flatnonzero((dataset.splits == split) & usable)
    if not len(rows):
        found = ", ".join(sorted(set(dataset.splits)))
        raise MienError(
            f"expected labeled faces in the splits train and valid, got none in {split!r} of "
            f"{dataset.folder} (it has {found}); prepare it again with both, for a folder of your "
            "own with --valid-from-train 0.1"
        )
    return rows


def _check_balanced(recipe: Recipe, labels: NDArray[np.int64]) -> None:
    wanted, found = recipe.sampler.classes, len(np.unique(labels[labels >= 0]))
    if found < wanted:
        raise MienError(
            f"expected at least {wanted} classes in the training rows for the recipe's batches, "
            f"got {found}; train with --set sampler.classes={found}"
        )
    if without := int(np.sum(labels < 0)):
        raise MienError(
            f"class-balanced batches have no place for the {without:,} training faces without an "
            "expression; train with --set sampler.kind=shuffled"
        )
