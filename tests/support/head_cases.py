"""Every head with labels, what it says of itself for them, targets, and perfect predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.heads import HEADS, Head, HeadInfo, HeadSettings, Labels
from mien.heads.action_units import ActionUnitInfo, ActionUnitSettings
from mien.heads.expression import ExpressionInfo, ExpressionSettings
from mien.heads.severity import SeverityInfo, SeveritySettings
from mien.heads.valence_arousal import ValenceArousalInfo, ValenceArousalSettings
from mien.labels import ACTION_UNITS, LabelSpace
from mien.scales import RESEARCH_ONLY, Scale

Arrays = dict[str, NDArray[Any]]

SPACE = LabelSpace(name="three", names=("neutral", "happiness", "anger"))
SCALE = Scale(name="of 24", top=24, bands=(("low", 0), ("high", 12)))
LABELS = Labels(SPACE, SCALE, "drawn by a test", "a folder")


@dataclass(frozen=True)
class HeadCase:
    """``targets`` makes those of some rows; ``perfect`` the outputs of a model that is right."""

    head: Head[Any, Any]
    settings: HeadSettings
    info: HeadInfo
    architecture: dict[str, Any]
    targets: Callable[[int], Arrays]
    perfect: Callable[[Arrays], Arrays]
    labels: Labels = field(default=LABELS)


def _units(rows: int) -> NDArray[np.float32]:
    present = (np.arange(rows)[:, None] + np.arange(len(ACTION_UNITS))) % 3 == 0
    values = np.float32(present)
    values[0, 0] = np.nan
    return values


CASES: dict[str, HeadCase] = {
    "expression": HeadCase(
        HEADS["expression"],
        ExpressionSettings(bias=False),
        ExpressionInfo(label_space=SPACE),
        {"classes": 3, "bias": False},
        lambda rows: {"expression": np.arange(rows) % 3},
        lambda targets: {"expression": np.eye(3)[targets["expression"]]},
    ),
    "valence_arousal": HeadCase(
        HEADS["valence_arousal"],
        ValenceArousalSettings(bias=False),
        ValenceArousalInfo(),
        {"bias": False},
        lambda rows: {
            "valence_arousal": np.stack(
                [np.linspace(-1, 1, rows), np.cos(np.arange(rows))], axis=1
            ).astype(np.float32)
        },
        lambda targets: {"valence_arousal": np.float64(targets["valence_arousal"])},
    ),
    "action_units": HeadCase(
        HEADS["action_units"],
        ActionUnitSettings(bias=False),
        ActionUnitInfo(),
        {"units": 12, "bias": False},
        lambda rows: {"action_units": _units(rows)},
        lambda targets: {"action_units": np.nan_to_num(targets["action_units"])},
    ),
    "severity": HeadCase(
        HEADS["severity"],
        SeveritySettings(temperature=2.0),
        SeverityInfo(scale=SCALE, use=f"{RESEARCH_ONLY} Trained on: drawn by a test"),
        {"top": 24, "kind": "levels", "temperature": 2.0},
        lambda rows: {"severity": np.linspace(0, 24, rows, dtype=np.float32)},
        lambda targets: {"severity": np.float64(targets["severity"])},
    ),
}
