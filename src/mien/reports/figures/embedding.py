"""A map of an embedding: its rows projected into the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray, IntArray
from mien.reports.figures.classes import class_marker
from mien.reports.figures.svg import CLASS, CLASS_COLORS, INK, svg

MAP_ROWS = 2000
FEWEST_FOR_MAP = 3
_PCA_DIMENSIONS = 50
_FEWEST_FOR_TSNE = 10


class Plane(NamedTuple):
    """Points ``(M, 2)``, the rows ``(M,)`` that they stand for, and the method of projection."""

    points: FloatArray
    rows: IntArray
    method: str


def project(
    embeddings: NDArray[np.floating[Any]], *, seed: int = 0, limit: int = MAP_ROWS
) -> Plane:
    """Points of ``(N, D)`` embeddings in the plane.

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
        return Plane(np.zeros((rows.size, 2)), rows, "PCA")
    width = min(_PCA_DIMENSIONS, *points.shape)
    points = PCA(width, random_state=seed).fit_transform(points / spread)
    if width < 2:
        points = np.hstack([points, np.zeros_like(points)])
    if rows.size < _FEWEST_FOR_TSNE or len(np.unique(points, axis=0)) < _FEWEST_FOR_TSNE:
        return Plane(points[:, :2], rows, "PCA")
    method = TSNE(
        perplexity=min(30.0, (rows.size - 1) / 3),
        init="pca",
        learning_rate="auto",
        random_state=seed,
    )
    return Plane(np.asarray(method.fit_transform(points), np.float64), rows, "t-SNE")


def embedding_map(
    points: FloatArray, targets: IntArray, names: Sequence[str], method: str, *, of: str = ""
) -> Markup:
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
            color=CLASS[index % CLASS_COLORS],
            alpha=0.75,
            linewidth=0,
        )
    axes.set_axis_off()
    axes.margins(0.02)
    axes.set_aspect("equal")
    for index, (x, y) in _label_positions(points, targets, present):
        label = axes.text(x, y, names[index], ha="center", va="center", size=9.5, parse_math=False)
        label.set(gid=f"label-{index}", color=INK)
    whose = f" of {of}" if of else ""
    title = f"{method} map of the embedding{whose}, a mark for each class"
    return svg(figure, "map", title, salt=f"map{of}")


def _label_positions(
    points: FloatArray, targets: IntArray, present: Sequence[int]
) -> list[tuple[int, tuple[float, float]]]:
    """The row nearest to each class's median, moved up where two names would collide."""
    if not 0 < len(present) <= 12:
        return []
    # Both axes have one scale, so the longer side says how large a letter is.
    extent = max(float(np.ptp(points, axis=0).max()), 1e-9)
    positions: list[tuple[int, tuple[float, float]]] = []
    medians = {index: np.median(points[targets == index], axis=0) for index in present}
    for index in sorted(present, key=lambda index: float(medians[index][1])):
        members = points[targets == index]
        x, y = members[np.abs(members - medians[index]).sum(1).argmin()]
        while any(
            abs(x - a) < 0.18 * extent and abs(y - b) < 0.045 * extent for _, (a, b) in positions
        ):
            y += 0.01 * extent
        positions.append((index, (float(x), float(y))))
    return positions
