"""Expressions as action units, and action units as face units of the mesh.

The action units of an expression follow EMFACS (Friesen and Ekman, EMFACS-7, 1983; Ekman, Friesen
and Hager, Facial Action Coding System, Investigator's Guide, 2002, table 10-1). Their strengths,
their variants, and how an action unit looks on the mesh (:data:`FACE_UNITS`, ARKit's names) are our
choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mien.labels import EXPRESSIONS
from mien.schema import FloatArray

RENDERED_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 20, 23, 24, 25, 26, 27)
"""The numbers of the action units that are rendered: all of :data:`mien.labels.ACTION_UNITS` and
eight more."""

FACE_UNITS: dict[int, dict[str, float]] = {
    1: {"browInnerUp": 1.9},
    2: {"browOuterUp": 1.6},
    # The mesh lowers brows evenly; a sneer pulls their inner ends down and together.
    4: {"browDown": 1.3, "noseSneer": 0.5, "browOuterUp": 0.2},
    5: {"eyeWide": 1.7},
    6: {"cheekSquint": 1.0, "eyeSquint": 0.35},
    7: {"eyeSquint": 0.75},
    9: {"noseSneer": 1.4, "mouthUpperUp": 0.4, "cheekSquint": 0.5, "browInnerUp": 0.5},
    10: {"mouthUpperUp": 1.3, "noseSneer": 0.2},
    11: {"mouthUpperUp": 0.35, "cheekSquint": 0.2},
    12: {"mouthSmile": 1.4},
    14: {"mouthDimple": 1.3, "mouthSmile": 0.2},
    15: {"mouthFrown": 1.9},
    16: {"mouthLowerDown": 1.1},
    17: {"mouthShrugLower": 1.3, "mouthShrugUpper": 0.5},
    20: {"mouthStretch": 1.7},
    # A press alone lifts the lip corners of the mesh.
    23: {"mouthPress": 0.4, "mouthFrown": 0.35, "mouthRollLower": 0.5, "mouthRollUpper": 0.4},
    24: {"mouthPress": 0.6, "mouthFrown": 0.5, "mouthRollLower": 0.4, "mouthRollUpper": 0.3},
    25: {"mouthLowerDown": 0.5, "mouthUpperUp": 0.45, "jawOpen": 0.06},
    26: {"jawOpen": 0.45},
    27: {"jawOpen": 0.85},
}
"""Action unit -> face units at full strength; units with two sides by their common name."""

_SIDED = frozenset(
    {
        *("browDown", "browOuterUp", "cheekSquint", "eyeSquint", "eyeWide", "mouthDimple"),
        *("mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch"),
        *("mouthUpperUp", "noseSneer"),
    }
)

PROTOTYPES: dict[str, tuple[dict[int, float], ...]] = {
    "neutral": ({},),
    "happiness": (
        {6: 0.9, 12: 1.0},
        {6: 1.0, 12: 1.0, 25: 0.8},
        {6: 0.9, 12: 0.9, 25: 1.0, 26: 0.6},
    ),
    "surprise": (
        {1: 1.0, 2: 1.0, 5: 0.9, 26: 1.0},
        {1: 0.9, 2: 1.0, 5: 1.0, 27: 0.8},
        {1: 1.0, 2: 0.9, 5: 0.8, 25: 0.6, 26: 0.6},
    ),
    "sadness": (
        {1: 1.0, 4: 0.7, 15: 1.0},
        {1: 1.0, 4: 0.6, 11: 0.5, 15: 0.9, 17: 0.6},
        {1: 0.9, 15: 1.0, 17: 0.8},
    ),
    "anger": (
        {4: 1.0, 5: 0.7, 7: 0.8, 23: 1.0},
        {4: 1.0, 5: 0.6, 7: 0.9, 17: 0.6, 24: 1.0},
        {4: 1.0, 5: 0.7, 7: 0.7, 10: 0.6, 16: 0.5, 25: 0.6, 26: 0.4},
    ),
    "disgust": (
        {9: 1.0, 15: 0.6, 16: 0.7},
        {9: 1.0, 10: 0.9, 17: 0.6},
        {9: 0.9, 10: 1.0, 16: 0.6, 25: 0.7},
    ),
    "fear": (
        {1: 1.0, 2: 0.7, 4: 0.7, 5: 1.0, 7: 0.3, 20: 1.0, 26: 0.6},
        {1: 1.0, 2: 0.6, 4: 0.8, 5: 1.0, 20: 1.0, 25: 0.9},
        {1: 0.9, 2: 0.7, 4: 0.6, 5: 1.0, 20: 0.8, 25: 0.6, 27: 0.4},
    ),
    "contempt": ({12: 0.6, 14: 1.0}, {14: 1.0, 10: 0.35}, {12: 0.5, 14: 0.9, 7: 0.3}),
}
"""Variants of each expression, by action unit; contempt is one-sided."""

_STRAY = (1, 2, 4, 6, 7, 12, 14, 15, 17, 24, 25)  # weak movements of a resting face


@dataclass(frozen=True, eq=False)
class Expression:
    """What a face shows.

    ``label`` is one of :data:`mien.labels.EXPRESSIONS`. ``intensity`` is in [0, 1], 0 for neutral.
    ``mixture`` ``(8,)``, in the order of the expressions, sums to one; neutral has the rest.
    ``actions`` maps an action unit to its strengths on the person's left and right.
    """

    label: str
    intensity: float
    mixture: FloatArray
    actions: dict[int, tuple[float, float]]

    def action_unit(self, number: int) -> float:
        """Return the strength of an action unit on its stronger side, in [0, 1]."""
        return min(1.0, max(self.actions.get(number, (0.0, 0.0))))


def draw_expression(
    label: str, generator: np.random.Generator, *, intensity: float | None = None
) -> Expression:
    """Draw an expression of a class: strength, variant, blend, asymmetry and stray movements.

    ``intensity`` is uniform in [0.5, 1] by default. Three in ten expressions are blended with up
    to 35 % of another. The label always has the largest share except for neutral's.
    """
    names = [name for name in EXPRESSIONS if name != "neutral"]
    mixture = np.zeros(len(EXPRESSIONS), np.float32)
    strength = 0.0
    if label != "neutral":
        strength = generator.uniform(0.5, 1.0) if intensity is None else intensity
    other = str(generator.choice([name for name in names if name != label]))
    share = generator.uniform(0.1, 0.35) * (generator.random() < 0.3)
    if label == "neutral":
        mixture[EXPRESSIONS.index(other)] = share * 0.4
    else:
        mixture[EXPRESSIONS.index(label)] = strength * (1 - share)
        mixture[EXPRESSIONS.index(other)] = strength * share
    mixture[0] = 1 - mixture.sum()

    sides: dict[int, list[float]] = {}
    for name, amount in zip(EXPRESSIONS, mixture.tolist(), strict=True):
        if name == "neutral" or amount <= 0:
            continue
        variants = PROTOTYPES[name]
        variant = variants[int(generator.integers(len(variants)))]
        _add(sides, variant, amount, generator, one_sided=name == "contempt")
    for number in _STRAY:
        if generator.random() < 0.12:
            _add(sides, {number: 1.0}, generator.uniform(0.0, 0.2), generator)
    actions = {n: (min(left, 1.0), min(right, 1.0)) for n, (left, right) in sorted(sides.items())}
    return Expression(label, float(strength), mixture, actions)


def _add(
    sides: dict[int, list[float]],
    variant: Mapping[int, float],
    amount: float,
    generator: np.random.Generator,
    *,
    one_sided: bool = False,
) -> None:
    tilt = generator.normal(0, 0.08)
    if one_sided:
        tilt = 1.0 if generator.random() < 0.5 else -1.0
    for number, strength in variant.items():
        value = amount * strength * float(np.clip(generator.normal(1, 0.15), 0.5, 1.4))
        lean = 0.85 * tilt if one_sided else tilt + generator.normal(0, 0.06)
        left, right = sides.get(number, [0.0, 0.0])
        # The stronger side keeps its strength.
        sides[number] = [left + value * min(1.0, 1 + lean), right + value * min(1.0, 1 - lean)]


def face_units(actions: Mapping[int, tuple[float, float]]) -> dict[str, float]:
    """Return the weights of the mesh's face units, by ARKit's names, for action units by side.

    >>> face_units({12: (1.0, 0.5)})
    {'mouthSmileLeft': 1.4, 'mouthSmileRight': 0.7}
    """
    units: dict[str, float] = {}
    for number, (left, right) in actions.items():
        for name, weight in FACE_UNITS[number].items():
            if name in _SIDED:
                for side, value in (("Left", left), ("Right", right)):
                    units[name + side] = units.get(name + side, 0.0) + weight * value
            else:
                units[name] = units.get(name, 0.0) + weight * max(left, right)
    return units
