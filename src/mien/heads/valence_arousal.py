"""Valence and arousal: how pleasant and how activated, each in [-1, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.heads.head import Arrays, Head, HeadInfo, HeadSettings, Labels, Validation
from mien.heads.wording import signed
from mien.metrics import catalog
from mien.metrics.regression import DIMENSIONS
from mien.schema import Prediction

if TYPE_CHECKING:
    import pyarrow as pa


class ValenceArousalSettings(HeadSettings):
    """Two linear outputs of the embedding; ``bias`` adds one to each."""

    bias: bool = True


class ValenceArousalInfo(HeadInfo):
    """Nothing more to say: the range is fixed."""


class ValenceArousalHead(Head[ValenceArousalSettings, ValenceArousalInfo]):
    """Target ``valence_arousal`` ``(N, 2)``, NaN in both where unknown."""

    name = "valence_arousal"
    title = "Valence and arousal"
    labels = "valence and arousal"
    columns = DIMENSIONS
    metrics = catalog.VALENCE_AROUSAL[:3]
    Settings = ValenceArousalSettings
    Info = ValenceArousalInfo

    def describe(self, settings: ValenceArousalSettings, labels: Labels) -> ValenceArousalInfo:
        """Nothing that depends on the dataset."""
        return ValenceArousalInfo()

    def architecture(
        self, settings: ValenceArousalSettings, info: ValenceArousalInfo
    ) -> dict[str, Any]:
        """``bias``."""
        return settings.model_dump()

    def outputs(self, info: ValenceArousalInfo) -> dict[str, tuple[int, ...]]:
        """Valence and arousal ``(B, 2)``, cut to [-1, 1]."""
        return {"valence_arousal": (2,)}

    def measured(self, arrays: Validation) -> tuple[NDArray[Any], NDArray[Any]]:
        """Both ``(N, 2)``."""
        return arrays.targets["valence_arousal"], arrays.predictions["valence_arousal"]

    def fields(self, info: ValenceArousalInfo) -> dict[str, pa.DataType]:
        """``valence`` and ``arousal``."""
        import pyarrow as pa

        return dict.fromkeys(DIMENSIONS, pa.float32())

    def read(self, info: ValenceArousalInfo, outputs: Arrays, row: int) -> dict[str, Any]:
        """Both values."""
        values = outputs["valence_arousal"][row].tolist()
        return dict(zip(DIMENSIONS, values, strict=True))

    def relative(
        self, info: ValenceArousalInfo, outputs: Arrays, baseline: Arrays
    ) -> dict[str, NDArray[Any]]:
        """How far both are from those at rest, cut to [-1, 1]."""
        difference = outputs["valence_arousal"] - baseline["valence_arousal"]
        return {"valence_arousal": np.clip(difference, -1, 1).astype(np.float32)}

    def phrase(self, info: ValenceArousalInfo, prediction: Prediction) -> str:
        """Both values: ``valence +0.41, arousal -0.10``."""
        if prediction.valence is None or prediction.arousal is None:
            return ""
        return f"valence {signed(prediction.valence)}, arousal {signed(prediction.arousal)}"
