"""The rows that videos give: one a person, one a frame or one a clip."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from mien.inference.persons import TrackSummary
from mien.inference.table import (
    Row,
    affect_columns,
    single,
    table_row,
    table_schema,
    text_of,
)
from mien.inference.video import VideoReading
from mien.models import ModelInfo, SeverityInfo
from mien.schema import MienError, Prediction, Status

if TYPE_CHECKING:
    import pyarrow as pa

Rows = Literal["summary", "frames", "clips"]
SUMMARY_COLUMNS = (
    *("source", "track", "status", "reason", "start", "end", "frames"),
    *("usable_frames", "usable_seconds", "usable_share", "expression"),
)
"""The first columns of a summary. ``share_NAME`` of each class follow where a model reads
expressions, valence and arousal where it gives them, :data:`SEVERITY_COLUMNS` where one reads
severity, and ``model``."""
SEVERITY_COLUMNS = ("severity", "severity_low", "severity_high", "band", "clips", "use")
CLIP_COLUMNS = ("source", "track", "status", "reason", "start", "end", "severity", "use", "model")
_NO_CLIP = "a photo has no clip to read severity from"


@dataclass(frozen=True)
class RowKind:
    """Which rows are wanted of which models; at least one of these.

    Raises :class:`~mien.schema.MienError` for rows that the models do not give.
    """

    rows: str
    expressions: ModelInfo | None = None
    severity: SeverityInfo | None = None

    def __post_init__(self) -> None:
        if self.rows not in get_args(Rows):
            raise MienError(f"expected --rows {', '.join(get_args(Rows))}, got {self.rows!r}")
        if self.rows == "frames" and self.expressions is None:
            raise MienError(
                "expected a model of expressions for rows of frames, got one of severity only; "
                "add --model fer, or ask for clips"
            )
        if self.rows == "clips" and self.severity is None:
            raise MienError(
                "expected a model of severity for rows of clips, got one of expressions only; "
                "name it with --model"
            )

    @property
    def models(self) -> tuple[ModelInfo | SeverityInfo, ...]:
        """The models, that of expressions first."""
        return tuple(one for one in (self.expressions, self.severity) if one is not None)

    def schema(self) -> pa.Schema:
        """The columns; the metadata ``mien`` is JSON with model, terms and statement of use."""
        import pyarrow as pa

        if self.rows == "frames" and self.expressions is not None:
            return table_schema(self.expressions, tracks=True)
        integer, text, number = pa.int32(), pa.string(), pa.float32()
        types = dict.fromkeys(self._columns(), number)
        types |= dict.fromkeys(
            ("source", "status", "reason", "expression", "band", "use", "model"), text
        )
        types |= dict.fromkeys(("track", "frames", "usable_frames", "clips"), integer)
        types |= dict.fromkeys(("start", "end"), pa.float64())
        about: dict[str, object] = {
            "model": self._named,
            "license_terms": " ".join(
                one.license_terms for one in self.models if one.license_terms
            ),
        }
        if self.expressions is not None:
            about["label_space"] = self.expressions.label_space.model_dump(mode="json")
        if self.severity is not None:
            about["scale"] = self.severity.scale.model_dump(mode="json")
            about["use"] = self.severity.use
        return pa.schema(
            [(name, types[name]) for name in self._columns()], metadata={"mien": json.dumps(about)}
        )

    def of_frame(self, predictions: Sequence[Prediction]) -> list[Row]:
        """The rows of a frame; none where other ones are wanted."""
        if self.rows != "frames" or self.expressions is None:
            return []
        return [table_row(one, self.expressions, tracks=True) for one in predictions]

    def of_video(self, reading: VideoReading) -> list[Row]:
        """The rows of a video beyond those of its frames."""
        if self.rows == "frames":
            if reading.frames and not reading.damage:
                return []
            # What could not be read is a row as well.
            reason = reading.damage or reading.reason
            return self.of_frame([Prediction(Status.UNREADABLE, reading.source, reason)])
        if not reading.tracks:
            return [self._row(reading.source, reading.status, reading.reason)]
        return [
            row
            for track in reading.tracks
            for row in (
                self._clips(track, reading)
                if self.rows == "clips"
                else [self._person(track, reading)]
            )
        ]

    def of_photo(self, prediction: Prediction) -> Row:
        """The row of a face of a photo, or of a photo without one, among those of videos."""
        if self.rows == "frames":
            return self.of_frame([prediction])[0]
        status, reason = prediction.status, prediction.reason
        if self.rows == "clips" and status is Status.OK:
            status, reason = Status.ABSTAINED, _NO_CLIP
        row = self._row(prediction.source, status, reason)
        if self.rows == "summary" and self.expressions is not None:
            row["expression"] = prediction.expression
            for name in self.expressions.label_space.names:
                row[f"share_{name}"] = single(prediction.probabilities.get(name))
            for name in affect_columns(self.expressions):
                row[name] = single(getattr(prediction, name))
        return row

    @property
    def _named(self) -> str:
        return " and ".join(one.name for one in self.models)

    def _columns(self) -> tuple[str, ...]:
        if self.rows == "clips":
            return CLIP_COLUMNS
        shares: tuple[str, ...] = ()
        if self.expressions is not None:
            shares = tuple(f"share_{name}" for name in self.expressions.label_space.names)
            shares += affect_columns(self.expressions)
        severity = SEVERITY_COLUMNS if self.severity is not None else ()
        return (*SUMMARY_COLUMNS, *shares, *severity, "model")

    def _row(self, source: str, status: Status, reason: str) -> Row:
        row: Row = dict.fromkeys(self._columns())
        row["source"], row["status"] = text_of(source), status.value
        row["reason"], row["model"] = text_of(reason) or None, self._named
        if self.severity is not None:
            row["use"] = self.severity.use
        return row

    def _of_track(self, track: TrackSummary, reading: VideoReading) -> Row:
        reasons = "; ".join(text for text in (track.reason, reading.reason) if text)
        return self._row(reading.source, track.status, reasons) | {"track": track.track}

    def _clips(self, track: TrackSummary, reading: VideoReading) -> Iterator[Row]:
        for clip in track.clips:
            yield self._of_track(track, reading) | {
                "start": round(clip.start, 3),
                "end": round(clip.end, 3),
                "severity": single(clip.severity),
            }
        if not track.clips:
            yield self._of_track(track, reading)

    def _person(self, track: TrackSummary, reading: VideoReading) -> Row:
        row = self._of_track(track, reading) | {
            "start": round(track.start, 3),
            "end": round(track.end, 3),
            "frames": track.frames,
            "usable_frames": track.usable,
            "usable_seconds": single(track.seconds),
            "usable_share": single(track.share),
            "expression": track.expression,
        }
        row |= {f"share_{name}": single(value) for name, value in track.shares.items()}
        if self.expressions is not None:
            row |= {name: single(getattr(track, name)) for name in affect_columns(self.expressions)}
        if self.severity is None:
            return row
        row["clips"] = len(track.clips)
        if (score := track.severity) is not None:
            row |= {"severity": single(score.value), "band": score.band or None}
            row |= {"severity_low": single(score.low), "severity_high": single(score.high)}
        return row
