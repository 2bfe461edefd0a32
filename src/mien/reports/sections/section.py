"""What every head's section of a report and of a comparison provides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from mien.metrics.metric import Metric
from mien.reports.evaluation import Evaluation, HeadArrays
from mien.reports.tables import signed_interval
from mien.statistics.bootstrap import Interval

Entry = Mapping[str, Any]


class Block(NamedTuple):
    """A part of what a terminal shows: metrics under a title, then sentences."""

    title: str
    metrics: Mapping[str, Entry] = {}
    sentences: Sequence[str] = ()


class Pairing(NamedTuple):
    """Which runs of a side of a comparison are held against which of the first side.

    ``pairs`` are the numbers of runs of ``entry`` and of ``to``, both letters, in the order of
    their ``seeds``; where nothing pairs them it is empty.
    """

    entry: str
    to: str
    pairs: Sequence[tuple[int, int]]
    seeds: Sequence[int | None]
    notes: Sequence[str]

    def runs(self, other: Sequence[Any], first: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """What both sides have of their paired runs, in order; all of it without pairs."""
        if not self.pairs:
            return list(other), list(first)
        return [other[one] for one, _ in self.pairs], [first[two] for _, two in self.pairs]


class Side(NamedTuple):
    """One side of a comparison for one head: what was measured of each of its runs."""

    letter: str
    label: str
    runs: Sequence[Any]


class Verdict(NamedTuple):
    """What a comparison says of two sides: a difference in a metric, and what supports it."""

    verdict: str
    amount: str
    unit: str
    metric: str
    evidence: Sequence[str]
    notes: Sequence[str]


def intervals_of(difference: Entry) -> list[Interval]:
    """The interval of a difference over rows and, where there is one, that over seeds."""
    over_rows = {key: value for key, value in difference.items() if key != "over_seeds"}
    over_seeds = difference["over_seeds"]
    return [Interval(**over_rows)] + ([Interval(**over_seeds)] if over_seeds else [])


def evidence_of(difference: Entry, unit: str, seeds: int) -> list[str]:
    """The same as lines of a verdict."""
    lines = [f"over rows {signed_interval(difference, unit) or 'no interval'}"]
    if difference["over_seeds"]:
        lines.append(f"over {seeds} seeds {signed_interval(difference['over_seeds'], unit)}")
    return lines


def verdict_sentence(comparison: Entry, document: Entry, about: str) -> str:
    """``B against A: better (accuracy)``, for a terminal."""
    labels = {side["letter"]: side["label"] for side in document["entries"]}
    sides = f"{labels[comparison['entry']]} against {labels[comparison['to']]}"
    return f"{sides}: {comparison['verdict']} ({about})"


class Section(Protocol):
    """A head's part of reports and comparisons; a module with these names."""

    @property
    def ARRAYS(self) -> type[HeadArrays]:
        """What an evaluation holds of the head."""

    @property
    def METRICS(self) -> Mapping[str, Metric]:
        """The metrics of ``entry["metrics"]`` by name, in order."""

    @property
    def HEADLINE(self) -> Sequence[str]:
        """Those that a reader looks for first."""

    @property
    def MAIN(self) -> Sequence[str]:
        """The one or two that stand for the head in a matrix; by the first things are ordered."""

    @property
    def ANSWER(self) -> str:
        """What :meth:`answers` gives, in a word for a reader."""

    def answers(self, arrays: Any) -> NDArray[Any]:
        """What the head answers for each row, ``(N,)`` or ``(N, K)``: values that differ or not."""

    def evaluate(
        self, evaluation: Evaluation, *, seed: int, draws: int
    ) -> tuple[dict[str, Any], list[str]]:
        """The head's entry of ``report.json``, and warnings; at least one row is labeled."""

    def tables(self, entry: Entry) -> dict[str, Any]:
        """The tables of the page by name."""

    def figures(self, evaluation: Evaluation, entry: Entry, *, seed: int) -> dict[str, Any]:
        """The figures of the page by name, None for one that cannot be drawn."""

    def headline(self, entry: Entry) -> list[Block]:
        """What a terminal shows of an entry."""

    def measure(self, evaluation: Evaluation, *, plane: bool, seed: int, draws: int) -> Any:
        """What a comparison keeps of one run; without ``plane`` no map of its embedding."""

    def compare(
        self, sides: Sequence[Side], pairings: Sequence[Pairing], *, seed: int, draws: int
    ) -> tuple[dict[str, Any], list[str]]:
        """The head's entry of ``compare.json``, each side against the first, and warnings.

        ``ValueError`` where the runs were measured on other rows.
        """

    def comparison_tables(self, entry: Entry, document: Entry) -> dict[str, Any]:
        """The tables of the comparison's page by name."""

    def comparison_figures(self, entry: Entry, sides: Sequence[Side]) -> dict[str, Any]:
        """The figures of the comparison's page by name."""

    def verdicts(self, entry: Entry, document: Entry) -> list[Verdict]:
        """A verdict for each comparison in order; none for a head about which none is given."""

    def comparison_headline(self, entry: Entry, document: Entry) -> list[Block]:
        """What a terminal shows of a comparison."""
