"""What a video shows over time, as a plot."""

from __future__ import annotations

import importlib.util
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.files import replacing
from mien.inference.annotate import color_of
from mien.schema import MienError

if TYPE_CHECKING:
    from mien.inference.persons import TrackSummary
    from mien.inference.video import VideoReading

MOST_PERSONS = 3
_BLUE, _ORANGE, _PINK = "#0072B2", "#D55E00", "#B8336A"
_INK, _GRAY, _GAP = "#333333", "0.4", "0.87"


def plot_timeline(reading: VideoReading, out: str | os.PathLike[str]) -> bool:
    """Write a PNG of what the persons of a video show over time; at most three of them.

    Of each: expressions as areas that fill 1, valence and arousal as lines, severity by clip
    with the interval of the whole and the statement of use. Time without a usable face is
    hatched.
    False, and no file, where nothing is to draw. Raises :class:`~mien.schema.MienError` where
    matplotlib is missing or the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ranked = sorted(reading.tracks, key=lambda one: (-one.seconds, one.track))[:MOST_PERSONS]
    panels = [
        (track, draw, height)
        for track in sorted(ranked, key=lambda one: one.track)
        for draw, height in _panels(track)
    ]
    if not panels:
        return False
    heights = [height for *_, height in panels]
    note = "" if reading.severity is None else textwrap.fill(reading.severity.use, 140)
    figure = Figure(
        figsize=(10, sum(heights) + 0.9 + 0.16 * note.count("\n")), layout="constrained"
    )
    FigureCanvasAgg(figure)
    places = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)
    titled = None
    for place, (track, draw, _) in zip(places[:, 0], panels, strict=True):
        draw(place, reading, track)
        _show_gaps(place, reading, track, labeled=track is not titled)
        place.set_xlim(0, max(reading.seconds, 0.1))
        place.spines[["top", "right"]].set_visible(False)
        place.tick_params(labelsize=8)
        place.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, reverse=True
        )
        if track is not titled:
            title = f"person {track.track}: usable {track.seconds:.1f} s ({track.share:.0%})"
            place.set_title(title, loc="left", fontsize=9, color=_INK)
        titled = track
    left_out = len(reading.tracks) - len(ranked)
    more = f" ({left_out} more {'persons' if left_out > 1 else 'person'} not drawn)"
    figure.suptitle(
        Path(reading.source).name + (more if left_out else ""), x=0.01, ha="left", fontsize=10
    )
    places[-1, 0].set_xlabel("time in seconds", fontsize=9)
    if note:
        figure.supxlabel(note, fontsize=8, color=_GRAY, x=0.01, ha="left")
    with replacing(out) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return True


def require_matplotlib() -> None:
    """Raise a :class:`~mien.schema.MienError` that says how to install it, where it is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MienError(
            'the timeline needs the package matplotlib; install it with: pip install "mien[train]"'
        )


_Draw = Callable[[Any, "VideoReading", "TrackSummary"], None]


def _panels(track: TrackSummary) -> list[tuple[_Draw, float]]:
    found: list[tuple[_Draw, float]] = []
    if track.shares:
        found.append((_expressions, 2.1))
    if track.valence is not None:
        found.append((_affect, 1.5))
    if track.clips:
        found.append((_severity, 1.9))
    return found


def _show_gaps(axes: Any, reading: VideoReading, track: TrackSummary, *, labeled: bool) -> None:
    """Hatch the time in which the face was not there or not usable."""
    at, label = 0.0, "no usable face" if labeled else ""
    for segment in [*track.curve.segments(), None]:
        start = reading.seconds if segment is None else float(segment.edges[0])
        if start - at > 1e-6:
            look = {"facecolor": "1", "edgecolor": _GAP, "hatch": "///", "linewidth": 0}
            axes.axvspan(at, start, zorder=0, label=label, **look)
            label = ""
        if segment is not None:
            at = float(segment.edges[-1])


def _expressions(axes: Any, reading: VideoReading, track: TrackSummary) -> None:
    names = list(track.shares)
    colors = [tuple(part / 255 for part in color_of(name, names)) for name in names]
    for number, segment in enumerate(track.curve.segments()):
        # Each step from edge to edge, so that a lone one is seen as well.
        times = np.repeat(segment.edges, 2)[1:-1]
        values = np.repeat(segment.means[:, : len(names)].T, 2, axis=1)
        labels = names if number == 0 else ()
        axes.stackplot(times, values, colors=colors, labels=labels, linewidth=0)
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability", fontsize=9)


def _affect(axes: Any, reading: VideoReading, track: TrackSummary) -> None:
    columns = (("arousal", _ORANGE, 1), ("valence", _BLUE, 0))
    for name, color, column in columns:
        for number, segment in enumerate(track.curve.segments()):
            times = np.repeat(segment.edges, 2)[1:-1]
            values = np.repeat(segment.means[:, len(track.shares) + column], 2)
            axes.plot(times, values, color=color, linewidth=1.4, label=name if not number else "")
    axes.axhline(0, color="0.75", linewidth=0.8, zorder=1)
    axes.set_ylim(-1, 1)
    axes.set_ylabel("-1 to 1", fontsize=9)


def _severity(axes: Any, reading: VideoReading, track: TrackSummary) -> None:
    score, ends = track.severity, (track.start, max(track.end, track.start + 1e-3))
    if score is not None:
        if score.low is not None and score.high is not None:
            share = (
                "" if reading.severity is None else f"{reading.severity.conformal.coverage:.0%} "
            )
            label = f"{share}interval,\n{score.low:.1f} to {score.high:.1f}"
            bounds = score.low, score.high
            axes.fill_between(ends, *bounds, color=_PINK, alpha=0.15, linewidth=0, label=label)
        label = f"whole: {score.value:.1f}"
        axes.plot(ends, [score.value] * 2, color=_PINK, linewidth=1.2, zorder=2, label=label)
    for number, clip in enumerate(track.clips):
        axes.plot(
            [clip.start, max(clip.end, clip.start + 1e-3)],
            [clip.severity] * 2,
            color=_INK,
            linewidth=2.5,
            solid_capstyle="butt",
            zorder=3,
            label="a clip" if number == 0 else "",
        )
    if reading.severity is not None:
        scale = reading.severity.scale
        axes.set_ylim(0, scale.top)
        axes.set_ylabel(f"severity\n({scale.name})", fontsize=9)
