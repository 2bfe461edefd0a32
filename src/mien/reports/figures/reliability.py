"""Accuracy against confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from mien.reports.figures.svg import ACCENT, MUTED, PAPER, RULE, svg


def reliability_diagram(bins: Sequence[dict[str, Any]]) -> Markup:
    """Accuracy over confidence for the bins of a report, and below how many rows each holds."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import (
        MaxNLocator,
        MultipleLocator,
        PercentFormatter,
        StrMethodFormatter,
    )

    figure = Figure(figsize=(4.6, 5.0))
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(4, 1))
    used = [entry for entry in bins if entry["n"]]
    x = np.array([entry["confidence"] for entry in used])
    y = np.array([entry["accuracy"] for entry in used])
    n = np.array([entry["n"] for entry in used])
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1, dashes=(4, 3))
    upper.vlines(x, np.minimum(x, y), np.maximum(x, y), color=ACCENT, linewidth=2, alpha=0.35)
    upper.plot(x, y, color=ACCENT, linewidth=1.5)
    # The area of a dot is the bin's share, so that a bin of three rows does not shout.
    upper.scatter(
        x, y, s=14 + 130 * n / n.sum(), color=ACCENT, edgecolor=PAPER, zorder=3, clip_on=False
    )
    upper.annotate("too sure", (0.97, 0.06), ha="right", color=MUTED)
    upper.annotate("too unsure", (0.03, 0.91), color=MUTED)
    upper.set(ylim=(0, 1), xlim=(0, 1), ylabel="Accuracy")
    lower.bar(
        [entry["above"] for entry in used],
        [entry["n"] for entry in used],
        [(entry["to"] - entry["above"]) * 0.9 for entry in used],
        align="edge",
        color=ACCENT,
        alpha=0.6,
    )
    lower.set(xlabel="Confidence", ylabel="Rows")
    for axis in (upper.xaxis, upper.yaxis):
        axis.set_major_locator(MultipleLocator(0.25))
        axis.set_major_formatter(PercentFormatter(1.0))
    lower.yaxis.set_major_locator(MaxNLocator(nbins=2 if n.max() > 1 else 1, integer=True))
    lower.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    upper.grid(color=RULE, linewidth=0.6)
    figure.align_ylabels()
    return svg(figure, "reliability", "Reliability diagram: accuracy against confidence")
