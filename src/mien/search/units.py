"""Requests for action units: "AU12 and AU6 without AU4"."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.labels import ACTION_UNIT_TITLES
from mien.search.index import FaceIndex

_UNIT = re.compile(r"AU0*([1-9][0-9]?)", re.IGNORECASE)
_WITH, _WITHOUT = ("and", "with", "+", ","), ("without", "not", "no", "but", "-")


class UnitRequest(NamedTuple):
    """Action units that a face is to show, and units that it is not to show."""

    present: tuple[str, ...]
    absent: tuple[str, ...]

    def __str__(self) -> str:
        parts = [" and ".join(self.present)]
        parts += [f"without {' or '.join(self.absent)}"] if self.absent else []
        return " ".join(filter(None, parts))


def parse_units(text: str) -> UnitRequest:
    """Read a request; every unit behind "without" is not wanted, until an "and" with "with".

    >>> parse_units("AU12 without AU6"), parse_units("au1+au2, not AU4 and with AU25")
    (UnitRequest(present=('AU12',), absent=('AU6',)), \
UnitRequest(present=('AU1', 'AU2', 'AU25'), absent=('AU4',)))

    Raises :class:`~mien.errors.MienError` for anything else, and for a unit that is both.
    """
    units: dict[str, bool] = {}
    wanted = True
    for token in re.findall(r"[A-Za-z]+\d*|\d+|[^\s\w]", text):
        lower = token.lower()
        if match := _UNIT.fullmatch(token):
            name = f"AU{match[1]}"
            if name not in ACTION_UNIT_TITLES:
                raise MienError(
                    f"expected an action unit ({', '.join(ACTION_UNIT_TITLES)}), got {token!r} in "
                    f"{text!r}; name one of them"
                )
            if units.setdefault(name, wanted) != wanted:
                raise MienError(
                    f"expected {name} either wanted or not, got both in {text!r}; leave one out"
                )
        elif lower in _WITHOUT:
            wanted = False
        elif lower == "with":
            wanted = True
        elif lower not in _WITH and lower != "or":
            raise MienError(
                f"expected action units such as 'AU12 and AU6 without AU4', got {token!r} in "
                f"{text!r}; write it so"
            )
    if not units:
        raise MienError(
            f"expected action units such as 'AU12 without AU6', got {text!r}; name one at least"
        )
    return UnitRequest(
        tuple(name for name, present in units.items() if present),
        tuple(name for name, present in units.items() if not present),
    )


def strengths(index: FaceIndex, request: UnitRequest) -> NDArray[np.float32]:
    """How well each row of an index fits a request, ``(N,)`` in [-1, 1]; NaN for one that does not.

    A row fits where every unit that is wanted is present and every other one that is named is
    absent, by the thresholds of the index; rows without values of one of them do not. Its strength
    is the weakest wanted unit less the strongest that is not wanted (our choice); without any
    wanted unit, one less that.

    Raises :class:`~mien.errors.MienError` for an index without these units.
    """
    units = index.info.units
    known = () if units is None else units.names
    asked = (*request.present, *request.absent)
    if units is None or (missing := [name for name in asked if name not in known]):
        got = f"only {', '.join(known)}" if known else "none"
        names = ", ".join(asked if units is None else missing)
        raise MienError(
            f"expected an index with values of {names}, got {got} in {str(index.folder)!r}; ask "
            "for others, or index photos, whose action units are read from their meshes"
        )
    thresholds = dict(zip(units.names, units.thresholds, strict=True))
    values = dict(zip(asked, index.unit_numbers(asked).T, strict=True))
    weakest = np.ones(len(index), np.float32)
    strongest = np.zeros(len(index), np.float32)
    fits = np.ones(len(index), np.bool_)
    for name in request.present:
        weakest = np.minimum(weakest, values[name])
        fits &= values[name] >= thresholds[name]
    for name in request.absent:
        strongest = np.maximum(strongest, values[name])
        fits &= values[name] < thresholds[name]
    return np.where(fits, weakest - strongest, np.float32(np.nan))
