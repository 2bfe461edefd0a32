"""Valence and arousal in the plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from mien.metrics.classification import FloatArray, IntArray
from mien.reports.figures.classes import class_marker
from mien.reports.figures.embedding import MAP_ROWS
from mien.reports.figures.svg import CLASS, CLASS_COLORS, MUTED, PAPER, RULE, svg


def circumplex(
    predictions: FloatArray,
    target_values: FloatArray,
    targets: IntArray,
    names: Sequence[str],
    *,
    seed: int = 0,
) -> Markup:
    """Valence to the right, arousal up: where the model puts each face, colored by its class.

    ``predictions`` and ``target_values`` are ``(N, 2)``, ``targets`` ``(N,)``, -1 for a row without
    an expression. For each class an arrow leads from the mean target to the mean prediction. At
    most :data:`MAP_ROWS` faces are drawn, chosen with ``seed``; the means are of all.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.8, 5.8))
    axes = figure.subplots()
    turn = np.linspace(0, 2 * np.pi, 181)
    axes.plot(np.cos(turn), np.sin(turn), color=RULE, linewidth=1)
    axes.plot([-1, 1], [0, 0], color=RULE, linewidth=1)
    axes.plot([0, 0], [-1, 1], color=RULE, linewidth=1)
    drawn = np.arange(len(target_values))
    if drawn.size > MAP_ROWS:
        drawn = np.random.default_rng(seed).choice(drawn.size, MAP_ROWS, replace=False)
    points = np.clip(predictions[drawn], -1.1, 1.1)
    colors = np.array([*(CLASS[i % CLASS_COLORS] for i in range(len(names))), MUTED])
    present = [index for index in range(len(names)) if (targets == index).any()]
    for index in [-1, *sorted(present, key=lambda index: -int((targets == index).sum()))]:
        members = targets[drawn] == index
        axes.scatter(
            points[members, 0],
            points[members, 1],
            s=11,
            marker=class_marker(index) if index >= 0 else "o",
            color=colors[index],
            alpha=0.4,
            linewidth=0,
        )
    for index in present or [-1]:
        (x, y), (u, v) = (
            target_values[targets == index].mean(0),
            predictions[targets == index].mean(0),
        )
        color, marker = colors[index], class_marker(index) if index >= 0 else "o"
        axes.plot([x, u], [y, v], color=PAPER, linewidth=4, solid_capstyle="round", zorder=3)
        axes.plot([x, u], [y, v], color=color, linewidth=2, solid_capstyle="round", zorder=4)
        for face, (a, b) in ((PAPER, (x, y)), (color, (u, v))):
            axes.scatter(
                a, b, s=70, marker=marker, color=face, edgecolor=color, linewidth=1.8, zorder=5
            )
    for text, x, y, across, up in (
        ("pleasant", 1.03, 0, "left", "center"),
        ("unpleasant", -1.03, 0, "right", "center"),
        ("excited", 0, 1.03, "center", "bottom"),
        ("calm", 0, -1.03, "center", "top"),
    ):
        axes.text(x, y, text, ha=across, va=up, size=9.5, color=MUTED)
    axes.set_axis_off()
    axes.set_aspect("equal")
    return svg(figure, "circumplex", "Valence and arousal, predicted against true, by class")
