"""Expression: one class of a label space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

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
    balance: float = Field(default=0.0, ge=0, le=1)
    """Power of the classes' shares that calibrated probabilities were divided by."""


class Abstention(BaseModel):
    """How :attr:`ExpressionInfo.abstain_below` was chosen, and on what.

    Of ``rows`` labeled rows the model answers the share ``answered``, and the share ``right`` of
    these answers is right. For rows to come that are like them at least ``accuracy`` is, except in
    ``1 - level`` of such choices, see :func:`mien.statistics.selective.answer_threshold`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    accuracy: float = Field(gt=0, lt=1)
    level: float = Field(gt=0, lt=1)
    rows: int = Field(ge=1)
    answered: float = Field(ge=0, le=1)
    right: float = Field(ge=0, le=1)
    corpus: str = ""
    split: str = ""
    rule: str = ""


class ExpressionInfo(HeadInfo):
    """The classes, their calibration, and when the model would rather not answer.

    ``abstain_below`` is the confidence under which a model abstains, None for always answering;
    ``abstention`` says how it was chosen, where it was chosen by labeled rows. ``shares`` are those
    of the classes among the targets that the model was trained on; empty where unknown.
    """

    label_space: LabelSpace
    shares: tuple[float, ...] = ()
    calibration: Calibration = Calibration()
    abstain_below: float | None = Field(default=None, ge=0, le=1)
    abstention: Abstention | None = None

    @model_validator(mode="after")
    def _one_share_per_class(self) -> ExpressionInfo:
        if self.shares and len(self.shares) != len(self.label_space):
            raise ValueError(
                f"expected a share for each of {len(self.label_space)} classes, "
                f"got {len(self.shares)}"
            )
        if any(not 0 <= share <= 1 for share in self.shares):
            raise ValueError("expected shares of classes in [0, 1]")
        if self.calibration.balance and not self.shares:
            raise ValueError("expected shares of classes where they balance, got none")
        return self

    @property
    def offsets(self) -> tuple[float, ...]:
        """What is added to calibrated logits so that rare classes are named more often.

        ``-balance * log(share)``, the adjustment of logits of Menon et al. (ICLR 2021), after the
        training. A class that the training never saw is left as it is.
        """
        balance = self.calibration.balance
        return tuple(-balance * math.log(share) if share else 0.0 for share in self.shares)

    @property
    def answers(self) -> str:
        """When the model answers, as a sentence; empty where it always does."""
        if self.abstain_below is None:
            return ""
        sentence = f"answers from a confidence of {self.abstain_below:.2f}"
        if self.abstention is None:
            return sentence
        chosen = self.abstention
        return (
            f"{sentence}, so that at least {percent(chosen.accuracy)} of the answers are right "
            f"({percent(chosen.level)} sure): {100 * chosen.answered:.1f} % of {chosen.rows:,} "
            f"labeled faces of {chosen.split}, and {100 * chosen.right:.1f} % of these answers "
            "are right"
        )


NOT_SURE = "not sure"
"""How the reason of a model begins whose confidence is too low."""
NEUTRAL = "neutral"
NEAR_TIE = 0.1
"""Two classes whose probabilities differ by less are a near tie, and both are named."""


def leading(probabilities: Mapping[str, float]) -> dict[str, float]:
    """The most probable class with its probability, and the next where the two are a near tie.

    >>> leading({"neutral": 0.2, "fear": 0.39, "surprise": 0.41})
    {'surprise': 0.41, 'fear': 0.39}
    >>> leading({"neutral": 0.2, "fear": 0.3, "surprise": 0.5})
    {'surprise': 0.5}
    """
    ranked = sorted(probabilities.items(), key=lambda pair: -pair[1])[:2]
    tie = len(ranked) == 2 and ranked[0][1] - ranked[1][1] < NEAR_TIE
    return dict(ranked if tie else ranked[:1])


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
        """A confidence below ``abstain_below``: ``not sure: 41 % surprise, 39 % fear``."""
        least = info.abstain_below
        if least is None or fields["confidence"] >= least:
            return ""
        names = leading(fields["probabilities"]).items()
        # Rounded down, so that 69.9 % does not look like the 70 % that are asked for.
        shares = ", ".join(f"{math.floor(100 * share)} % {name}" for name, share in names)
        return f"{NOT_SURE}: {shares}; answers from {percent(least)}"

    def relative(
        self, info: ExpressionInfo, outputs: Arrays, baseline: Arrays
    ) -> dict[str, NDArray[Any]]:
        """Probabilities of which a part has moved to ``neutral``, as which the face at rest reads.

        Where the face at rest is most like another class, with probability ``p`` against ``n`` of
        neutral, only ``n / p`` of what that class has stays, and neutral gets the remainder: at
        rest both are exchanged. All other classes stay, and so does everything where rest is most
        like neutral. Our choice.
        """
        names, rest = info.label_space.names, baseline["expression"][0]
        if NEUTRAL not in names:
            return {}
        neutral, top = names.index(NEUTRAL), int(np.argmax(rest))
        changed = np.array(outputs["expression"], np.float64)
        moved = changed[:, top] * (1 - rest[neutral] / rest[top])
        changed[:, top] -= moved
        changed[:, neutral] += moved
        return {"expression": changed.astype(np.float32)}

    def phrase(self, info: ExpressionInfo, prediction: Prediction) -> str:
        """The class and its probability: ``happiness 87 %``; of a near tie both."""
        names = leading(prediction.probabilities).items()
        return " or ".join(f"{name} {percent(share)}" for name, share in names)

    def bars(self, prediction: Prediction) -> dict[str, float]:
        """The probabilities of the classes."""
        return prediction.probabilities
