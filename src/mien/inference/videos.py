"""``mien predict`` with videos among its inputs: tables, drawn videos and timelines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from mien.faces.detect import Detector
from mien.faces.tracks import FramesDetector, MediaPipeFramesDetector
from mien.faces.video import Frame, load_av
from mien.inference.annotate import percent
from mien.inference.circumplex import signed
from mien.inference.drawn_video import drawn_video
from mien.inference.persons import TrackSummary
from mien.inference.photos import (
    annotating,
    free_name,
    line_of,
    print_line,
    refuse_folder_of_inputs,
)
from mien.inference.predictor import Predictor
from mien.inference.severity import SeverityPredictor
from mien.inference.stream import Found, find_files, predict_found
from mien.inference.table import Row, open_table
from mien.inference.timeline import plot_timeline, require_matplotlib
from mien.inference.video import RATE, OnFrame, VideoReading, predict_video
from mien.inference.video_rows import RowKind
from mien.schema import Face, Prediction, Status, UInt8Array

_NO_SEVERITY = "expected a video to read severity from, got a photo; add --model fer"


def predict_videos(
    inputs: Iterable[str],
    *,
    predictor: Predictor | None = None,
    severity: SeverityPredictor | None = None,
    rate: float = RATE,
    rows: str = "summary",
    out: str | os.PathLike[str] | None = None,
    annotate: str | os.PathLike[str] | None = None,
    tight: bool = False,
    detector: Detector | None = None,
    show: TextIO | None = None,
    show_json: TextIO | None = None,
) -> dict[str, int]:
    """Read videos, photos and folders; write a table of ``rows``, drawn videos with timelines.

    Parameters
    ----------
    inputs
        As for :func:`~mien.inference.stream.predict_files`, and videos, also in folders.
    predictor, severity, rate
        As for :func:`~mien.inference.video.predict_video`.
    rows
        One for each person (``summary``), frame or clip. A face of a photo is a row as well.
    out
        The table's file: .csv, .parquet or .jsonl.
    annotate
        A folder that gets NAME.mp4 and NAME.timeline.png of each video, and drawn photos.
    tight
        Photos are tight crops; of videos nothing changes.
    detector
        Of photos and of the frames of videos; MediaPipe's, unless one is given.
    show, show_json
        Streams that get a line a person or photo, or the rows as one JSON array, while it goes on.

    Every input gives at least one row. Memory does not grow with the length of a video or their
    number. Returns ``{"videos": n, "photos": n, "rows": n, "unreadable": n}``; a video of which
    only a part could be read counts as unreadable too. Raises :class:`~mien.schema.MienError`
    where something cannot be written, or a package is missing.
    """
    inputs = list(inputs)
    folder = None if annotate is None else Path(annotate)
    load_av()
    if folder is not None:
        require_matplotlib()
        refuse_folder_of_inputs(folder, inputs)
    kind = RowKind(
        rows,
        None if predictor is None else predictor.info,
        None if severity is None else severity.info,
    )
    with ExitStack() as stack:
        writers: list[Callable[[list[Row]], None]] = []
        if out is not None:
            writers.append(stack.enter_context(open_table(out, kind.schema)))
        if show_json is not None:
            writers.append(stack.enter_context(_JsonArray(show_json)).write)
        used: FramesDetector
        if detector is None:
            used = stack.enter_context(MediaPipeFramesDetector())
        else:
            used = _EachFrame(detector)
        run = _Run(predictor, severity, rate, kind, folder, used, writers, show)
        for video, files in groupby(find_files(inputs, videos=True), lambda file: file.video):
            if video:
                for file in files:
                    run.read_video(file.source)
            else:
                run.read_photos(files, tight=tight)
        if show is not None and severity is not None:
            print(severity.info.use, file=show)
        return run.counts


class _EachFrame:
    """A detector of photos for the frames of a video."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        return self._detector(image)


