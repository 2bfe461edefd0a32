"""The tables of a page as data: what each cell says; templates make the HTML.

An entry is a value of a document: a dict with ``value``, ``low``, ``high`` and, where something is
missing, a ``reason``. Units are those of :class:`~mien.metrics.metric.Metric`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from markupsafe import Markup

from mien.metrics.metric import Metric

Entry = Mapping[str, Any]

DASH = "\u2013"
_DECIMALS = {"%": 1, "points": 2}
"""Everything else has three."""


class Cell(NamedTuple):
    """A text over small lines, with the number of its footnote or 0."""

    text: str
    small: Sequence[str] = ()
    note: int = 0


class Heading(NamedTuple):
    """A title over a small line, with an icon as ``mark`` or the ``letter`` of an entry."""

    title: str
    small: str = ""
    mark: Markup = Markup()
    letter: str = ""


class Row(NamedTuple):
    """A row of a table; ``bar`` are value, low and high in [0, 1], drawn at its end."""

    heading: Heading
    cells: Sequence[Cell]
    bar: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Table:
    """``columns`` head the cells of ``rows``; ``notes`` are what the cells' marks refer to.

    ``bars`` heads a last column of bars, "" for none; ``css`` are classes of the element. ``title``
    and ``lead`` stand before it in a section that is made of tables only.
    """

    columns: Sequence[Heading]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    corner: str = ""
    bars: str = ""
    css: str = ""
    title: str = ""
    lead: str = ""

    def note(self, entry: Entry) -> int:
        """The number of the footnote with the entry's reason, 0 for an entry without one."""
        reason = entry.get("reason", "")
        if not reason:
            return 0
        if reason not in self.notes:
            self.notes.append(reason)
        return self.notes.index(reason) + 1

    def value(self, entry: Entry | None, unit: str) -> Cell:
        """A value over its interval, a dash for None."""
        if entry is None:
            return Cell(DASH)
        span = interval(entry, unit)
        return Cell(number(entry["value"], unit), (span,) if span else (), self.note(entry))


class MatrixCell(NamedTuple):
    """A shaded cell: ``share`` in [0, 1] of the color that ``css`` names; ``hint`` on pointing."""

    text: str
    small: Sequence[str] = ()
    share: float = 0.0
    css: str = ""
    hint: str = ""


class Matrix(NamedTuple):
    """A table of shaded cells; ``corner`` says what rows and columns are.

    Unless ``columns`` are given it is square, with true classes in rows and predicted ones in
    columns.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[MatrixCell]]
    css: str = ""
    columns: Sequence[str] = ()
    corner: tuple[str, str] = ("true \u2193", "predicted \u2192")

    @property
    def headings(self) -> Sequence[str]:
        """The names over the columns."""
        return self.columns or self.names

    @property
    def tall(self) -> bool:
        """Whether names would not fit over their columns and are set upright."""
        return not self.columns and (len(self.names) > 9 or max(map(len, self.names)) > 10)

    @property
    def labeled_rows(self) -> list[tuple[str, Sequence[MatrixCell]]]:
        """Each row with its name."""
        return list(zip(self.names, self.rows, strict=True))


def count_cell(n: int, small: str = "") -> Cell:
    """A count over a small line."""
    return Cell(f"{n:,}", (small,) if small else ())


def difference_cell(entry: Entry | None, unit: str, *, seeds: int = 0) -> Cell:
    """A paired difference over its intervals and verdict, a dash where there is none."""
    if entry is None or entry["value"] is None:
        return Cell(DASH)
    lines = [signed_interval(entry, unit) or "no interval"]
    if entry.get("over_seeds"):
        lines.append(f"{signed_interval(entry['over_seeds'], unit)} over {seeds} seeds")
    if "verdict" in entry:
        lines.append(entry["verdict"])
    return Cell(signed(entry["value"], unit), lines)


def metric_heading(metric: Metric) -> Heading:
    """A metric's title over what it means."""
    return Heading(metric.title, metric.description)


