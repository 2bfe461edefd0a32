"""Action units: which muscles of the face act, each present or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from mien.heads.head import Arrays, Head, HeadInfo, HeadSettings, Labels, Validation
from mien.heads.wording import percent
from mien.labels import ACTION_UNIT_PRESENT, ACTION_UNITS
from mien.metrics.classification import confusion_matrix, f1
from mien.metrics.metric import Metric
from mien.schema import Prediction

if TYPE_CHECKING:
    import pyarrow as pa


class ActionUnitSettings(HeadSettings):
    """One linear output of the embedding per unit; ``bias`` adds one to each."""

    bias: bool = True


class ActionUnitInfo(HeadInfo):
    """The units, and the probability from which each counts as present.

    ``thresholds`` are those with the highest F1 on the split valid, 0.5 where it cannot say.
    """

    units: tuple[str, ...] = ACTION_UNITS
    thresholds: tuple[float, ...] = (0.5,) * len(ACTION_UNITS)

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


def presence(targets: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells of ``(N, K)`` targets are annotated, and in which the unit is present."""
    annotated = ~np.isnan(targets)
    return annotated, annotated & (np.nan_to_num(targets) >= ACTION_UNIT_PRESENT)


def _mean_over_units(
    measure: Callable[[NDArray[np.bool_], NDArray[Any]], float],
) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """The mean over the units that have annotated rows both with and without it, else 0."""

    def mean(targets: NDArray[Any], probabilities: NDArray[Any]) -> float:
        annotated, present = presence(targets)
        values = [
            measure(present[rows, unit], probabilities[rows, unit])
            for unit, rows in enumerate(annotated.T)
            if 0 < present[rows, unit].sum() < rows.sum()
        ]
        return float(np.mean(values)) if values else 0.0

    return mean


def _f1(present: NDArray[np.bool_], probabilities: NDArray[Any]) -> float:
    decisions = (probabilities >= 0.5).astype(np.int64)
    return float(f1(confusion_matrix(present.astype(np.int64), decisions, 2))[1])


def _auc(present: NDArray[np.bool_], probabilities: NDArray[Any]) -> float:
    # Here, because a reader of photos needs no scikit-learn.
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(present, probabilities))


class ActionUnitHead(Head[ActionUnitSettings, ActionUnitInfo]):
    """Target ``action_units`` ``(N, 12)`` in [0, 1], NaN where a unit is not annotated."""

    name = "action_units"
    title = "Action units"
    labels = "action units"
    columns = tuple(f"au{int(unit[2:]):02d}" for unit in ACTION_UNITS)
    metrics = (
        Metric(
            "mean_unit_auc",
            "Mean AUC",
            "mean over the units of the area under the ROC curve; 50 % is chance",
            "%",
            True,
            _mean_over_units(_auc),
        ),
        Metric(
            "mean_unit_f1",
            "Mean F1",
            "mean over the units of the F1 of their presence, at probability 0.5",
            "%",
            True,
            _mean_over_units(_f1),
        ),
    )
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
        """``action_units``, a struct with the probability of each unit."""
        import pyarrow as pa

        return {"action_units": pa.struct([(unit, pa.float32()) for unit in info.units])}

    def read(self, info: ActionUnitInfo, outputs: Arrays, row: int) -> dict[str, Any]:
        """The probability of each unit."""
        values = outputs["action_units"][row].tolist()
        return {"action_units": dict(zip(info.units, values, strict=True))}

    def phrase(self, info: ActionUnitInfo, prediction: Prediction) -> str:
        """The units that are present, with their probabilities: ``AU6 87 %, AU12 93 %``."""
        if not prediction.action_units:
            return ""
        thresholds = dict(zip(info.units, info.thresholds, strict=True))
        present = [
            f"{unit} {percent(value)}"
            for unit, value in prediction.action_units.items()
            if value >= thresholds[unit]
        ]
        return ", ".join(present) or "no action unit"

    def bars(self, prediction: Prediction) -> dict[str, float]:
        """The probability of each unit."""
        return prediction.action_units


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
