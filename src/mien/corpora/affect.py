"""Valence and arousal as the tables of corpora give them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_NONE = -2.0  # AffectNet's mark for a face that was not rated


def valence_arousal(valence: Any, arousal: Any) -> Mapping[str, float | None]:
    """Two cells, numbers or text, as the columns of a dataset; both None where there is nothing.

    Empty cells, NaN and AffectNet's -2 are nothing. Raises ``ValueError`` with the reason why
    the row is left out: text, a value outside [-1, 1], or only one of the two.

    >>> valence_arousal("-0.5", 1), valence_arousal(-2, -2)
    ({'valence': -0.5, 'arousal': 1.0}, {'valence': None, 'arousal': None})
    """
    found = {"valence": _number("valence", valence), "arousal": _number("arousal", arousal)}
    missing = [name for name, value in found.items() if value is None]
    if len(missing) == 1:
        raise ValueError(f"no {missing[0]} beside the other")
    return found


def _number(name: str, cell: Any) -> float | None:
    if cell is None or not str(cell).strip():
        return None
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"{name} is no number: {cell!r}") from None
    if math.isnan(value) or value == _NONE:
        return None
    if not -1 <= value <= 1:
        raise ValueError(f"{name} outside [-1, 1]: {value:g}")
    return value
