"""What a video shows over time: as a plot, and as the video with its predictions drawn in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from mien.faces.native import cv2
from mien.faces.video import Frame
from mien.inference.annotate import annotate, colour_of
from mien.inference.table import explaining, replacing
from mien.schema import MienError, Prediction, Status

if TYPE_CHECKING:
    from mien.inference.severity import SeverityPredictor
    from mien.inference.video import TrackSummary, VideoReading

_GAP = 2.5  # a pause of more frames than this is drawn as one
_RESOLUTION = 1000  # of times in the annotated video, a second's parts


class Moment(NamedTuple):
    """A face at a time: its probabilities by name, valence and arousal where there are some."""

    time: float
    probabilities: dict[str, float]
    valence: float | None
    arousal: float | None


def plot_timeline(
    reading: VideoReading,
    moments: dict[int, list[Moment]],
    out: str | os.PathLike[str],
    *,
    severity: SeverityPredictor | None = None,
) -> None:
    """Write a PNG of what the person with most frames shows over time.

    Shares of the expressions as areas that fill 1, valence and arousal as lines, the severity of
    each clip as a step in the interval of the whole; where there is no face there is a gap. Raises
    :class:`MienError` where matplotlib is missing or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MienError(
            'the timeline needs the package matplotlib; install it with: pip install "mien[train]"'
        ) from None
    track = max(reading.tracks, key=lambda one: one.usable, default=None)
    if track is None:
        return
    own = moments.get(track.track, [])
    has_affect = any(moment.valence is not None for moment in own)
    panels = ["expressions"] * bool(own and own[0].probabilities)
    panels += ["affect"] * has_affect + ["severity"] * bool(track.clips)
    if not panels:
        return
    figure = Figure(figsize=(9.5, 0.9 + 2.3 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(len(panels), 1, sharex=True))
    draw = {"expressions": _expressions, "affect": _affect}
    for panel, place in zip(panels, axes, strict=True):
        if panel == "severity":
            _severity(place, track, severity)
        else:
            draw[panel](place, own)
        place.set_xlim(0, max(reading.seconds, 0.1))
        place.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("time in seconds")
    others = len(reading.tracks) - 1
    more = f", and {others} other track{'s' * (others > 1)}" if others else ""
    axes[0].set_title(
        f"{Path(reading.source).name}: person {track.track}, seen in {track.share:.0%} of the "
        f"frames{more}",
        loc="left",
        fontsize=10,
    )
    path = Path(out)
    with replacing(path) as partial, explaining(path):
        figure.savefig(partial, format="png", dpi=120)


def _segments(moments: Sequence[Moment]) -> list[list[Moment]]:
    """Moments without a pause between them."""
    if not moments:
        return []
    times = np.array([moment.time for moment in moments])
    steps = np.diff(times)
    usual = float(np.median(steps)) if steps.size else 0.0
    cuts = np.flatnonzero(steps > _GAP * max(usual, 1e-6)) + 1
    return [list(moments[a:b]) for a, b in zip([0, *cuts], [*cuts, len(moments)], strict=True)]


def _expressions(axes: Any, moments: Sequence[Moment]) -> None:
    names = list(moments[0].probabilities)
    colours = [tuple(part / 255 for part in colour_of(name, names)) for name in names]
    for number, segment in enumerate(_segments(moments)):
        values = np.array([[m.probabilities[name] for name in names] for m in segment]).T
        axes.stackplot(
            [m.time for m in segment],
            values,
            colors=colours,
            labels=names if number == 0 else (),
            linewidth=0,
        )
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def _affect(axes: Any, moments: Sequence[Moment]) -> None:
    for name, colour in (("valence", "#0072B2"), ("arousal", "#D55E00")):
        for number, segment in enumerate(_segments(moments)):
            values = [getattr(moment, name) for moment in segment]
            axes.plot(
                [m.time for m in segment], values, color=colour, label=name if not number else None
            )
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set_ylim(-1, 1)
    axes.set_ylabel("in [-1, 1]")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def _severity(axes: Any, track: TrackSummary, model: SeverityPredictor | None) -> None:
    for number, clip in enumerate(track.clips):
        axes.plot(
            [clip.start, clip.end],
            [clip.severity] * 2,
            color="#444444",
            linewidth=2.5,
            solid_capstyle="butt",
            label="clip" if number == 0 else None,
        )
    if track.severity is not None:
        axes.axhline(track.severity.value, color="#CC3366", linewidth=1, label="recording")
        if track.severity.low is not None and track.severity.high is not None:
            axes.axhspan(
                track.severity.low, track.severity.high, color="#CC3366", alpha=0.12, linewidth=0
            )
    if model is not None:
        axes.set_ylim(0, model.info.scale.top)
        axes.set_ylabel(f"severity\n({model.info.scale.name})")
        coverage = model.info.conformal
        shaded = f"; shaded: {coverage.coverage:.0%} interval" if coverage.half_width else ""
        axes.text(
            0.005,
            0.97,
            f"research output, not a diagnosis{shaded}",
            transform=axes.transAxes,
            fontsize=8,
            color="0.35",
            va="top",
        )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


class AnnotatedVideo:
    """A video that is written frame by frame with its predictions drawn in, at its own times.

    H.264 where the encoder is there, else MPEG-4. It appears under its name when it is closed
    without an error, and never half.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.path = Path(out)
        self._replacing = replacing(self.path)
        self._container: Any = None
        self._stream: Any = None
        self._last = -1

    def add(self, frame: Frame, predictions: Sequence[Prediction]) -> None:
        """Draw and write one frame; frames come in order."""
        import av

        seen = [one for one in predictions if one.status is not Status.NO_FACE]
        picture = annotate(frame.pixels, seen) if seen else annotate(frame.pixels, [])
        if self._stream is None:
            height, width = (side - side % 2 for side in picture.shape[:2])
            codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
            self._stream = self._container.add_stream(codec, rate=30)
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, _RESOLUTION)
        if picture.shape[:2] != (self._stream.height, self._stream.width):
            size = (self._stream.width, self._stream.height)
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        image = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._last = max(self._last + 1, round(frame.time * _RESOLUTION))
        image.pts, image.time_base = self._last, Fraction(1, _RESOLUTION)
        with explaining(self.path):
            for packet in self._stream.encode(image):
                self._container.mux(packet)

    def __enter__(self) -> Self:
        import av

        partial = self._replacing.__enter__()
        self._container = av.open(str(partial), "w", format="mp4")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        empty = self._stream is None
        try:
            if not empty and error is None:
                for packet in self._stream.encode():
                    self._container.mux(packet)
            if not empty:
                self._container.close()
        finally:
            if empty and error is None:
                # Nothing was drawn, and a video without frames is none.
                error = MienError("no frame")
                try:
                    self._replacing.__exit__(MienError, error, None)
                except MienError:
                    return
            self._replacing.__exit__(kind, error, trace)
