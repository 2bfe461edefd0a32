"""What a metric is: its name, spelled once, how it is shown, and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

MetricFunction = Callable[[NDArray[Any], NDArray[Any]], float]
"""From targets and predictions of N labeled rows to one number, NaN where it is undefined."""


@dataclass(frozen=True)
class Metric:
    """One metric of one head.

    ``name`` is its key in recipes, logs, metadata and reports; ``title`` its heading and
    ``description`` one phrase for a reader. ``unit`` is ``"%"`` for shares, which are stored in
    [0, 1], else ``"nats"``, ``"points"`` or ``""``.
    """

    name: str
    title: str
    description: str
    unit: str
    greater_is_better: bool
    function: MetricFunction

    def better(self, value: float, than: float) -> bool:
        """Whether ``value`` is strictly better; nothing is better than NaN and NaN than nothing."""
        return value > than if self.greater_is_better else value < than
