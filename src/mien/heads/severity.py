"""Severity: the score of a depression scale, of a recording. Research output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mien.errors import MienError
from mien.heads.head import Arrays, Head, HeadInfo, HeadSettings, Labels, Validation
from mien.metrics import catalog
from mien.scales import RESEARCH_ONLY, Scale
from mien.schema import Prediction

if TYPE_CHECKING:
    import pyarrow as pa


class SeveritySettings(HeadSettings):
    """How the score is read off the embedding.

    ``kind`` ``levels`` is a softmax over the scores, its logits divided by ``temperature``, whose
    expectation is the severity; ``score`` is a linear layer.
    """

    kind: Literal["levels", "score"] = "levels"
    temperature: float = Field(default=1.0, gt=0)


class Conformal(BaseModel):
    """The interval around a score: ``half_width`` points each way, None with a ``reason``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    coverage: float = Field(default=0.9, gt=0, lt=1)
    half_width: float | None = Field(default=None, ge=0)
    subjects: int = 0
    split: str = "valid"
    reason: str = ""


class SeverityInfo(HeadInfo):
    """The scale, the interval, and in ``use`` what the score is for and what it is not.

    ``levels`` says whether the model also gives the distribution over the scores.
    """

    scale: Scale
    levels: bool = True
    conformal: Conformal = Conformal()
    use: str = RESEARCH_ONLY


class SeverityHead(Head[SeveritySettings, SeverityInfo]):
    """Target ``severity`` ``(N,)`` in points, NaN where unknown."""

    name = "severity"
    title = "Severity"
    labels = "a score"
    columns = ("severity",)
    metrics = catalog.SEVERITY
    parity_unit = 10.0  # points of a scale, where others lie within 0 and 1
    Settings = SeveritySettings
    Info = SeverityInfo

    def describe(self, settings: SeveritySettings, labels: Labels) -> SeverityInfo:
        """The dataset's scale."""
        if labels.scale is None:
            raise MienError(
                f"expected a dataset with scores for the head severity, got {labels.folder} "
                "without; prepare a video corpus, or make one with mien synth --videos"
            )
        return SeverityInfo(
            scale=labels.scale,
            levels=settings.kind == "levels",
            use=f"{RESEARCH_ONLY} Trained on: {labels.license_terms}",
        )

    def architecture(self, settings: SeveritySettings, info: SeverityInfo) -> dict[str, Any]:
        """``top``, ``kind`` and ``temperature``."""
        return {"top": info.scale.top, **settings.model_dump()}

    def outputs(self, info: SeverityInfo) -> dict[str, tuple[int, ...]]:
        """Severity ``(B,)`` in points within the scale, and the distribution over the scores."""
        levels = {"severity_levels": (info.scale.levels,)} if info.levels else {}
        return {"severity": (), **levels}

    def measured(self, arrays: Validation) -> tuple[NDArray[Any], NDArray[Any]]:
        """Both ``(N,)`` in points."""
        predictions = arrays.predictions["severity"]
        if not np.isfinite(predictions).all():
            raise FloatingPointError("the severity of a recording of valid became NaN")
        return np.asarray(arrays.targets["severity"], np.float64), predictions

    def calibrate(self, info: SeverityInfo, arrays: Validation) -> SeverityInfo:
        """The half width of the conformal interval, calibrated by subject."""
        from mien.statistics.conformal import calibrate

        targets, predictions = self.measured(arrays)
        entry = calibrate(targets, predictions, arrays.subjects)
        return info.model_copy(update={"conformal": Conformal.model_validate(entry)})

    def fields(self, info: SeverityInfo) -> dict[str, pa.DataType]:
        """``severity`` with its interval and band, and the statement of use."""
        import pyarrow as pa

        numbers = ("severity", "severity_low", "severity_high")
        return dict.fromkeys(numbers, pa.float32()) | {"band": pa.string(), "use": pa.string()}

    def read(self, info: SeverityInfo, outputs: Arrays, row: int) -> dict[str, Any]:
        """The score, its conformal interval (None without) and the band's name."""
        top = float(info.scale.top)
        value = min(max(float(outputs["severity"][row]), 0.0), top)
        half = info.conformal.half_width
        low, high = (
            (None, None) if half is None else (max(0.0, value - half), min(top, value + half))
        )
        return {
            "severity": value,
            "severity_low": low,
            "severity_high": high,
            "band": info.scale.band(value),
            "use": info.use,
        }

    def for_clip(self, info: SeverityInfo) -> SeverityInfo:
        """Without the interval, which is that of a recording."""
        return info.model_copy(update={"conformal": Conformal(reason="a clip has no interval")})

    def phrase(self, info: SeverityInfo, prediction: Prediction) -> str:
        """The score on its scale: ``severity 6.0 (0.0 to 10.0) of 63 (bdi-ii), minimal``."""
        if prediction.severity is None:
            return ""
        low, high = prediction.severity_low, prediction.severity_high
        interval = "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"
        band = f", {prediction.band}" if prediction.band else ""
        scale = f"of {info.scale.top} ({info.scale.name})"
        return f"severity {prediction.severity:.1f}{interval} {scale}{band}"
