"""Who is in a set of rows, and whom two sets share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def subject_numbers(subjects: NDArray[Any]) -> NDArray[np.int64] | None:
    """A number for the subject of each of ``(N,)`` rows, or None where no subject is known.

    A row whose subject is unknown ("" or None) has a number of its own.
    """
    names = np.array(["" if name is None else str(name) for name in subjects])
    unknown = names == ""
    if unknown.all():
        return None
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int64)
    numbers[unknown] = names.size + np.arange(int(unknown.sum()))
    return numbers


def count_subjects(numbers: NDArray[np.int64] | None) -> int | None:
    """How many subjects rows with these numbers of :func:`subject_numbers` come from.

    Each row of an unknown subject counts as one; None where none is known.

    >>> count_subjects(subject_numbers(np.array(["a", "a", "", ""])))
    3
    """
    return None if numbers is None else len(np.unique(numbers))


def subject_names(subjects: NDArray[Any]) -> set[str]:
    """The names of the known subjects."""
    return set(subjects.astype(str).tolist()) - {""}


def subject_overlap(subjects: NDArray[Any], others: NDArray[Any]) -> set[str]:
    """The names of the known subjects that are in both.

    >>> subject_overlap(np.array(["a", "b", ""]), np.array(["b", ""]))
    {'b'}
    """
    return subject_names(subjects) & subject_names(others)


def subject_groups(subjects: NDArray[Any], training: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
    """``(N,)`` masks of rows: subject ``seen`` in training, ``unseen``, and ``unknown``."""
    names = subjects.astype(str)
    known = names != ""
    seen = known & np.isin(names, training.astype(str))
    return {"seen": seen, "unseen": known & ~seen, "unknown": ~known}
