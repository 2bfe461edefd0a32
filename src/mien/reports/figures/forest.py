"""Differences with their intervals around zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mien.reports.figures.svg import ACCENT, INK, MUTED, RULE, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forest(
    groups: Sequence[tuple[str, Sequence[tuple[str, dict[str, Any], dict[str, Any] | None]]]],
) -> Markup:
    """Differences with their intervals around zero, in points.

    A group is a metric's title and its rows: a letter, the difference over rows and the one over
    seeds (drawn thinner below it) or None, each with ``value``, ``low`` and ``high`` in shares.
    """
    from matplotlib.figure import Figure

    count = sum(len(rows) + 0.9 for _, rows in groups)
    figure = Figure(figsize=(7.2, 0.6 + 0.3 * count))
    axes = figure.subplots()
    axes.axvline(0, color=MUTED, linewidth=1)
    y = 0.0
    for title, rows in groups:
        axes.text(
            -0.02,
            y,
            title,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            color=INK,
            size=9.5,
            parse_math=False,
        )
        for letter, over_rows, seeds in rows:
            _forest_row(axes, y, letter if len(rows) > 1 else "", over_rows, width=5.5, marker="|")
            if seeds is not None:
                _forest_row(axes, y + 0.3, "", seeds, width=1.3, marker="o")
            y += 1
        y += 0.9
    axes.set(ylim=(y - 0.9, -0.7), yticks=[], xlabel="Difference in points")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    # Zero is always in view, and a single tiny difference does not fill the page.
    low, high = axes.get_xlim()
    reach = max(abs(low), abs(high), 0.5)
    axes.set_xlim(min(low, -0.12 * reach), max(high, 0.12 * reach))
    return svg(figure, "forest", "Differences to the first entry with their intervals")


def _forest_row(
    axes: Axes, y: float, letter: str, entry: dict[str, Any], *, width: float, marker: str
) -> None:
    if entry["value"] is None:
        return
    value = 100 * entry["value"]
    low, high = (100 * entry[end] if entry[end] is not None else value for end in ("low", "high"))
    shown = entry["low"] is not None and (low > 0 or high < 0)
    color = ACCENT if shown else MUTED
    broad = marker == "|"
    axes.hlines(y, low, high, color=color, linewidth=width, alpha=0.4 if broad else 1)
    size, edge = (11, 2) if broad else (3.6, 0)
    axes.plot([value], [y], marker=marker, color=color, markersize=size, markeredgewidth=edge)
    if letter:
        axes.annotate(
            letter, (high, y), (7, 0), textcoords="offset points", va="center", color=MUTED, size=9
        )
