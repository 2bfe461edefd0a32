"""The figures of a report as SVG text that takes its colors and font from the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP_ROWS = 2000
FEWEST_FOR_MAP = 3
_PCA_DIMENSIONS = 50
_FEWEST_FOR_TSNE = 10

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
CLASS_COLORS = 8
"""The page defines ``--class-0`` to ``--class-7``; further classes start again with new markers."""

# Matplotlib needs a hex color; these stand for the page's own, which differ in light and dark.
_INK, _MUTED, _RULE, _PAPER, _ACCENT = (f"#0a0b{index:02x}" for index in range(5))
_CLASS = tuple(f"#0a0c{index:02x}" for index in range(CLASS_COLORS))
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _RULE: "var(--rule)",
    _PAPER: "var(--paper)",
    _ACCENT: "var(--accent)",
} | {color: f"var(--class-{index})" for index, color in enumerate(_CLASS)}


# What figures drawn elsewhere need of it.
INK, MUTED, PAPER, ACCENT, CLASS = _INK, _MUTED, _PAPER, _ACCENT, _CLASS


def svg(figure: Figure, name: str, title: str) -> str:
    """A figure as an element of the page, with the page's colors and font."""
    return _svg(figure, name, title)


def reliability_diagram(bins: Sequence[dict[str, Any]]) -> str:
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
    upper.plot([0, 1], [0, 1], color=_MUTED, linewidth=1, dashes=(4, 3))
    upper.vlines(x, np.minimum(x, y), np.maximum(x, y), color=_ACCENT, linewidth=2, alpha=0.35)
    upper.plot(x, y, color=_ACCENT, linewidth=1.5)
    # The area of a dot is the bin's share, so that a bin of three rows does not shout.
    upper.scatter(
        x, y, s=14 + 130 * n / n.sum(), color=_ACCENT, edgecolor=_PAPER, zorder=3, clip_on=False
    )
    upper.annotate("too sure", (0.97, 0.06), ha="right", color=_MUTED)
    upper.annotate("too unsure", (0.03, 0.91), color=_MUTED)
    upper.set(ylim=(0, 1), xlim=(0, 1), ylabel="Accuracy")
    lower.bar(
        [entry["above"] for entry in used],
        [entry["n"] for entry in used],
        [(entry["to"] - entry["above"]) * 0.9 for entry in used],
        align="edge",
        color=_ACCENT,
        alpha=0.6,
    )
    lower.set(xlabel="Confidence", ylabel="Rows")
    for axis in (upper.xaxis, upper.yaxis):
        axis.set_major_locator(MultipleLocator(0.25))
        axis.set_major_formatter(PercentFormatter(1.0))
    lower.yaxis.set_major_locator(MaxNLocator(nbins=2 if n.max() > 1 else 1, integer=True))
    lower.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    upper.grid(color=_RULE, linewidth=0.6)
    figure.align_ylabels()
    return _svg(figure, "reliability", "Reliability diagram: accuracy against confidence")


def forest(
    groups: Sequence[tuple[str, Sequence[tuple[str, dict[str, Any], dict[str, Any] | None]]]],
) -> str:
    """Differences with their intervals around zero, in points.

    A group is a metric's title and its rows: a letter, the entry over faces and the one over
    seeds (drawn thinner below it) or None, each with ``value``, ``low`` and ``high`` in shares.
    """
    from matplotlib.figure import Figure

    count = sum(len(rows) + 0.9 for _, rows in groups)
    figure = Figure(figsize=(7.2, 0.6 + 0.3 * count))
    axes = figure.subplots()
    axes.axvline(0, color=_MUTED, linewidth=1)
    y = 0.0
    for title, rows in groups:
        axes.text(
            -0.02,
            y,
            title,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            color=_INK,
            size=9.5,
            parse_math=False,
        )
        for letter, faces, seeds in rows:
            _forest_row(axes, y, letter if len(rows) > 1 else "", faces, width=5.5, marker="|")
            if seeds is not None:
                _forest_row(axes, y + 0.3, "", seeds, width=1.3, marker="o")
            y += 1
        y += 0.9
    axes.set(ylim=(y - 0.9, -0.7), yticks=[], xlabel="Difference in points")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=_RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    # Zero is always in view, and a single tiny difference does not fill the page.
    low, high = axes.get_xlim()
    reach = max(abs(low), abs(high), 0.5)
    axes.set_xlim(min(low, -0.12 * reach), max(high, 0.12 * reach))
    return _svg(figure, "forest", "Differences to the first entry with their intervals")


