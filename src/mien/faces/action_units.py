"""Action units of a face by the blendshapes of its mesh.

An intensity is the weighted sum of how far some of MediaPipe's 52 blendshapes are from their place
at rest, cut to [0, 1]; of one with a left and a right side, the stronger counts, as in FACS. Which
blendshapes show a unit follows from their descriptions (Apple, ARKit,
ARFaceAnchor.BlendShapeLocation) and those of the units (Ekman, Friesen and Hager, Facial Action
Coding System, 2002). The weights are our choice, made on rendered faces and on FER+'s split train;
least squares gave none that were better on others.

0 is a face at rest and 1 the strongest movement that the blendshapes know: FACS's five degrees, A
to E, stand at about 0.2 to 1. No human coder was compared with; how far the values agree with
rendered faces of known units and with votes on real ones is in ``benchmarks/action_units.md``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mien.heads.action_units import ActionUnitInfo
from mien.schema import FloatArray

WEIGHTS: dict[str, dict[str, float]] = {
    "AU1": {"browInnerUp": 1.0},
    "AU2": {"browOuterUp": 0.7, "browInnerUp": 0.4},
    "AU4": {"browDown": 1.3},
    "AU5": {"eyeWide": 2.5},
    # MediaPipe's cheekSquint and noseSneer are 0 on every face: AU6 and AU9 show beside them.
    "AU6": {"mouthSmile": 0.6, "eyeSquint": 0.4},
    "AU7": {"eyeSquint": 1.0, "browDown": 0.8},
    # A smile lifts the upper lip as well.
    "AU9": {"mouthUpperUp": 0.8, "browDown": 0.4, "mouthSmile": -0.5, "mouthLowerDown": -0.2},
    "AU10": {"mouthUpperUp": 1.0, "mouthSmile": -0.4},
    "AU12": {"mouthSmile": 1.0},
    "AU14": {"mouthDimple": 2.0},
    "AU15": {"mouthFrown": 1.5, "mouthShrugLower": 0.5, "mouthSmile": -0.2, "jawOpen": -0.2},
    "AU17": {"mouthShrugLower": 1.0},
    "AU20": {"mouthStretch": 1.5, "mouthSmile": -0.3},
    "AU23": {"mouthPress": 0.8, "mouthRollLower": 0.5, "mouthSmile": -0.2},
    "AU24": {"mouthPress": 1.0, "mouthSmile": -0.2},
    "AU25": {"mouthLowerDown": 1.0, "mouthUpperUp": 0.7, "jawOpen": 2.0},
    "AU26": {"jawOpen": 1.5, "mouthSmile": -0.1},
}
"""Action unit -> blendshapes and their weights; those with two sides by their common name."""

REST: dict[str, float] = {"browInnerUp": 0.1, "browOuterUp": 0.2, "eyeSquint": 0.35}
"""What blendshapes are taken to be in a face at rest; all others 0.

Of neutral faces, the medians are 0.04, 0.15 and 0.34 on FER+'s split train and 0.19, 0.20 and 0.28
on rendered ones.
"""

PRESENT = 0.2
"""The intensity from which a unit is shown as present: FACS's lowest degree."""

BY_BLENDSHAPES = ActionUnitInfo(
    units=tuple(WEIGHTS),
    thresholds=(PRESENT,) * len(WEIGHTS),
    measure="intensity",
    source="blendshapes",
)
"""What the values say of themselves in the metadata of tables."""


def intensities(blendshapes: Mapping[str, float]) -> FloatArray:
    """The intensities of the units of :data:`WEIGHTS`, ``(K,)``; NaN where there is no mesh.

    >>> values = intensities({"mouthSmileLeft": 0.2, "mouthSmileRight": 0.75})
    >>> float(values[list(WEIGHTS).index("AU12")])
    0.75
    """
    if not blendshapes:
        return np.full(len(WEIGHTS), np.nan, np.float32)
    sums = [
        sum(weight * _movement(blendshapes, name) for name, weight in parts.items())
        for parts in WEIGHTS.values()
    ]
    return np.clip(np.array(sums, np.float32), 0, 1)


def _movement(blendshapes: Mapping[str, float], name: str) -> float:
    """One blendshape, or the stronger side of it, less what it is at rest."""
    sides = (name, f"{name}Left", f"{name}Right")
    return max(blendshapes.get(side, 0.0) for side in sides) - REST.get(name, 0.0)
