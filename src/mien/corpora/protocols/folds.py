"""Folds: the split of every row of a dataset, once or several times.

Nothing here draws numbers: an assignment follows from names alone, so it is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.corpora.splitting import cut, rank
from mien.data.dataset import Dataset
from mien.errors import MienError

UNUSED = "unused"
"""The split of rows that a protocol leaves out."""

Splits = NDArray[Any]
"""The name of a split for each of N rows, ``(N,)``."""

Scored = NDArray[np.bool_]
"""Which rows a protocol scores, ``(N,)``; the others are left out."""

Folds = Callable[[Dataset, Scored], list[Splits]]


def official(
    dataset: Dataset,
    scored: Scored,
    *,
    tested: str = "test",
    column: str = "split",
    valid: float = 0.1,
) -> list[Splits]:
    """One fold: the corpus's own part ``tested`` is test.

    Its own part valid selects the epoch where it is another one. Where there is none, a fraction
    ``valid`` of the units of train does: of subjects, else of videos, else of rows.
    """
    stored = dataset.column(column)
    splits = np.full(len(dataset), UNUSED, object)
    splits[stored == "train"] = "train"
    if tested != "valid":
        splits[stored == "valid"] = "valid"
    splits[stored == tested] = "test"
    splits[~scored] = UNUSED
    if not (splits == "test").any():
        names = ", ".join(sorted({str(name) for name in stored if name}))
        raise MienError(
            f"expected rows in {tested} in the column {column} of {dataset.folder}, got only "
            f"{names or 'none'}: prepare the corpus again, as it was published"
        )
    return [_cut_valid(dataset, splits, valid)]


def k_folds(dataset: Dataset, scored: Scored, *, k: int) -> list[Splits]:
    """``k`` folds: subjects in the order of their names are dealt out in turn.

    In fold i the i-th part is test, the next one selects the epoch, the others are train.
    """
    subjects = _subjects(dataset)
    names = sorted({name for name, row in zip(subjects, scored, strict=True) if row})
    if len(names) < k or k < 3:
        raise MienError(
            f"expected at least {max(k, 3)} subjects in {dataset.folder} for {k} folds, got "
            f"{len(names)}: prepare the whole corpus"
        )
    part_of = {name: number % k for number, name in enumerate(names)}
    parts = np.array([part_of.get(name, -1) for name in subjects])
    return [_dealt(parts, scored, number, (number + 1) % k) for number in range(k)]


def leave_one_subject_out(dataset: Dataset, scored: Scored) -> list[Splits]:
    """As many folds as subjects: each is test once, and the next one selects the epoch."""
    subjects = np.array(_subjects(dataset), object)[scored]
    return k_folds(dataset, scored, k=len(set(subjects)))


def stored_folds(dataset: Dataset, scored: Scored, *, k: int, valid: float = 0.1) -> list[Splits]:
    """``k`` folds as the corpus published them, in the column ``fold``: the i-th is test.

    A fraction ``valid`` of the videos of the others selects the epoch.
    """
    folds = np.nan_to_num(dataset.column("fold").astype(float), nan=0).astype(int)
    if missing := [number for number in range(1, k + 1) if not (folds == number).any()]:
        raise MienError(
            f"expected the folds 1 to {k} in {dataset.folder}, got none of "
            f"{', '.join(map(str, missing))}: prepare the corpus again with the lists of all sets"
        )
    parts = []
    for number in range(1, k + 1):
        splits = np.where(folds == number, "test", "train").astype(object)
        splits[~scored] = UNUSED
        parts.append(_cut_valid(dataset, splits, valid))
    return parts


def subject_disjoint(
    dataset: Dataset, scored: Scored, *, valid: float = 0.2, test: float = 0.2
) -> list[Splits]:
    """One fold in which no subject is in two splits, by a hash of their names."""
    splits = _by_rank(_subjects(dataset), valid=valid, test=test)
    splits[~scored] = UNUSED
    return [splits]


def _dealt(parts: NDArray[np.int64], scored: Scored, tested: int, selecting: int) -> Splits:
    splits = np.full(len(parts), "train", object)
    splits[parts == selecting] = "valid"
    splits[parts == tested] = "test"
    splits[~scored] = UNUSED
    return splits


def _cut_valid(dataset: Dataset, splits: Splits, fraction: float) -> Splits:
    if (splits == "valid").any():
        return splits
    rows = np.flatnonzero(splits == "train")
    splits = splits.copy()
    splits[rows] = _by_rank(_units(dataset)[rows].tolist(), valid=fraction, test=0.0)
    return splits


def _by_rank(names: Iterable[str], *, valid: float, test: float) -> Splits:
    names = list(names)
    ranks = {name: rank(0, name) for name in set(names)}
    cuts = cut(ranks.values(), valid=valid, test=test)
    return np.array([cuts.split(ranks[name]) for name in names], object)


def _units(dataset: Dataset) -> NDArray[Any]:
    """What must not be in two splits: what the reader says, else subject, else video, else row."""
    present = set(dataset.column_names)
    names = [name for name in ("unit", "subject", "video", "id") if name in present]
    rows = zip(*(dataset.column(name) for name in names), strict=True)
    return np.array([next(filter(None, row)) for row in rows], object)


def _subjects(dataset: Dataset) -> list[str]:
    names = dataset.column("subject").tolist()
    if missing := sum(name is None for name in names):
        raise MienError(
            f"expected a subject for each row of {dataset.folder}, got {missing:,} without: folds "
            f"by subject need to know who is who"
        )
    return [str(name) for name in names]


TEN_FOLDS = partial(k_folds, k=10)
FIVE_STORED_FOLDS = partial(stored_folds, k=5)
