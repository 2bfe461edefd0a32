"""Action units: which muscles of the face act, each present or not, or how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from mien.heads.head import Arrays, Head, HeadInfo, HeadSettings, Labels, Validation
from mien.heads.wording import percent
from mien.labels import ACTION_UNITS
from mien.metrics import multilabel
from mien.metrics.multilabel import presence
from mien.schema import Prediction

if TYPE_CHECKING:
    import pyarrow as pa


class ActionUnitSettings(HeadSettings):
    """One linear output of the embedding per unit; ``bias`` adds one to each."""

    bias: bool = True


class ActionUnitInfo(HeadInfo):
    """The units, what their values say, and the value from which each counts as present.

    ``thresholds`` of a network's head are those with the highest F1 on the split valid, 0.5 where
    it cannot say. ``measure`` says whether values are probabilities that a unit is present, or
    intensities: 0 for a face at rest, 1 for the strongest movement, which are FACS's five degrees
    (A to E) divided by five. ``source`` is what gives them, the network's head or the blendshapes
    of the face's mesh (:mod:`mien.faces.action_units`).
    """

    units: tuple[str, ...] = ACTION_UNITS
    thresholds: tuple[float, ...] = (0.5,) * len(ACTION_UNITS)
    measure: Literal["probability", "intensity"] = "probability"
    source: Literal["network", "blendshapes"] = "network"

    @model_validator(mode="after")
    def _one_threshold_per_unit(self) -> ActionUnitInfo:
        if len(self.thresholds) != len(self.units) or len(set(self.units)) != len(self.units):
            raise ValueError(
                f"expected distinct units with one threshold each, got {len(self.units)} units "
                f"and {len(self.thresholds)} thresholds"
            )
        if not all(0 <= threshold <= 1 for threshold in self.thresholds):
            raise ValueError(f"expected thresholds in [0, 1], got {list(self.thresholds)}")
        return self


class ActionUnitHead(Head[ActionUnitSettings, ActionUnitInfo]):
    """Target ``action_units`` ``(N, 12)`` in [0, 1], NaN where a unit is not annotated."""

    name = "action_units"
    title = "Action units"
    labels = "action units"
    columns = tuple(f"au{int(unit[2:]):02d}" for unit in ACTION_UNITS)
    metrics = multilabel.ACTION_UNITS
    most_bars = 4
    Settings = ActionUnitSettings
    Info = ActionUnitInfo

    def describe(self, settings: ActionUnitSettings, labels: Labels) -> ActionUnitInfo:
        """The twelve units that are read."""
        return ActionUnitInfo()

    def architecture(self, settings: ActionUnitSettings, info: ActionUnitInfo) -> dict[str, Any]:
        """``units``, their number, and ``bias``."""
        return {"units": len(info.units), **settings.model_dump()}

    def outputs(self, info: ActionUnitInfo) -> dict[str, tuple[int, ...]]:
        """Probabilities ``(B, 12)`` that each unit is present."""
        return {"action_units": (len(info.units),)}

    def measured(self, arrays: Validation) -> tuple[NDArray[Any], NDArray[Any]]:
        """Both ``(N, 12)``."""
        return arrays.targets["action_units"], arrays.predictions["action_units"]

    def calibrate(self, info: ActionUnitInfo, arrays: Validation) -> ActionUnitInfo:
        """The thresholds."""
        targets, probabilities = self.measured(arrays)
        annotated, present = presence(targets)
        thresholds = tuple(
            _best_threshold(present[rows, unit], probabilities[rows, unit])
            for unit, rows in enumerate(annotated.T)
        )
        return info.model_copy(update={"thresholds": thresholds})

    def fields(self, info: ActionUnitInfo) -> dict[str, pa.DataType]:
        """``action_units``, a struct with the value of each unit."""
        import pyarrow as pa

        return {"action_units": pa.struct([(unit, pa.float32()) for unit in info.units])}

    def read(self, info: ActionUnitInfo, outputs: Arrays, row: int) -> dict[str, Any]:
        """The value of each unit; nothing for a row of NaN, a face without a mesh."""
        values = outputs["action_units"][row]
        if np.isnan(values).all():
            return {"action_units": {}}
        return {"action_units": dict(zip(info.units, values.tolist(), strict=True))}

    def relative(
        self, info: ActionUnitInfo, outputs: Arrays, baseline: Arrays
    ) -> dict[str, NDArray[Any]]:
        """How much more of each unit there is than at rest, cut to [0, 1]."""
        difference = outputs["action_units"] - baseline["action_units"]
        return {"action_units": np.clip(difference, 0, 1).astype(np.float32)}

    def phrase(self, info: ActionUnitInfo, prediction: Prediction) -> str:
        """The units that are present: ``AU6 87 %, AU12 93 %``, or by intensity ``AU12 0.83``."""
        if not prediction.action_units:
            return ""
        show = percent if info.measure == "probability" else "{:.2f}".format
        thresholds = dict(zip(info.units, info.thresholds, strict=True))
        present = [
            f"{unit} {show(value)}"
            for unit, value in prediction.action_units.items()
            if value >= thresholds[unit]
        ]
        return ", ".join(present) or "no action unit"

    def bars(self, prediction: Prediction) -> dict[str, float]:
        """The value of each unit."""
        return prediction.action_units

    def bar_text(self, value: float) -> str:
        """A number in [0, 1], such as ``0.83``: an intensity is no share of anything."""
        return f"{value:.2f}"


def _best_threshold(present: NDArray[np.bool_], probabilities: NDArray[Any]) -> float:
    """Halfway between two neighboring probabilities, where F1 is highest; the lowest on a tie."""
    if not 0 < present.sum() < len(present):
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], np.cumsum(present[order])
    decided = np.arange(1, len(ranked) + 1)
    scores = 2 * hits / (decided + present.sum())
    # A threshold cannot part equal probabilities.
    parted = np.r_[ranked[:-1] > ranked[1:], True]
    best = int(np.flatnonzero(parted & (scores == scores[parted].max()))[-1])
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)
