"""Action units in the tables of corpora."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mien.corpora.text_tables import number_of
from mien.data.dataset import ACTION_UNIT_FIELDS

_COLUMNS = frozenset(field.name for field in ACTION_UNIT_FIELDS)
_NOT_ANNOTATED = (-1.0, 9.0)  # the marks of Aff-Wild2 and of BP4D


def action_unit_columns(names: Iterable[str]) -> dict[str, str]:
    """Find the columns of a table that hold action units, by the dataset's name for each.

    Raises ``ValueError`` where two columns name one unit.

    >>> action_unit_columns(["path", "AU1", "au12", "AU05"])
    {'au01': 'AU1', 'au12': 'au12'}
    """
    columns: dict[str, str] = {}
    for name in names:
        match = re.fullmatch(r"au[ _]?0*([1-9]\d?)", name.strip().lower())
        column = f"au{int(match[1]):02d}" if match else ""
        if column in columns:
            raise ValueError(f"both {columns[column]} and {name}")
        if column in _COLUMNS:
            columns[column] = name
    return columns


def action_units(cells: Mapping[str, Any]) -> dict[str, float | None]:
    """Read cells, numbers or text, as columns of a dataset: in [0, 1], None where not annotated.

    Empty cells, NaN, -1 (Aff-Wild2) and 9 (BP4D) are not annotated. Raises ``ValueError`` with
    the reason for leaving out the row: text, or another value outside [0, 1].

    >>> action_units({"au01": "1", "au12": 0.6, "au26": -1})
    {'au01': 1.0, 'au12': 0.6, 'au26': None}
    """
    return {name: _value(name, cell) for name, cell in cells.items()}


def _value(name: str, cell: Any) -> float | None:
    if cell is None or not str(cell).strip():
        return None
    try:
        value = number_of(cell)
    except ValueError:
        raise ValueError(f"{name} is not a number: {cell!r}") from None
    if math.isnan(value) or value in _NOT_ANNOTATED:
        return None
    if not 0 <= value <= 1:
        raise ValueError(f"{name} outside [0, 1]: {value:g}")
    return value