def _forest_row(
    axes: Axes, y: float, letter: str, entry: dict[str, Any], *, width: float, marker: str
) -> None:
    if entry["value"] is None:
        return
    value = 100 * entry["value"]
    low, high = (100 * entry[end] if entry[end] is not None else value for end in ("low", "high"))
    shown = entry["low"] is not None and (low > 0 or high < 0)
    color = _ACCENT if shown else _MUTED
    broad = marker == "|"
    axes.hlines(y, low, high, color=color, linewidth=width, alpha=0.4 if broad else 1)
    size, edge = (11, 2) if broad else (3.6, 0)
    axes.plot([value], [y], marker=marker, color=color, markersize=size, markeredgewidth=edge)
    if letter:
        axes.annotate(
            letter, (high, y), (7, 0), textcoords="offset points", va="center", color=_MUTED, size=9
        )


def project(
    embeddings: NDArray[np.floating[Any]], *, seed: int = 0, limit: int = MAP_ROWS
) -> tuple[FloatArray, IntArray, str]:
    """Points of ``(N, D)`` embeddings in the plane: ``(M, 2)``, their rows ``(M,)``, the method.

    At most ``limit`` rows, drawn with ``seed``. PCA to 50 dimensions, then t-SNE; fewer than ten
    rows, or rows that are all alike, are only projected by PCA.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = np.arange(len(embeddings))
    if rows.size > limit:
        rows = np.sort(np.random.default_rng(seed).choice(rows.size, limit, replace=False))
    points = np.asarray(embeddings[rows], np.float64)
    points = points - points.mean(0)
    spread = np.abs(points).max()
    if spread < 1e-9:
        return np.zeros((rows.size, 2)), rows, "PCA"
    width = min(_PCA_DIMENSIONS, *points.shape)
    points = PCA(width, random_state=seed).fit_transform(points / spread)
    if width < 2:
        points = np.hstack([points, np.zeros_like(points)])
    if rows.size < _FEWEST_FOR_TSNE or len(np.unique(points, axis=0)) < _FEWEST_FOR_TSNE:
        return points[:, :2], rows, "PCA"
    method = TSNE(
        perplexity=min(30.0, (rows.size - 1) / 3),
        init="pca",
        learning_rate="auto",
        random_state=seed,
    )
    return np.asarray(method.fit_transform(points), np.float64), rows, "t-SNE"


def embedding_map(
    points: FloatArray, targets: IntArray, names: Sequence[str], method: str, *, of: str = ""
) -> str:
    """The plane of :func:`project` with a mark of its own for each true class.

    ``of`` tells the maps of one page apart.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.8, 5.8))
    axes = figure.subplots()
    present = [index for index in range(len(names)) if (targets == index).any()]
    # Large classes first: the few rows of a rare class stay on top.
    for index in sorted(present, key=lambda index: -int((targets == index).sum())):
        axes.scatter(
            points[targets == index, 0],
            points[targets == index, 1],
            s=13,
            marker=class_marker(index),
            color=_CLASS[index % CLASS_COLORS],
            alpha=0.75,
            linewidth=0,
        )
    axes.set_axis_off()
    axes.margins(0.02)
    axes.set_aspect("equal")
    for index, (x, y) in _label_places(points, targets, present):
        label = axes.text(x, y, names[index], ha="center", va="center", size=9.5, parse_math=False)
        label.set(gid=f"label-{index}", color=_INK)
    whose = f" of {of}" if of else ""
    title = f"{method} map of the embedding{whose}, a mark for each class"
    return _svg(figure, "map", title, salt=f"map{of}")


