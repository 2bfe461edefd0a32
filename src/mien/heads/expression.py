"""Expression: one class of a label space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mien.heads.head import Arrays, Head, HeadInfo, HeadSettings, Labels, Validation
from mien.heads.wording import percent
from mien.labels import LabelSpace
from mien.metrics import catalog
from mien.schema import Prediction

if TYPE_CHECKING:
    import pyarrow as pa


class ExpressionSettings(HeadSettings):
    """Linear classifiers of the embedding; ``bias`` adds one to each."""

    bias: bool = True


class Calibration(BaseModel):
    """How the probabilities were calibrated; the temperature is inside the exported network."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: float = Field(default=1.0, gt=0, le=1e6)
    method: str = "none"


class ExpressionInfo(HeadInfo):
    """The classes, their calibration, and when the model would rather not answer.

    ``abstain_below`` is the confidence under which a model abstains, None for always answering.
    """

    label_space: LabelSpace
    calibration: Calibration = Calibration()
    abstain_below: float | None = Field(default=None, ge=0, le=1)


class ExpressionHead(Head[ExpressionSettings, ExpressionInfo]):
    """Targets ``expression`` ``(N,)``, -1 unknown, and ``expression_distribution`` ``(N, C)``."""

    name = "expression"
    title = "Expression"
    labels = "an expression"
    columns = ("label",)
    metrics = catalog.EXPRESSION
    # On few faces many epochs are equally accurate.
    tie_breaker = catalog.by_name(catalog.EXPRESSION)["nll"]
    Settings = ExpressionSettings
    Info = ExpressionInfo

    def describe(self, settings: ExpressionSettings, labels: Labels) -> ExpressionInfo:
        """The dataset's classes."""
        return ExpressionInfo(label_space=labels.label_space)

    def architecture(self, settings: ExpressionSettings, info: ExpressionInfo) -> dict[str, Any]:
        """``classes`` and ``bias``."""
        return {"classes": len(info.label_space), **settings.model_dump()}

    def outputs(self, info: ExpressionInfo) -> dict[str, tuple[int, ...]]:
        """Probabilities ``(B, C)`` that sum to one by row."""
        return {"expression": (len(info.label_space),)}

    def measured(self, arrays: Validation) -> tuple[NDArray[Any], NDArray[Any]]:
        """Classes ``(N,)`` and probabilities ``(N, C)``."""
        return arrays.targets["expression"], arrays.predictions["expression"]

    def calibrate(self, info: ExpressionInfo, arrays: Validation) -> ExpressionInfo:
        """One temperature that fits the rows best; 1 where there are none."""
        targets = arrays.targets["expression"]
        if not len(targets):
            return info
        # Here, because a reader of photos needs no scipy.
        from mien.statistics.calibration import temperature_scale

        temperature = temperature_scale(arrays.outputs["expression"], targets, pool=arrays.pool)
        calibration = Calibration(temperature=temperature, method="temperature scaling on valid")
        return info.model_copy(update={"calibration": calibration})

    def fields(self, info: ExpressionInfo) -> dict[str, pa.DataType]:
        """``expression``, ``confidence`` and ``probabilities``, a struct with a field per class."""
        import pyarrow as pa

        return {
            "expression": pa.string(),
            "confidence": pa.float32(),
            "probabilities": pa.struct([(name, pa.float32()) for name in info.label_space.names]),
        }

    def read(self, info: ExpressionInfo, outputs: Arrays, row: int) -> dict[str, Any]:
        """The most probable class, its probability and those of all classes."""
        names, probabilities = info.label_space.names, outputs["expression"][row]
        top = int(np.argmax(probabilities))
        return {
            "expression": names[top],
            "confidence": float(probabilities[top]),
            "probabilities": dict(zip(names, probabilities.tolist(), strict=True)),
        }

    def doubt(self, info: ExpressionInfo, fields: Mapping[str, Any]) -> str:
        """A confidence below ``abstain_below``."""
        confidence, least = fields["confidence"], info.abstain_below
        if least is None or confidence >= least:
            return ""
        return f"confidence is {confidence:.3f}; the model answers from {least:.3f}"

    def phrase(self, info: ExpressionInfo, prediction: Prediction) -> str:
        """The class and its probability: ``happiness 87 %``."""
        if prediction.expression is None or prediction.confidence is None:
            return ""
        return f"{prediction.expression} {percent(prediction.confidence)}"

    def bars(self, prediction: Prediction) -> dict[str, float]:
        """The probabilities of the classes."""
        return prediction.probabilities
