"""What every head of a network says of itself, without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mien.heads.wording import percent
from mien.metrics.metric import Metric
from mien.schema import Prediction

if TYPE_CHECKING:
    import pyarrow as pa

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name whose first axis is rows (faces, clips or recordings)."""


class HeadSettings(BaseModel):
    """What a recipe says of a head, under ``heads.NAME``; a head adds its own keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class HeadInfo(BaseModel):
    """What a trained head says of itself, in ``model.json`` and in an ONNX file's metadata.

    A head adds what its numbers mean (classes, scale, units) and what was calibrated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Validation(NamedTuple):
    """What a head gave for the N labeled rows of the split valid, for metrics and calibration.

    ``targets`` are the head's targets by name; ``predictions`` what the exported model would give,
    uncalibrated, of recordings pooled over their clips; ``outputs`` the network's raw outputs, a
    row for each face or clip of valid; all by name. ``pool`` makes of values of these rows, such
    as probabilities, those of the N. ``subjects`` ``(N,)`` are names, "" where unknown.
    """

    targets: Arrays
    outputs: Arrays
    predictions: Arrays
    subjects: NDArray[np.str_]
    pool: Callable[[NDArray[Any]], NDArray[Any]] | None = None


class Labels(NamedTuple):
    """What a dataset's labels mean, as a head needs it to describe itself."""

    label_space: Any
    scale: Any
    license_terms: str
    folder: str


SettingsT = TypeVar("SettingsT", bound=HeadSettings)
InfoT = TypeVar("InfoT", bound=HeadInfo)


class Head(ABC, Generic[SettingsT, InfoT]):
    """One thing that a network reads from a face: the description that all stages share.

    A head is registered in :data:`mien.heads.HEADS`; its layers are in
    :mod:`mien.networks.heads`, its losses in :mod:`mien.training.losses` and its section of a
    report in :mod:`mien.reports.sections`.
    """

    name: ClassVar[str]
    """The key everywhere: recipes, targets, outputs, metadata, reports."""
    title: ClassVar[str]
    labels: ClassVar[str]
    """What a labeled row has, as a phrase for messages: "an expression"."""
    columns: ClassVar[tuple[str, ...]]
    """The dataset's columns that hold its labels."""
    metrics: ClassVar[tuple[Metric, ...]]
    """Measured on the split valid after each epoch; the first selects the epoch by default."""
    tie_breaker: ClassVar[Metric | None] = None
    """Which of two epochs is better that are equal in the selecting metric; None: the earlier."""
    most_bars: ClassVar[int] = 8
    """How many bars of a card it may have, the largest."""
    parity_unit: ClassVar[float] = 1.0
    """What a difference between network and exported model is divided by before it is judged."""
    Settings: type[SettingsT]
    Info: type[InfoT]

    @abstractmethod
    def describe(self, settings: SettingsT, labels: Labels) -> InfoT:
        """What a head says of itself before training.

        Raises :class:`~mien.errors.MienError` where the labels do not tell it.
        """

    @abstractmethod
    def architecture(self, settings: SettingsT, info: InfoT) -> dict[str, Any]:
        """The keywords of the head's layers in :mod:`mien.networks.heads`."""

    @abstractmethod
    def outputs(self, info: InfoT) -> dict[str, tuple[int, ...]]:
        """The exported model's outputs: name -> shape behind the batch axis.

        The first is always there and has the head's name; further ones are optional.
        """

    @abstractmethod
    def measured(self, arrays: Validation) -> tuple[NDArray[Any], NDArray[Any]]:
        """The targets and predictions that :attr:`metrics` take."""

    def calibrate(self, info: InfoT, arrays: Validation) -> InfoT:
        """``info`` with what is calibrated on the split valid; as it is where nothing is."""
        return info

    @abstractmethod
    def fields(self, info: InfoT) -> dict[str, pa.DataType]:
        """The columns of a table of faces that the head fills, with their Arrow types."""

    @abstractmethod
    def read(self, info: InfoT, outputs: Arrays, row: int) -> dict[str, Any]:
        """What the head says of one row: fields of :class:`mien.schema.Prediction` by name."""

    def doubt(self, info: InfoT, fields: Mapping[str, Any]) -> str:
        """Why what :meth:`read` returned should not be used; empty where it may be."""
        return ""

    def for_clip(self, info: InfoT) -> InfoT:
        """``info`` for one clip: without what was calibrated on whole recordings."""
        return info

    def relative(self, info: InfoT, outputs: Arrays, baseline: Arrays) -> dict[str, NDArray[Any]]:
        """The head's outputs as seen from ``baseline``, the mean outputs of the same face at rest.

        All arrays are ``(1, ...)``. Outputs that are not returned stay as they are.
        """
        return {}

    def phrase(self, info: InfoT, prediction: Prediction) -> str:
        """What the head says of one row, for a reader; empty where it says nothing."""
        return ""

    def bars(self, prediction: Prediction) -> dict[str, float]:
        """The shares in [0, 1] that a card draws as bars, by name; none unless a head has some."""
        return {}

    def bar_text(self, value: float) -> str:
        """The number beside a bar."""
        return percent(value)
