"""``mien predict`` on videos: a row a track, a frame or a clip; annotated videos and timelines."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, TextIO

from mien.faces.tracks import MediaPipeFramesDetector
from mien.faces.video import VIDEO_SUFFIXES, Frame
from mien.inference.circumplex import signed
from mien.inference.predictor import Predictor
from mien.inference.severity import SeverityPredictor
from mien.inference.table import explaining, replacing, table_row
from mien.inference.timeline import AnnotatedVideo, Moment, plot_timeline
from mien.inference.video import RATE, TrackSummary, VideoReading, predict_video
from mien.schema import MienError, Prediction, Status

Rows = Literal["summary", "frames", "clips"]
SUMMARY_COLUMNS = (
    *("source", "track", "status", "reason", "start", "end", "usable_frames", "usable_share"),
    *("expression", "shares", "valence", "arousal"),
    *("severity", "severity_low", "severity_high", "band", "clips", "use", "model"),
)
CLIP_COLUMNS = (
    *("source", "track", "status", "reason", "start", "end", "severity", "use", "model"),
)


def is_video(path: str) -> bool:
    """Whether a file's name says that it is a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def predict_videos(
    inputs: Iterable[str],
    *,
    predictor: Predictor | None = None,
    severity: SeverityPredictor | None = None,
    rate: float = RATE,
    rows: Rows = "summary",
    out: str | os.PathLike[str] | None = None,
    annotate: str | os.PathLike[str] | None = None,
    show: TextIO | None = None,
    show_json: TextIO | None = None,
) -> dict[str, Any]:
    """Read videos; write a table of ``rows``, annotated videos with timelines, or onto the screen.

    Every video gives at least one row. Of a frame that was looked at, only the numbers of its row
    and of the timeline are kept. Returns ``{"videos": n, "unreadable": n, "rows": n}``; a
    video of which only a part could be read counts as unreadable too.
    """
    counts = {"videos": 0, "unreadable": 0, "rows": 0}
    with ExitStack() as stack:
        detector = stack.enter_context(MediaPipeFramesDetector())
        write = None
        if out is not None:
            write = stack.enter_context(_table(Path(out), rows, predictor, severity))
        shown: list[dict[str, Any]] = []
        names: set[str] = set()
        for source in inputs:
            found: list[dict[str, Any]] = []
            target = None if annotate is None else Path(annotate) / _name(source, names)
            reading = _read(
                source, predictor, severity, rate, detector, target, found, keep=rows == "frames"
            )
            counts["videos"] += 1
            counts["unreadable"] += reading.status is Status.UNREADABLE or bool(reading.damage)
            made = list(_rows(reading, rows, found, predictor, severity))
            counts["rows"] += len(made)
            if write is not None:
                write.add(made)
            if show is not None:
                for line in _lines(reading, severity):
                    print(line.encode("utf-8", "backslashreplace").decode(), file=show)
            if show_json is not None:
                shown += made
        if show_json is not None:
            print(json.dumps(shown, ensure_ascii=False, indent=1), file=show_json)
    return counts


def _name(source: str, taken: set[str]) -> str:
    """A name for the annotated video that no other one of the call has."""
    stem, number = Path(source).stem, 2
    name = f"{stem}.mp4"
    while name in taken:
        name, number = f"{stem}-{number}.mp4", number + 1
    taken.add(name)
    return name


def _read(
    source: str,
    predictor: Predictor | None,
    severity: SeverityPredictor | None,
    rate: float,
    detector: MediaPipeFramesDetector,
    target: Path | None,
    found: list[dict[str, Any]],
    *,
    keep: bool,
) -> VideoReading:
    moments: dict[int, list[Moment]] = {}
    with ExitStack() as stack:
        video = None
        if target is not None:
            if target.exists() and Path(source).exists() and target.samefile(source):
                raise MienError(
                    f"expected a folder of their own for annotated videos, got "
                    f"{str(target.parent)!r}, which holds the video itself; choose another one"
                )
            if Path(source).is_file():
                video = stack.enter_context(AnnotatedVideo(target))

        def see(frame: Frame, predictions: list[Prediction]) -> None:
            if video is not None:
                video.add(frame, predictions)
            for one in predictions:
                if target is not None and one.face is not None:
                    moments.setdefault(one.index, []).append(
                        Moment(frame.time, one.probabilities, one.valence, one.arousal)
                    )
                if keep and predictor is not None:
                    # Of a frame only the numbers are kept, not its crop.
                    found.append(table_row(one, predictor.info))

        detector.restart()
        reading = predict_video(
            source,
            predictor=predictor,
            severity=severity,
            rate=rate,
            detector=detector,
            on_frame=see,
        )
    if target is not None:
        plot_timeline(reading, moments, target.with_suffix(".timeline.png"), severity=severity)
    return reading