def metric_table(metrics: Mapping[str, Entry], known: Mapping[str, Metric]) -> Table:
    """Every metric with its interval, as numbers and, for shares, drawn."""
    table = Table([Heading("Value"), Heading("Interval")], corner="Metric", bars="%", css="metrics")
    for name, metric in known.items():
        if name not in metrics:
            continue
        entry = metrics[name]
        percent = metric.unit == "%"
        unit = "\u2009%" if percent and entry["value"] is not None else ""
        cells = (
            Cell(number(entry["value"], metric.unit) + unit, note=table.note(entry)),
            Cell(interval(entry, metric.unit)),
        )
        table.rows.append(Row(metric_heading(metric), cells, bar(entry) if percent else None))
    return table


def value_table(
    columns: Sequence[tuple[Heading, Mapping[str, Entry]]],
    metrics: Iterable[Metric],
    *,
    counts: tuple[str, Sequence[Cell]] | None = None,
) -> Table:
    """Metrics in rows, one column for each thing that was measured; ``counts`` is a first row."""
    table = Table([heading for heading, _ in columns])
    if counts is not None:
        table.rows.append(Row(Heading(counts[0]), counts[1]))
    for metric in metrics:
        cells = [table.value(values.get(metric.name), metric.unit) for _, values in columns]
        table.rows.append(Row(metric_heading(metric), cells))
    return table


def headline(metrics: Mapping[str, Entry], shown: Iterable[Metric]) -> list[tuple[str, Cell, str]]:
    """The few numbers that a reader looks for first: title, value over interval, and unit."""
    numbers = []
    for metric in shown:
        entry = metrics[metric.name]
        below = interval(entry, metric.unit) or entry.get("reason") or "no interval"
        cell = Cell(number(entry["value"], metric.unit), (below,))
        numbers.append((metric.title, cell, "%" if metric.unit == "%" else ""))
    return numbers


def confusion(entry: Entry, names: Sequence[str]) -> Matrix:
    """``confusion_shares`` of each true class, shaded, over the counts of ``confusion``."""
    rows = []
    for target, counts, shares in zip(
        names, entry["confusion"], entry["confusion_shares"], strict=True
    ):
        of_row = zip(names, counts, shares, strict=True)
        rows.append([_share(target, sum(counts), *cell) for cell in of_row])
    return Matrix(names, rows)


def _share(target: str, total: int, name: str, count: int, share: Entry) -> MatrixCell:
    if share["value"] is None:
        return MatrixCell(DASH, css="none")
    value = float(share["value"])
    span = f", interval {interval(share, '%')} %" if share["low"] is not None else ""
    hint = f"{target} predicted as {name}: {count} of {total}, {number(value, '%')} %{span}"
    css = "cell" + " strong" * (value > 0.65) + " zero" * (count == 0)
    return MatrixCell(f"{100 * value:.0f}", (f"{count:,}",), value, css, hint)


def bar(entry: Entry) -> tuple[float, float, float] | None:
    """Value, low and high to draw; an entry without an interval is a line only."""
    if entry["value"] is None:
        return None
    low, high = (entry["value"] if entry[end] is None else entry[end] for end in ("low", "high"))
    return entry["value"], low, high


def number(value: float | None, unit: str) -> str:
    """Percent with one decimal, points with two, anything else with three; a dash for None."""
    if value is None:
        return DASH
    return f"{_scale(unit) * value:.{_DECIMALS.get(unit, 3)}f}".replace("-", "\u2212")


def signed(value: float | None, unit: str) -> str:
    """A difference with its sign, in the decimals of :func:`number`."""
    if value is None:
        return DASH
    decimals = _DECIMALS.get(unit, 3)
    rounded = round(_scale(unit) * value, decimals) + 0.0
    text = f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"
    return text.replace("-", "\u2212")


def interval(entry: Entry, unit: str) -> str:
    """``low - high`` of a value, or nothing."""
    if entry["low"] is None:
        return ""
    return f"{number(entry['low'], unit)}\u2009\u2013\u2009{number(entry['high'], unit)}"


def signed_interval(entry: Entry, unit: str) -> str:
    """``low to high`` of a difference, or nothing."""
    if entry["low"] is None:
        return ""
    return f"{signed(entry['low'], unit)} to {signed(entry['high'], unit)}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: ``1 row``, ``2 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _scale(unit: str) -> int:
    return 100 if unit == "%" else 1