@dataclass
class _Run:
    """One call of :func:`predict_videos`: what it reads by, and where it writes."""

    predictor: Predictor | None
    severity: SeverityPredictor | None
    rate: float
    kind: RowKind
    folder: Path | None
    detector: FramesDetector
    writers: Sequence[Callable[[list[Row]], None]]
    show: TextIO | None
    names: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(
        default_factory=lambda: {"videos": 0, "photos": 0, "rows": 0, "unreadable": 0}
    )

    def read_video(self, source: str) -> None:
        """Read, draw and write one video."""
        with ExitStack() as stack:
            looks: list[OnFrame] = [self._write_frame]
            others = None
            if self.folder is not None:
                name = free_name(source, ".mp4", self.names)
                drawn = stack.enter_context(drawn_video(self.folder / name))
                looks.append(drawn.look)
                others = drawn.other
            if isinstance(self.detector, MediaPipeFramesDetector):
                self.detector.restart()
            reading = predict_video(
                source,
                predictor=self.predictor,
                severity=self.severity,
                rate=self.rate,
                detector=self.detector,
                on_frame=lambda frame, found: _tell(looks, frame, found),
                on_other=others,
            )
        if self.folder is not None:
            plot_timeline(reading, (self.folder / name).with_suffix(".timeline.png"))
        self.counts["videos"] += 1
        self.counts["unreadable"] += reading.status is Status.UNREADABLE or bool(reading.damage)
        self._write(self.kind.of_video(reading))
        if self.show is not None:
            for line in lines_of(reading):
                print_line(line, self.show)

    def read_photos(self, files: Iterable[Found], *, tight: bool) -> None:
        """Read, draw and write photos, the ones after the others."""
        if self.predictor is None:
            found: Iterator[Prediction] = map(_not_read, files)
        else:
            found = predict_found(self.predictor, files, tight=tight)
            if self.folder is not None:
                found = annotating(found, self.folder, self.names)
        for prediction in found:
            self.counts["photos"] += prediction.index == 0
            self.counts["unreadable"] += prediction.status is Status.UNREADABLE
            self._write([self.kind.of_photo(prediction)])
            if self.show is not None:
                print_line(line_of(prediction), self.show)

    def _write_frame(self, frame: Frame, predictions: list[Prediction]) -> None:
        self._write(self.kind.of_frame(predictions))

    def _write(self, rows: list[Row]) -> None:
        self.counts["rows"] += len(rows)
        for write in self.writers:
            write(rows)


def _tell(looks: Sequence[OnFrame], frame: Frame, predictions: list[Prediction]) -> None:
    for look in looks:
        look(frame, predictions)


def _not_read(file: Found) -> Prediction:
    if file.fault:
        return Prediction(Status.UNREADABLE, file.source, file.fault)
    return Prediction(Status.ABSTAINED, file.source, _NO_SEVERITY)


def lines_of(reading: VideoReading) -> Iterator[str]:
    """A video for a reader: a line a person, or why there is none."""
    if not reading.tracks:
        yield f"{reading.source}  {reading.status.value}: {reading.reason}"
    for track in reading.tracks:
        yield f"{reading.source}  person {track.track}  {_said(track, reading)}"


def _said(track: TrackSummary, reading: VideoReading) -> str:
    parts = [f"{track.seconds:.1f} s ({percent(track.share)})"]
    ranked = sorted(track.shares.items(), key=lambda pair: -pair[1])[:3]
    parts += [f"{name} {percent(value)}" for name, value in ranked]
    if track.valence is not None and track.arousal is not None:
        parts.append(f"valence {signed(track.valence)}, arousal {signed(track.arousal)}")
    if track.severity is not None and reading.severity is not None:
        value, low, high, band = track.severity
        interval = "" if low is None else f" ({low:.1f} to {high:.1f})"
        scale = reading.severity.scale
        named = f", {band}" if band else ""
        parts.append(f"severity {value:.1f}{interval} of {scale.top} ({scale.name}){named}")
    notes = "; ".join(note for note in (track.reason, reading.reason) if note)
    return ", ".join(parts) + (f"  [{notes}]" if notes else "")


class _JsonArray:
    """Rows as one JSON array, a line each, while they come."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before = "["

    def write(self, rows: list[Row]) -> None:
        for row in rows:
            print(
                f"{self._before}\n{json.dumps(row, ensure_ascii=False)}", end="", file=self._stream
            )
            self._before = ","

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            print("\n]" if self._before == "," else "[]", file=self._stream)


def tell_counts(counts: dict[str, int], places: Iterable[object]) -> str:
    """What was read and where it is, in one line."""
    parts = [
        f"{counts[what]} {what[:-1] if counts[what] == 1 else what}"
        for what in ("videos", "photos")
        if counts[what]
    ]
    bad = f", {counts['unreadable']} not read whole" if counts["unreadable"] else ""
    where = " and ".join(map(str, places))
    return f"rows: {counts['rows']}, of {' and '.join(parts)}{bad}; written to {where}"
