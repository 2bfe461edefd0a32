"""Valence and arousal in the tables of corpora."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mien.corpora.text_tables import number_of

_NOT_LABELED = -2.0  # the mark of AffectNet


def valence_arousal(valence: Any, arousal: Any) -> Mapping[str, float | None]:
    """Read two cells, numbers or text, as columns of a dataset; both None where not rated.

    Empty cells, NaN and AffectNet's -2 are not rated. Raises ``ValueError`` with the reason for
    leaving out the row: text, a value outside [-1, 1], or only one of the two.

    >>> valence_arousal("-0.5", 1), valence_arousal(-2, -2)
    ({'valence': -0.5, 'arousal': 1.0}, {'valence': None, 'arousal': None})
    """
    values = {"valence": _number("valence", valence), "arousal": _number("arousal", arousal)}
    missing = [name for name, value in values.items() if value is None]
    if len(missing) == 1:
        raise ValueError(f"{missing[0]} missing")
    return values


def _number(name: str, cell: Any) -> float | None:
    if cell is None or not str(cell).strip():
        return None
    try:
        value = number_of(cell)
    except ValueError:
        raise ValueError(f"{name} is not a number: {cell!r}") from None
    if math.isnan(value) or value == _NOT_LABELED:
        return None
    if not -1 <= value <= 1:
        raise ValueError(f"{name} outside [-1, 1]: {value:g}")
    return value
