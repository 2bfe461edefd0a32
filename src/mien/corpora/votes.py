"""Votes and groups in the tables of a user: which columns hold them, and what a row says."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mien.corpora.text_tables import number_of
from mien.labels import canonical_expression

GROUPS = (
    *("sex", "gender", "age", "age_group", "race", "ethnicity", "skin_tone", "fitzpatrick"),
    *("glasses", "beard", "angle", "lighting", "site"),
)
"""Columns that are kept as groups of people or pictures, besides those that begin with group."""

NO_CLASS = {"unknown": "unknown", "nf": "NF"}
"""Votes for no expression, as in FER+."""

THOUSAND = 1000
"""Shares are kept as votes in thousandths."""


def group_columns(names: Iterable[str]) -> dict[str, str]:
    """The columns of a table that name groups, by the dataset's name for each.

    >>> group_columns(["path", "Sex", "Age group", "group_site", "note"])
    {'sex': 'Sex', 'age_group': 'Age group', 'group_site': 'group_site'}
    """
    columns: dict[str, str] = {}
    for name in names:
        word = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
        if word in GROUPS or re.match(r"group(_|$)", word):
            columns.setdefault(word, name)
    return columns


def vote_columns(names: Iterable[str]) -> dict[str, str]:
    """The columns of a table that hold votes for an expression, by the expression; none below two.

    A column is named after an expression, with or without ``votes_`` before it.

    >>> vote_columns(["path", "votes_Happy", "sad", "NF"])
    {'happiness': 'votes_Happy', 'sadness': 'sad', 'NF': 'NF'}
    """
    columns: dict[str, str] = {}
    for name in names:
        word = re.sub(r"^votes?[ _]", "", name.strip().lower())
        try:
            # Codes of two or three letters (an, con, ...) may be anything in a table.
            words = len(word) > 3 or word in ("sad", "joy")
            expression = NO_CLASS.get(word) or (canonical_expression(word) if words else "")
        except ValueError:
            continue
        if expression:
            columns.setdefault(expression, name)
    classes = [name for name in columns if name not in NO_CLASS.values()]
    return columns if len(classes) >= 2 else {}


def votes(cells: Mapping[str, Any]) -> dict[str, int]:
    """Read cells as counts; shares, which sum to one, as thousandths. Empty where nobody voted.

    Raises ``ValueError`` with the reason for leaving out the row: text, a negative number, or a
    fraction of a vote.

    >>> votes({"anger": "3", "fear": ""}), votes({"anger": 0.25, "fear": 0.75})
    ({'anger': 3, 'fear': 0}, {'anger': 250, 'fear': 750})
    """
    values: dict[str, float] = {}
    for name, cell in cells.items():
        try:
            value = number_of(cell) if cell is not None and str(cell).strip() else 0.0
        except ValueError:
            raise ValueError(f"votes for {name} are not a number: {cell!r}") from None
        value = 0.0 if math.isnan(value) else value
        if not 0 <= value < 2**15 / THOUSAND:
            raise ValueError(f"votes for {name} outside 0 to 32: {value:g}")
        values[name] = value
    if math.isclose(sum(values.values()), 1, abs_tol=0.011):
        return {name: round(THOUSAND * value) for name, value in values.items()}
    if fractions := [name for name, value in values.items() if not value.is_integer()]:
        raise ValueError(f"votes for {fractions[0]} are neither counts nor shares of one")
    return {name: int(value) for name, value in values.items()} if any(values.values()) else {}
