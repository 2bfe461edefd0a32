"""The emotion graph of a model on the page of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.metrics.classification import FloatArray
from mien.reports import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 4.0
"""From the expressions to valence and to arousal; the expressions are 1 apart."""
_FROM_NAME, _FROM_CIRCLE = 1.25, 1.45
"""From the middle of a node to the number at its end of an edge."""


def graph_section(report: Mapping[str, Any]) -> str:
    """The graph's picture and the correlations behind it, or nothing for a model without one."""
    graph = report["graph"]
    if graph is None:
        return ""
    nodes, adjacency = graph["nodes"], np.asarray(graph["adjacency"], np.float64)
    joined = int(((adjacency + adjacency.T)[np.triu_indices(len(nodes), 1)] > 0).sum())
    table = "" if graph["correlation"] is None else _correlations(nodes, graph["correlation"])
    return (
        "<section>\n<h2>Graph of expressions, valence and arousal</h2>\n"
        f'<p class="lead">{joined} edges. The classifier of each node is mixed from its own and '
        "those it is joined with; expressions are joined by valence and arousal only.</p>\n"
        f"<figure>{draw_graph(nodes, adjacency)}<figcaption>The number beside a node is the share "
        "that it receives from the other end of the edge, thicker for a larger one.</figcaption>"
        f"</figure>\n{table}</section>\n"
    )


def draw_graph(nodes: Sequence[str], adjacency: FloatArray) -> str:
    """SVG of an adjacency ``(C+2, C+2)``, whose last two nodes are valence and arousal.

    Expressions stand between the two. An entry [i, j], what i receives from j, is written at
    node i's end of the edge.
    """
    from matplotlib.figure import Figure

    count = len(nodes) - 2
    figure = Figure(figsize=(7.4, 0.62 * count + 0.6))
    axes = figure.subplots()
    heights = (count - 1) / 2 - np.arange(count)
    places = np.array([*((0.0, height) for height in heights), (-_SIDE, 0.0), (_SIDE, 0.0)])
    for i, j in zip(*np.triu_indices(len(nodes), 1), strict=True):
        if adjacency[i, j] or adjacency[j, i]:
            _edge(axes, places, count, int(i), int(j), adjacency)
    for place, ((x, y), name) in enumerate(zip(places, nodes, strict=True)):
        if place < count:
            color, box = plots.CLASS[place % len(plots.CLASS)], "round,pad=0.45,rounding_size=0.9"
        else:
            color, box = plots.ACCENT, "circle,pad=0.5"
        words = axes.text(
            x, y, name, ha="center", va="center", size=10, color=plots.INK, parse_math=False
        )
        look = {"boxstyle": box, "facecolor": plots.PAPER, "edgecolor": color, "linewidth": 2}
        words.set(bbox=look, zorder=5)
    axes.set(xlim=(-_SIDE - 0.8, _SIDE + 0.8), ylim=(-count / 2 - 0.1, count / 2 + 0.1))
    axes.set_axis_off()
    return plots.svg(figure, "graph", "Graph of expressions, valence and arousal")


def _edge(
    axes: Axes, places: FloatArray, count: int, i: int, j: int, adjacency: FloatArray
) -> None:
    """A line between two nodes, and at each end what that node receives."""
    turn = np.linspace(0, 1, 40)[:, None]
    line = places[i] * (1 - turn) + places[j] * turn
    if i >= count:  # valence and arousal: below all expressions
        line[:, 1] -= (count / 2 - 0.1) * np.sin(np.pi * turn[:, 0]) ** 0.5
    shares = adjacency[i, j], adjacency[j, i]
    axes.plot(*line.T, color=plots.ACCENT, linewidth=0.7 + 6 * max(shares), alpha=0.4, zorder=1)
    for share, node, end in ((shares[0], i, line), (shares[1], j, line[::-1])):
        reach = _FROM_NAME if node < count else _FROM_CIRCLE
        x, y = end[np.argmax(np.hypot(*(end - places[node]).T) >= reach)]
        number = axes.text(
            x, y, f"{share:.2f}", ha="center", va="center", size=8, color=plots.MUTED
        )
        number.set(bbox={"facecolor": plots.PAPER, "edgecolor": "none", "pad": 1.2}, zorder=4)


def _correlations(nodes: Sequence[str], correlation: Sequence[Sequence[float]]) -> str:
    """Spearman's correlation of each node with valence and arousal."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        f"{''.join(f'<td>{value:+.2f}</td>' for value in values[-2:])}</tr>"
        for name, values in zip(nodes[:-2], correlation, strict=False)
    )
    head = '<td></td><th scope="col">Valence</th><th scope="col">Arousal</th>'
    return (
        "<h3>Correlations behind the edges</h3>\n"
        f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>\n'
    )
