"""Valence and arousal: how pleasant and how activated, each in [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.heads.head import Arrays, Head, HeadInfo, HeadSettings, Labels, Validation
from mien.heads.wording import signed
from mien.metrics.metric import Metric
from mien.metrics.regression import DIMENSIONS, concordance, moments
from mien.schema import Prediction

if TYPE_CHECKING:
    import pyarrow as pa


class ValenceArousalSettings(HeadSettings):
    """Two linear outputs of the embedding; ``bias`` adds one to each."""

    bias: bool = True


class ValenceArousalInfo(HeadInfo):
    """Nothing more to say: the range is fixed."""


def _concordance_of(*columns: int) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    def measure(targets: NDArray[Any], predictions: NDArray[Any]) -> float:
        values = [
            float(concordance(moments(predictions[:, column], targets[:, column])))
            for column in columns
        ]
        # Where both are one constant it has no value and counts as 0, as in the loss.
        return float(np.nan_to_num(sum(values) / len(values)))

    return measure


class ValenceArousalHead(Head[ValenceArousalSettings, ValenceArousalInfo]):
    """Target ``valence_arousal`` ``(N, 2)``, NaN in both where unknown."""

    name = "valence_arousal"
    title = "Valence and arousal"
    labels = "valence and arousal"
    columns = DIMENSIONS
    metrics = (
        Metric(
            "mean_ccc",
            "Mean concordance",
            "mean of the concordances of valence and arousal; 1 is best",
            "",
            True,
            _concordance_of(0, 1),
        ),
        *(
            Metric(
                f"ccc_{name}",
                f"Concordance of {name}",
                f"Lin's concordance correlation coefficient of {name}; 1 is best",
                "",
                True,
                _concordance_of(column),
            )
            for column, name in enumerate(DIMENSIONS)
        ),
    )
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

    def phrase(self, info: ValenceArousalInfo, prediction: Prediction) -> str:
        """Both values: ``valence +0.41, arousal -0.10``."""
        if prediction.valence is None or prediction.arousal is None:
            return ""
        return f"valence {signed(prediction.valence)}, arousal {signed(prediction.arousal)}"