def circumplex(
    predictions: FloatArray,
    truth: FloatArray,
    targets: IntArray,
    names: Sequence[str],
    *,
    seed: int = 0,
) -> str:
    """Valence to the right, arousal up: where the model puts each face, colored by its class.

    ``predictions`` and ``truth`` are ``(N, 2)``, ``targets`` ``(N,)`` with -1 for a row without
    an expression. For each class an arrow leads from the mean truth to the mean prediction. At
    most :data:`MAP_ROWS` faces are drawn, chosen with ``seed``; the means are of all.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.8, 5.8))
    axes = figure.subplots()
    turn = np.linspace(0, 2 * np.pi, 181)
    axes.plot(np.cos(turn), np.sin(turn), color=_RULE, linewidth=1)
    axes.plot([-1, 1], [0, 0], color=_RULE, linewidth=1)
    axes.plot([0, 0], [-1, 1], color=_RULE, linewidth=1)
    drawn = np.arange(len(truth))
    if drawn.size > MAP_ROWS:
        drawn = np.random.default_rng(seed).choice(drawn.size, MAP_ROWS, replace=False)
    places = np.clip(predictions[drawn], -1.1, 1.1)
    colors = np.array([*(_CLASS[i % CLASS_COLORS] for i in range(len(names))), _MUTED])
    present = [index for index in range(len(names)) if (targets == index).any()]
    for index in [-1, *sorted(present, key=lambda index: -int((targets == index).sum()))]:
        own = targets[drawn] == index
        axes.scatter(
            places[own, 0],
            places[own, 1],
            s=11,
            marker=class_marker(index) if index >= 0 else "o",
            color=colors[index],
            alpha=0.4,
            linewidth=0,
        )
    for index in present or [-1]:
        (x, y), (u, v) = truth[targets == index].mean(0), predictions[targets == index].mean(0)
        color, marker = colors[index], class_marker(index) if index >= 0 else "o"
        axes.plot([x, u], [y, v], color=_PAPER, linewidth=4, solid_capstyle="round", zorder=3)
        axes.plot([x, u], [y, v], color=color, linewidth=2, solid_capstyle="round", zorder=4)
        for face, (a, b) in ((_PAPER, (x, y)), (color, (u, v))):
            axes.scatter(
                a, b, s=70, marker=marker, color=face, edgecolor=color, linewidth=1.8, zorder=5
            )
    for text, x, y, across, up in (
        ("pleasant", 1.03, 0, "left", "center"),
        ("unpleasant", -1.03, 0, "right", "center"),
        ("excited", 0, 1.03, "center", "bottom"),
        ("calm", 0, -1.03, "center", "top"),
    ):
        axes.text(x, y, text, ha=across, va=up, size=9.5, color=_MUTED)
    axes.set_axis_off()
    axes.set_aspect("equal")
    return _svg(figure, "circumplex", "Valence and arousal, predicted against true, by class")


def class_marker(index: int) -> str:
    """The matplotlib marker of a class; color and marker together repeat after 64 classes."""
    return MARKERS[(index + index // CLASS_COLORS) % len(MARKERS)]


def class_mark(index: int) -> str:
    """The mark of a class on the map, as a small SVG for tables and legends."""
    from matplotlib.markers import MarkerStyle

    marker = MarkerStyle(class_marker(index))
    path = marker.get_path().transformed(marker.get_transform())
    outline = np.asarray(path.to_polygons()[0], np.float64)
    points = " ".join(f"{x:.2f},{-y:.2f}" for x, y in outline)
    return (
        '<svg class="mark" viewBox="-0.72 -0.72 1.44 1.44" aria-hidden="true">'
        f'<polygon points="{points}" fill="var(--class-{index % CLASS_COLORS})"/></svg>'
    )


def legend(targets: IntArray, names: Sequence[str]) -> str:
    """The marks of the classes that occur in ``targets``, with their names."""
    entries = "".join(
        f"<li>{class_mark(index)}{escape(name)}</li>"
        for index, name in enumerate(names)
        if (targets == index).any()
    )
    return f'<ul class="legend">{entries}</ul>'


def _label_places(
    points: FloatArray, targets: IntArray, present: Sequence[int]
) -> list[tuple[int, tuple[float, float]]]:
    """The row nearest to each class's median, moved up where two names would collide."""
    if not 0 < len(present) <= 12:
        return []
    # Both axes have one scale, so the longer side says how large a letter is.
    extent = max(float(np.ptp(points, axis=0).max()), 1e-9)
    places: list[tuple[int, tuple[float, float]]] = []
    medians = {index: np.median(points[targets == index], axis=0) for index in present}
    for index in sorted(present, key=lambda index: float(medians[index][1])):
        own = points[targets == index]
        x, y = own[np.abs(own - medians[index]).sum(1).argmin()]
        while any(
            abs(x - a) < 0.18 * extent and abs(y - b) < 0.045 * extent for _, (a, b) in places
        ):
            y += 0.01 * extent
        places.append((index, (float(x), float(y))))
    return places


def _svg(figure: Figure, name: str, title: str, *, salt: str = "") -> str:
    import matplotlib as mpl

    # Words stay text, and the ids of two figures of one page differ.
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": salt or name}
    for axes in figure.axes:
        axes.set_facecolor("none")
        axes.tick_params(color=_RULE, labelcolor=_MUTED, length=3)
        for side, spine in axes.spines.items():
            spine.set_color(_RULE)
            if side in ("top", "right"):
                spine.set_visible(False)
        axes.xaxis.label.set_color(_MUTED)
        axes.yaxis.label.set_color(_MUTED)
    out = io.StringIO()
    with mpl.rc_context(settings), warnings.catch_warnings():
        # The page's fonts draw the text; that matplotlib's own lacks a letter is no matter.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(
            out,
            format="svg",
            transparent=True,
            bbox_inches="tight",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _inline(out.getvalue(), name, title)


def _inline(svg: str, name: str, title: str) -> str:
    """Matplotlib's file as an element of a page: no header, no foreign ids, fonts or colors."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'<g id="(?!label-)[^"]*"', "<g", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = svg.replace('id="label-', f'class="label" data-{name}="')
    svg = re.sub(r"font: (?:[\w ]+ )?(\d[\d.]*px) [^;\"]*", r"font-size: \1", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    head, rest = svg.split(">", 1)
    box = head[head.index('viewBox="') :].split('"')[1]
    return f'<svg class="{name}" viewBox="{box}" role="img" aria-label="{title}">{rest}'
