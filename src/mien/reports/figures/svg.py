"""Figures as SVG text that takes its colors and font from the page."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLASS_COLORS = 8
"""The page defines ``--class-0`` to ``--class-7``; further classes start again with new markers."""

# Matplotlib needs a hex color; these stand for the page's own, which differ in light and dark.
INK, MUTED, RULE, PAPER, ACCENT = (f"#0a0b{index:02x}" for index in range(5))
CLASS = tuple(f"#0a0c{index:02x}" for index in range(CLASS_COLORS))
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    ACCENT: "var(--accent)",
} | {color: f"var(--class-{index})" for index, color in enumerate(CLASS)}


def svg(figure: Figure, name: str, title: str, *, salt: str = "") -> Markup:
    """A figure as an element of the page; ``salt`` tells apart two of one ``name`` on it."""
    import matplotlib as mpl

    # Words stay text, and the ids of two figures of one page differ.
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": salt or name}
    for axes in figure.axes:
        axes.set_facecolor("none")
        axes.tick_params(color=RULE, labelcolor=MUTED, length=3)
        for side, spine in axes.spines.items():
            spine.set_color(RULE)
            if side in ("top", "right"):
                spine.set_visible(False)
        axes.xaxis.label.set_color(MUTED)
        axes.yaxis.label.set_color(MUTED)
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


def _inline(svg: str, name: str, title: str) -> Markup:
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
    label = escape(title)
    return Markup(f'<svg class="{name}" viewBox="{box}" role="img" aria-label="{label}">{rest}')
