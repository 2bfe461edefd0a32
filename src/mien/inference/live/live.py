"""``mien live``: a camera in, its newest frame read, steadied, shown, and stored on request."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mien.errors import MienError
from mien.faces.camera import Camera
from mien.faces.detection.follow import VideoFaceDetector
from mien.faces.tracks import FramesDetector, track_faces
from mien.faces.video import Frame, Video, load_av
from mien.inference.drawing.annotate import annotate
from mien.inference.drawing.drawn_video import drawn_video
from mien.inference.frames import no_face, read_frame
from mien.inference.inputs.sources import ADDRESS, is_address
from mien.inference.live.capture import Capture, Captured
from mien.inference.live.notice import notice, with_strip
from mien.inference.live.steady import Steady
from mien.inference.live.table import live_table
from mien.inference.live.timing import Timing
from mien.inference.live.views import MakeView, View
from mien.inference.model import OnnxModel, open_models
from mien.inference.predictor import Predictor
from mien.inference.rows import Entry, Rows
from mien.inference.work.settings import model_settings
from mien.schema import Face, Prediction, UInt8Array

PathLike = str | os.PathLike[str]

SMOOTH_SECONDS = 0.5
_WAIT_SECONDS = 0.02  # how long a key press may have to wait


@dataclass(frozen=True)
class Session:
    """What a live session was: why it ended, what was read, and what was written where.

    ``broken`` says that the camera or the video ended before anybody wanted it to.
    """

    ended: str
    timing: Timing
    rows: dict[str, int]
    places: tuple[str, ...] = ()
    broken: bool = False

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        parts = [self.ended, self.timing.sentence]
        if self.places:
            counts = [f"{count} {status}" for status, count in self.rows.items()]
            parts.append(", ".join([*counts, f"written to {' and '.join(self.places)}"]))
        return "; ".join(parts)


def run_live(
    source: int | PathLike,
    make_view: MakeView,
    *,
    model: PathLike | OnnxModel = "fer",
    out: PathLike | None = None,
    video: PathLike | None = None,
    smooth: float = SMOOTH_SECONDS,
    baseline: float | None = None,
    seconds: float | None = None,
    abstain_below: float | None = None,
    detector: FramesDetector | None = None,
) -> Session:
    """Read a camera until it ends, or somebody ends it.

    Parameters
    ----------
    source
        The number of a camera, a device (``/dev/video0``), or a video file, which is read as if it
        were a camera: at its own pace.
    make_view
        What shows it, such as :class:`~mien.inference.live.views.Window`.
    model
        A model of faces.
    out
        A .csv, .parquet or .jsonl table with one row for each face of each frame that is read.
    video
        An .mp4 file of what was shown.
    smooth
        The time constant of :class:`~mien.inference.live.steady.Smoothing` in seconds; 0 for none.
    baseline
        Give what each person shows relative to the person's own first so many seconds.
    seconds
        End after so long.
    abstain_below
        The confidence in an expression below which the model abstains; None for its own.
    detector
        A :class:`~mien.faces.detection.follow.VideoFaceDetector` unless one is given.

    Of the frames that come while one is read, only the newest is read next: nothing queues.
    Without ``out`` and ``video`` nothing is stored. When somebody interrupts, what is written is
    completed before ``KeyboardInterrupt`` passes. Raises :class:`~mien.errors.MienError` for what
    cannot be opened, read or written.
    """
    faces, _ = open_models([model], abstain_below=abstain_below)
    if faces is None:
        raise MienError("expected a model of faces, got one of clips; use it with mien predict")
    if video is not None:
        load_av()
        if Path(video).suffix.lower() != ".mp4":
            raise MienError(f"expected a video named .mp4, got {os.fspath(video)!r}; name it so")
    rows = Rows("frames", faces.info)
    settings = {"model": model_settings([model]), "smooth": smooth, "baseline": baseline}
    stored = (("readings", out), ("this video", video))
    told = notice([what for what, place in stored if place is not None])
    with ExitStack() as stack:
        opened = open_source(source)
        capture = stack.enter_context(Capture(opened))
        predictor = stack.enter_context(Predictor(faces))
        if detector is None:
            detector = stack.enter_context(VideoFaceDetector())
        table, drawn = None, None
        if out is not None:
            table = stack.enter_context(live_table(out, rows, opened.name, settings))
        if video is not None:
            drawn = stack.enter_context(drawn_video(video))
        view = make_view(rows, told)
        stack.callback(view.close)
        steady = Steady(predictor.reading, smooth=smooth, baseline=baseline)
        newest = _Newest(capture, view, seconds)
        live = _Live(opened.name, predictor, steady, (told, _settings(smooth, baseline)), view)
        interrupted = False
        try:
            for frame, tracked, _ in track_faces(newest, detector):
                predictions, picture = live.read(newest.captured, tracked, draws=drawn is not None)
                if table is not None:
                    table.add([Entry(each, {}) for each in predictions])
                if drawn is not None and picture is not None:
                    drawn.add_drawn(picture, frame.time)
        except KeyboardInterrupt:
            interrupted = True
    ended = newest.ended or opened.damage or f"{opened.name} is over"
    session = Session(
        ended="interrupted" if interrupted else ended,
        timing=live.timing,
        rows={} if table is None else dict(table.statuses),
        places=tuple(os.fspath(place) for _, place in stored if place is not None),
        broken=bool(opened.damage) and not (interrupted or newest.ended),
    )
    if interrupted:
        raise KeyboardInterrupt(session.sentence)
    return session


def open_source(source: int | PathLike) -> Camera | Video:
    """Open a camera, by its number or device, or a video file.

    Raises :class:`~mien.errors.MienError` for what cannot be opened, and for an address.
    """
    text = str(source) if isinstance(source, int) else os.fsdecode(source)
    if is_address(text):
        raise MienError(f"{ADDRESS}: {text}")
    if text.isdecimal():
        return Camera(int(text))
    return Camera(text) if text.startswith("/dev/") else Video(text)


class _Newest:
    """The newest frames of a camera until it ends or somebody ends it; ``ended`` says why."""

    def __init__(self, capture: Capture, view: View, seconds: float | None) -> None:
        self._capture, self._view, self._seconds = capture, view, seconds
        self.captured: Captured
        self.ended = ""

    def __iter__(self) -> Iterator[Frame]:
        until = math.inf if self._seconds is None else time.monotonic() + self._seconds
        while not self._capture.ended:
            if self._view.stopped():
                self.ended = "stopped"
                return
            if time.monotonic() > until:
                self.ended = f"stopped after {self._seconds:g} s"
                return
            captured = self._capture.take(_WAIT_SECONDS)
            if captured is not None:
                self.captured = captured
                yield captured.frame


class _Live:
    """Reads, steadies and shows one frame after the other."""

    def __init__(
        self,
        source: str,
        predictor: Predictor,
        steady: Steady,
        texts: tuple[str, str],
        view: View,
    ) -> None:
        self._source, self._predictor, self._steady, self._view = source, predictor, steady, view
        self._notice, self._settings = texts
        self.timing = Timing()

    def read(
        self, captured: Captured, faces: Sequence[tuple[int, Face]], *, draws: bool
    ) -> tuple[list[Prediction], UInt8Array | None]:
        """Show a frame; its predictions, and its picture where it is drawn."""
        frame = captured.frame
        outputs = read_frame(self._predictor, frame, faces, self._source)
        predictions = self._steady.read(outputs) or [no_face(frame, self._source)]
        status, picture = self._status(), None
        if draws or self._view.draws:
            picture = annotate(frame.pixels, predictions, enlarge=False)
            picture = with_strip(picture, (self._notice, status))
        self._view.show(picture, predictions, status)
        self.timing.add(captured, time.monotonic())
        return predictions, picture

    def _status(self) -> str:
        pace = self.timing.now()
        if pace is None:
            return self._settings
        return (
            f"{_short(pace.read)} of {_short(pace.came)} frames a second, "
            f"{1000 * pace.delay:.0f} ms late, "
            f"{self._settings}"
        )


def _short(fps: float) -> str:
    return f"{fps:.0f}" if fps >= 9.95 else f"{fps:.1f}"


def _settings(smooth: float, baseline: float | None) -> str:
    smoothed = f"smoothed over {smooth:g} s" if smooth else "not smoothed"
    relative = "" if baseline is None else f", relative to each person's first {baseline:g} s"
    return f"{smoothed}{relative}; q ends"
