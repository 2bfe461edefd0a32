"""The marks of classes: a color and a shape each, the same on figures and in tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from mien.metrics.classification import IntArray
from mien.reports.figures.svg import CLASS_COLORS

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")


def class_marker(index: int) -> str:
    """The matplotlib marker of a class; color and marker together repeat after 64 classes."""
    return MARKERS[(index + index // CLASS_COLORS) % len(MARKERS)]


def class_mark(index: int) -> Markup:
    """The mark of a class on the map, as a small SVG for tables and legends."""
    from matplotlib.markers import MarkerStyle

    marker = MarkerStyle(class_marker(index))
    path = marker.get_path().transformed(marker.get_transform())
    outline = np.asarray(path.to_polygons()[0], np.float64)
    points = " ".join(f"{x:.2f},{-y:.2f}" for x, y in outline)
    return Markup(
        '<svg class="mark" viewBox="-0.72 -0.72 1.44 1.44" aria-hidden="true">'
        f'<polygon points="{points}" fill="var(--class-{index % CLASS_COLORS})"/></svg>'
    )


def legend(targets: IntArray, names: Sequence[str]) -> list[tuple[Markup, str]]:
    """The marks of the classes that occur in ``targets``, with their names."""
    present = [index for index in range(len(names)) if (targets == index).any()]
    return [(class_mark(index), names[index]) for index in present]
