"""Predicted and true scores of recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from mien.metrics.classification import FloatArray
from mien.reports.figures.svg import ACCENT, CLASS, INK, MUTED, PAPER, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SEEN, _UNSEEN, _UNKNOWN = CLASS[4], ACCENT, MUTED
_GROUPS = {
    "unseen": ("unseen subject", _UNSEEN, "o"),
    "seen": ("subject also in training", _SEEN, "^"),
    "unknown": ("subject not known", _UNKNOWN, "s"),
}


def scatter(
    recordings: Sequence[Mapping[str, Any]], scale: Mapping[str, Any], half_width: float | None
) -> Markup:
    """True scores to the right, predictions up, over the bands and the conformal interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 6.2))
    axes = figure.subplots()
    top = scale["top"]
    line = np.array([0.0, top])
    if half_width is not None:
        axes.fill_between(
            line, line - half_width, line + half_width, color=ACCENT, alpha=0.09, linewidth=0
        )
    axes.plot(line, line, color=MUTED, linewidth=1, dashes=(4, 3))
    _band_grid(axes, scale, both=True)
    _marks(axes, recordings, lambda entry: (entry["score"], entry["prediction"]))
    margin = 0.02 * top
    axes.set(
        xlim=(-margin, top + margin),
        ylim=(-margin, top + margin),
        xlabel="True score",
        ylabel="Predicted score",
    )
    axes.set_aspect("equal")
    return svg(figure, "severity", "Predicted against true score of each recording")


def residuals(recordings: Sequence[Mapping[str, Any]], scale: Mapping[str, Any]) -> Markup:
    """Predicted less true score over the true score, and what the training mean would give."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.6, 3.6))
    axes = figure.subplots()
    top = scale["top"]
    axes.axhline(0, color=MUTED, linewidth=1)
    if (mean := recordings[0]["baselines"].get("mean")) is not None:
        axes.plot([0, top], [mean, mean - top], color=MUTED, linewidth=1, dashes=(1.5, 2.5))
    _band_grid(axes, scale, both=False)
    _marks(axes, recordings, lambda entry: (entry["score"], entry["prediction"] - entry["score"]))
    reach = max(5.0, 1.15 * max(abs(entry["prediction"] - entry["score"]) for entry in recordings))
    axes.set(
        xlim=(-0.02 * top, 1.02 * top),
        ylim=(-reach, reach),
        xlabel="True score",
        ylabel="Predicted less true",
    )
    return svg(figure, "residuals", "Predicted less true score, over the true score")


def subject_lines(recordings: Sequence[Mapping[str, Any]], limit: int = 40) -> tuple[Markup, int]:
    """A line for each subject with several recordings: true scores (open) to predictions (filled).

    Returns the figure and how many such subjects there are; "" for none. At most ``limit``
    subjects are drawn, evenly spaced in the order of their mean score.
    """
    from matplotlib.figure import Figure

    by_subject: dict[str, list[Mapping[str, Any]]] = {}
    for entry in recordings:
        if entry["subject"]:
            by_subject.setdefault(entry["subject"], []).append(entry)
    several = [group for group in by_subject.values() if len(group) > 1]
    several.sort(key=lambda group: float(np.mean([entry["score"] for entry in group])))
    count = len(several)
    if not several:
        return Markup(), 0
    if count > limit:
        several = [several[index] for index in np.linspace(0, count - 1, limit).round().astype(int)]
    figure = Figure(figsize=(7.2, 3.6))
    axes = figure.subplots()
    for position, group in enumerate(several):
        predictions: FloatArray = np.array([entry["prediction"] for entry in group])
        scores: FloatArray = np.array([entry["score"] for entry in group])
        _, color, _ = _GROUPS[group[0]["subject_group"]]
        both = np.concatenate([predictions, scores])
        axes.vlines(position, both.min(), both.max(), color=color, linewidth=1, alpha=0.35)
        axes.scatter(
            np.full(len(scores), position - 0.14),
            scores,
            s=22,
            color=PAPER,
            edgecolor=INK,
            zorder=3,
        )
        axes.scatter(
            np.full(len(predictions), position + 0.14), predictions, s=20, color=color, zorder=3
        )
    axes.set(
        xlim=(-1, len(several)), xticks=[], ylabel="Score", xlabel="Subjects, by their mean score"
    )
    return svg(figure, "subjects", "True and predicted scores of each subject's recordings"), count


def _band_grid(axes: Axes, scale: Mapping[str, Any], *, both: bool) -> None:
    """Thin lines where a band begins, and the bands' names along the top."""
    starts = [start for _, start in scale["bands"]]
    ends = [*starts[1:], scale["top"] + 1]
    for (name, start), end in zip(scale["bands"], ends, strict=True):
        if start:
            axes.axvline(start - 0.5, color=MUTED, linewidth=0.6, alpha=0.5)
            if both:
                axes.axhline(start - 0.5, color=MUTED, linewidth=0.6, alpha=0.5)
        axes.annotate(
            name,
            ((start + end - 1) / 2, 1.015),
            xycoords=("data", "axes fraction"),
            ha="center",
            color=MUTED,
            size=8.5,
        )


def _marks(axes: Axes, recordings: Sequence[Mapping[str, Any]], position: Any) -> None:
    present = {entry["subject_group"] for entry in recordings}
    for group, (_, color, marker) in _GROUPS.items():
        if group in present:
            points = np.array(
                [position(entry) for entry in recordings if entry["subject_group"] == group]
            )
            axes.scatter(
                points[:, 0],
                points[:, 1],
                s=26,
                marker=marker,
                color=color,
                alpha=0.75,
                linewidth=0,
                zorder=3,
                clip_on=False,
            )


def legend(recordings: Sequence[Mapping[str, Any]]) -> list[tuple[Markup, str]]:
    """The marks of the groups of subjects that occur and what they mean."""
    shapes = {
        "o": '<circle r="0.5"',
        "^": '<polygon points="0,-0.55 0.55,0.45 -0.55,0.45"',
        "s": '<rect x="-0.45" y="-0.45" width="0.9" height="0.9"',
    }
    colors = {_UNSEEN: "var(--accent)", _SEEN: "var(--class-4)", _UNKNOWN: "var(--muted)"}
    present = {entry["subject_group"] for entry in recordings}
    return [
        (
            Markup(
                '<svg class="mark" viewBox="-0.72 -0.72 1.44 1.44" aria-hidden="true">'
                f'{shapes[marker]} fill="{colors[color]}"/></svg>'
            ),
            title,
        )
        for group, (title, color, marker) in _GROUPS.items()
        if group in present
    ]
