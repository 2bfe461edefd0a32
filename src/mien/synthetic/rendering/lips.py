"""How far the lips of a rendered face are parted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from mien.schema import FloatArray
from mien.synthetic.actions import face_units
from mien.synthetic.rendering.head import PARTS, load_head
from mien.synthetic.rendering.subject import Subject

_PARTING = 25


class _Lips(NamedTuple):
    """The vertices in the middle of each lip, and their heights by face unit, ``(8,)`` each."""

    upper: np.ndarray[tuple[int], np.dtype[np.int64]]
    lower: np.ndarray[tuple[int], np.dtype[np.int64]]
    upper_units: dict[str, FloatArray]
    lower_units: dict[str, FloatArray]


def lips_parted(subject: Subject, units: Mapping[str, float]) -> float:
    """How far the lips are parted in the middle, in [0, 1]; 1 is AU25 at full strength, or more.

    ``units`` are the weights of all face units of the face. AU25 is what shows, as in FACS: lips
    that a falling jaw or a raised upper lip parts are parted, and a smile or a pressed mouth can
    close what would have been.
    """
    return float(np.clip(_gap(subject.vertices, units) / _full_gap(), 0.0, 1.0))


def _gap(vertices: FloatArray, units: Mapping[str, float]) -> float:
    """The height of the slit in decimeters; negative where the lips press into each other."""
    lips = _lips()
    upper, lower = vertices[lips.upper, 1], vertices[lips.lower, 1]
    for name, weight in units.items():
        upper = upper + weight * lips.upper_units[name]
        lower = lower + weight * lips.lower_units[name]
    return float(upper.min() - lower.max())


@cache
def _full_gap() -> float:
    return _gap(load_head().vertices, face_units({_PARTING: (1.0, 1.0)}))


@cache
def _lips() -> _Lips:
    head = load_head()
    middle = np.flatnonzero(
        (head.lips > 0.5) & (abs(head.vertices[:, 0]) < 0.01) & (head.parts == PARTS.index("skin"))
    )
    # The jaw takes the lower lip along, and the upper lip hardly.
    falls = head.units["jawOpen"][middle, 1] < -0.2
    upper, lower = middle[~falls], middle[falls]
    return _Lips(
        upper,
        lower,
        {name: offsets[upper, 1] for name, offsets in head.units.items()},
        {name: offsets[lower, 1] for name, offsets in head.units.items()},
    )