def _rows(
    reading: VideoReading,
    rows: Rows,
    found: list[dict[str, Any]],
    predictor: Predictor | None,
    severity: SeverityPredictor | None,
) -> Iterator[dict[str, Any]]:
    if rows == "frames" and predictor is not None:
        yield from found
        if not found or reading.damage:
            # What could not be read is a row as well.
            missing = Prediction(Status.UNREADABLE, source=reading.source, reason=reading.reason)
            yield table_row(missing, predictor.info)
        return
    models = [one.info.name for one in (predictor, severity) if one is not None]
    about = {
        "source": reading.source,
        "model": " and ".join(models),
        "use": None if severity is None else severity.info.use,
    }
    columns = SUMMARY_COLUMNS if rows == "summary" else CLIP_COLUMNS
    for track in reading.tracks:
        if rows == "summary":
            yield dict.fromkeys(columns) | about | _summary(track, reading)
            continue
        for clip in track.clips:
            yield (
                dict.fromkeys(columns)
                | about
                | {
                    "track": track.track,
                    "status": reading.status.value,
                    "reason": reading.reason or None,
                    "start": round(clip.start, 3),
                    "end": round(clip.end, 3),
                    "severity": round(clip.severity, 2),
                }
            )
        if not track.clips:
            yield (
                dict.fromkeys(columns)
                | about
                | {
                    "track": track.track,
                    "status": reading.status.value,
                    "reason": track.reason or reading.reason or None,
                }
            )
    if not reading.tracks:
        yield (
            dict.fromkeys(columns)
            | about
            | {
                "status": reading.status.value,
                "reason": reading.reason,
            }
        )


def _summary(track: TrackSummary, reading: VideoReading) -> dict[str, Any]:
    reasons = "; ".join(text for text in (track.reason, reading.reason) if text)
    score = track.severity
    return {
        "track": track.track,
        "status": reading.status.value,
        "reason": reasons or None,
        "start": round(track.start, 3),
        "end": round(track.end, 3),
        "usable_frames": track.usable,
        "usable_share": round(track.share, 4),
        "expression": track.expression,
        "shares": {name: round(value, 4) for name, value in track.shares.items()} or None,
        "valence": None if track.valence is None else round(track.valence, 4),
        "arousal": None if track.arousal is None else round(track.arousal, 4),
        "severity": None if score is None else round(score.value, 2),
        "severity_low": None if score is None or score.low is None else round(score.low, 2),
        "severity_high": None if score is None or score.high is None else round(score.high, 2),
        "band": None if score is None else score.band or None,
        "clips": len(track.clips),
    }


def _lines(reading: VideoReading, severity: SeverityPredictor | None) -> Iterator[str]:
    if not reading.tracks:
        yield f"{reading.source}  {reading.status.value}: {reading.reason}"
        return
    for track in reading.tracks:
        text = f"{reading.source}  person {track.track}, {track.share:.0%} of the frames"
        ranked = sorted(track.shares.items(), key=lambda pair: -pair[1])[:3]
        if ranked:
            text += "  " + ", ".join(f"{name} {value:.0%}" for name, value in ranked)
        if track.valence is not None and track.arousal is not None:
            text += f"  valence {signed(track.valence)}, arousal {signed(track.arousal)}"
        if track.severity is not None and severity is not None:
            value, low, high, band = track.severity
            text += f"  severity {value:.1f}"
            if low is not None:
                text += f" ({low:.1f} to {high:.1f})"
            text += f" of {severity.info.scale.top}" + (f", {band}" if band else "")
        notes = [note for note in (track.reason, reading.reason) if note]
        yield text + (f"  [{'; '.join(notes)}]" if notes else "")
    if severity is not None:
        yield f"{reading.source}  {severity.info.use}"


class _table:
    """A table of rows that are plain: .csv, .jsonl or .parquet, whole or not at all."""

    def __init__(
        self,
        path: Path,
        rows: Rows,
        predictor: Predictor | None,
        severity: SeverityPredictor | None,
    ) -> None:
        if path.suffix.lower() not in (".csv", ".jsonl", ".parquet"):
            raise MienError(f"expected a table named .csv, .jsonl, .parquet, got {str(path)!r}")
        if rows == "frames" and predictor is None:
            raise MienError(
                "expected a model of expressions for rows of frames, got one of severity only; "
                "add --model fer, or ask for clips"
            )
        if rows == "clips" and severity is None:
            raise MienError(
                "expected a model of severity for rows of clips, got one of expressions only; "
                "name it with --model"
            )
        self._path = path
        self._about = {
            "terms": " ".join(one.info.terms for one in (predictor, severity) if one is not None),
            **({} if severity is None else {"use": severity.info.use}),
        }
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> _table:
        return self

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Take the rows of one video."""
        self._rows += rows

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        path, suffix = self._path, self._path.suffix.lower()
        with replacing(path) as partial, explaining(path):
            if suffix == ".parquet":
                import pyarrow as pa
                import pyarrow.parquet as pq

                table = pa.Table.from_pylist(self._rows)
                about = {**(table.schema.metadata or {}), b"mien": json.dumps(self._about).encode()}
                pq.write_table(table.replace_schema_metadata(about), partial, compression="zstd")
                return
            with partial.open("w", encoding="utf-8", newline="") as file:
                if suffix == ".jsonl":
                    file.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in self._rows)
                    return
                writer = csv.DictWriter(file, list(self._rows[0]) if self._rows else ["source"])
                writer.writeheader()
                for row in self._rows:
                    writer.writerow({key: _cell(key, value) for key, value in row.items()})


def _cell(key: str, value: Any) -> Any:
    """A value for CSV, as tables of photos have it."""
    if key == "box" and value:
        return " ".join(f"{side:.1f}" for side in value.values())
    return json.dumps(value, separators=(",", ":")) if isinstance(value, dict) else value


def tell_counts(counts: dict[str, Any], places: Iterable[object]) -> str:
    """What was read and where it is, in one line."""
    bad = f", {counts['unreadable']} not whole" if counts["unreadable"] else ""
    return (
        f"{counts['rows']} rows of {counts['videos']} videos{bad}; written to "
        f"{' and '.join(map(str, places))}"
    )
