"""The emotion graph of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from mien.metrics.classification import FloatArray
from mien.reports.figures.svg import ACCENT, CLASS, INK, MUTED, PAPER, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 4.0
"""From the expressions to valence and to arousal; the expressions are 1 apart."""
_FROM_NAME, _FROM_CIRCLE = 1.25, 1.45
"""From the middle of a node to the number at its end of an edge."""


def edge_count(adjacency: Sequence[Sequence[float]]) -> int:
    """How many pairs of nodes are joined, in either direction."""
    matrix = np.asarray(adjacency, np.float64)
    return int(((matrix + matrix.T)[np.triu_indices(len(matrix), 1)] > 0).sum())


def draw_graph(nodes: Sequence[str], adjacency: Sequence[Sequence[float]]) -> Markup:
    """SVG of an adjacency ``(C+2, C+2)``, whose last two nodes are valence and arousal.

    Expressions stand between the two. An entry [i, j], what i receives from j, is written at
    node i's end of the edge.
    """
    from matplotlib.figure import Figure

    matrix = np.asarray(adjacency, np.float64)
    count = len(nodes) - 2
    figure = Figure(figsize=(7.4, 0.62 * count + 0.6))
    axes = figure.subplots()
    heights = (count - 1) / 2 - np.arange(count)
    positions = np.array([*((0.0, height) for height in heights), (-_SIDE, 0.0), (_SIDE, 0.0)])
    for i, j in zip(*np.triu_indices(len(nodes), 1), strict=True):
        if matrix[i, j] or matrix[j, i]:
            _edge(axes, positions, count, int(i), int(j), matrix)
    for index, ((x, y), name) in enumerate(zip(positions, nodes, strict=True)):
        if index < count:
            color, box = CLASS[index % len(CLASS)], "round,pad=0.45,rounding_size=0.9"
        else:
            color, box = ACCENT, "circle,pad=0.5"
        label = axes.text(
            x, y, name, ha="center", va="center", size=10, color=INK, parse_math=False
        )
        look = {"boxstyle": box, "facecolor": PAPER, "edgecolor": color, "linewidth": 2}
        label.set(bbox=look, zorder=5)
    axes.set(xlim=(-_SIDE - 0.8, _SIDE + 0.8), ylim=(-count / 2 - 0.1, count / 2 + 0.1))
    axes.set_axis_off()
    return svg(figure, "graph", "Graph of expressions, valence and arousal")


def _edge(
    axes: Axes, positions: FloatArray, count: int, i: int, j: int, adjacency: FloatArray
) -> None:
    """A line between two nodes, and at each end what that node receives."""
    turn = np.linspace(0, 1, 40)[:, None]
    line = positions[i] * (1 - turn) + positions[j] * turn
    if i >= count:  # valence and arousal: below all expressions
        line[:, 1] -= (count / 2 - 0.1) * np.sin(np.pi * turn[:, 0]) ** 0.5
    shares = adjacency[i, j], adjacency[j, i]
    axes.plot(*line.T, color=ACCENT, linewidth=0.7 + 6 * max(shares), alpha=0.4, zorder=1)
    for share, node, end in ((shares[0], i, line), (shares[1], j, line[::-1])):
        reach = _FROM_NAME if node < count else _FROM_CIRCLE
        x, y = end[np.argmax(np.hypot(*(end - positions[node]).T) >= reach)]
        number = axes.text(x, y, f"{share:.2f}", ha="center", va="center", size=8, color=MUTED)
        number.set(bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.2}, zorder=4)
