"""What a video shows over time, as a plot."""

from __future__ import annotations

import importlib.util
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mien.errors import MienError
from mien.files import replacing
from mien.heads import HeadInfo
from mien.heads.wording import percent
from mien.inference.curves import Curve
from mien.inference.drawing.colors import color_of

if TYPE_CHECKING:
    from mien.inference.persons import PersonSummary
    from mien.inference.videos import VideoPredictions

MOST_PERSONS = 3
_BLUE, _ORANGE, _PINK = "#0072B2", "#D55E00", "#B8336A"
_INK, _GRAY, _GAP = "#333333", "0.4", "0.87"


class _Panel(NamedTuple):
    """One panel of the plot: a person, one of the heads, how to draw it, and inches."""

    person: PersonSummary
    info: HeadInfo
    draw: Callable[[Any, PersonSummary, Any], None]
    height: float


def plot_timeline(video: VideoPredictions, out: str | os.PathLike[str]) -> bool:
    """Write a PNG of what the persons of a video show over time; at most three of them.

    Per person: expressions as areas that fill 1, valence and arousal as lines, severity by clip
    with the interval of the whole and the statement of use. Time without a usable face is hatched.
    False, and no file, where there is nothing to draw. Raises :class:`~mien.errors.MienError`
    where matplotlib is missing or the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    longest = sorted(video.persons, key=lambda person: (-person.usable_seconds, person.track))
    drawn = sorted(longest[:MOST_PERSONS], key=lambda person: person.track)
    panels = [panel for person in drawn for panel in _panels(person, video)]
    if not panels:
        return False
    heights = [panel.height for panel in panels]
    uses = dict.fromkeys(person.prediction.use for person in drawn if person.prediction.use)
    note = textwrap.fill(" ".join(uses), 140)
    figure = Figure(
        figsize=(10, sum(heights) + 0.9 + 0.16 * note.count("\n")), layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    previous = None
    for place, (person, info, draw, _) in zip(axes, panels, strict=True):
        draw(place, person, info)
        _draw_gaps(place, person.usable, video.seconds, labeled=person is not previous)
        place.set_xlim(0, max(video.seconds, 0.1))
        place.spines[["top", "right"]].set_visible(False)
        place.tick_params(labelsize=8)
        place.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, reverse=True
        )
        if person is not previous:
            usable = f"usable {person.usable_seconds:.1f} s ({percent(person.usable_share)})"
            title = f"person {person.track}: {usable}"
            place.set_title(title, loc="left", fontsize=9, color=_INK)
        previous = person
    left_out = len(video.persons) - len(drawn)
    more = f" ({left_out} more {'persons' if left_out > 1 else 'person'} not drawn)"
    figure.suptitle(
        Path(video.source).name + (more if left_out else ""),
        x=0.01,
        ha="left",
        fontsize=10,
        parse_math=False,
    )
    axes[-1].set_xlabel("time in seconds", fontsize=9)
    if note:
        figure.supxlabel(note, fontsize=8, color=_GRAY, x=0.01, ha="left")
    with replacing(out, private=True) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return True


def require_matplotlib() -> None:
    """Raise a :class:`~mien.errors.MienError` with the install line where matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MienError(
            'the timeline needs the package matplotlib; install it with: pip install "mien[train]"'
        )


def _panels(person: PersonSummary, video: VideoPredictions) -> Iterator[_Panel]:
    for model in video.models:
        drawings = _CURVES if model.clips is None else _CLIPS
        for name, info in model.heads.items():
            if name in drawings and (name in person.curves or (model.clips and person.clips)):
                yield _Panel(person, info, *drawings[name])


def _draw_gaps(axes: Any, usable: Curve, seconds: float, *, labeled: bool) -> None:
    """Hatch the time in which the face was absent or not usable."""
    at, label = 0.0, "no usable face" if labeled else ""
    for segment in [*usable.segments(), None]:
        start = seconds if segment is None else float(segment.edges[0])
        if start - at > 1e-6:
            look = {"facecolor": "1", "edgecolor": _GAP, "hatch": "///", "linewidth": 0}
            axes.axvspan(at, start, zorder=0, label=label, **look)
            label = ""
        if segment is not None:
            at = float(segment.edges[-1])


def _draw_expression(axes: Any, person: PersonSummary, info: Any) -> None:
    names = info.label_space.names
    colors = [tuple(part / 255 for part in color_of(name, names)) for name in names]
    for number, segment in enumerate(person.curves["expression"].segments()):
        # Each step from edge to edge, so that a lone one is visible as well.
        times = np.repeat(segment.edges, 2)[1:-1]
        values = np.repeat(segment.means.T, 2, axis=1)
        labels = names if number == 0 else ()
        axes.stackplot(times, values, colors=colors, labels=labels, linewidth=0)
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability", fontsize=9)


def _draw_valence_arousal(axes: Any, person: PersonSummary, info: Any) -> None:
    for name, color, column in (("arousal", _ORANGE, 1), ("valence", _BLUE, 0)):
        for number, segment in enumerate(person.curves["valence_arousal"].segments()):
            times = np.repeat(segment.edges, 2)[1:-1]
            values = np.repeat(segment.means[:, column], 2)
            axes.plot(times, values, color=color, linewidth=1.4, label="" if number else name)
    axes.axhline(0, color="0.75", linewidth=0.8, zorder=1)
    axes.set_ylim(-1, 1)
    axes.set_ylabel("-1 to 1", fontsize=9)


def _draw_severity(axes: Any, person: PersonSummary, info: Any) -> None:
    whole, ends = person.prediction, (person.start, max(person.end, person.start + 1e-3))
    if whole.severity is not None:
        low, high = whole.severity_low, whole.severity_high
        if low is not None and high is not None:
            label = f"{percent(info.conformal.coverage)} interval,\n{low:.1f} to {high:.1f}"
            axes.fill_between(ends, low, high, color=_PINK, alpha=0.15, linewidth=0, label=label)
        label = f"whole: {whole.severity:.1f}"
        axes.plot(ends, [whole.severity] * 2, color=_PINK, linewidth=1.2, zorder=2, label=label)
    for number, clip in enumerate(person.clips or ()):
        axes.plot(
            [clip.start, max(clip.end, clip.start + 1e-3)],
            [clip.prediction.severity] * 2,
            color=_INK,
            linewidth=2.5,
            solid_capstyle="butt",
            zorder=3,
            label="" if number else "a clip",
        )
    axes.set_ylim(0, info.scale.top)
    axes.set_ylabel(f"severity\n({info.scale.name})", fontsize=9)


_Drawing = tuple[Callable[[Any, "PersonSummary", Any], None], float]
_CURVES: dict[str, _Drawing] = {
    "expression": (_draw_expression, 2.1),
    "valence_arousal": (_draw_valence_arousal, 1.5),
}
"""Panels of the heads of a model of faces, with their heights in inches."""
_CLIPS: dict[str, _Drawing] = {"severity": (_draw_severity, 1.9)}
"""Those of a model of clips."""
