"""Predictions as rows of a table: one per face, per person of a video, or per clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from mien.errors import MienError
from mien.heads import HEADS
from mien.inference.units import reading_of
from mien.models import ModelInfo
from mien.schema import Prediction, Status

if TYPE_CHECKING:
    import pyarrow as pa

    from mien.inference.persons import PersonSummary
    from mien.inference.videos import VideoPredictions

RowKind = Literal["summary", "frames", "clips"]
Row = dict[str, Any]
"""Columns to plain values that JSON can hold."""

FACE_COLUMNS = (
    *("source", "frame", "time", "track", "face", "box", "status", "reason"),
    *("alignment", "yaw", "pitch", "roll", "model"),
)
"""The first columns of rows of faces, in photos and frames; those of the heads follow."""
PERSON_COLUMNS = (
    *("source", "track", "status", "reason", "start", "end", "frames"),
    *("usable_frames", "usable_seconds", "usable_share", "clips", "model"),
)
CLIP_COLUMNS = ("source", "track", "status", "reason", "start", "end", "model")
_PHOTO_HAS_NO_CLIPS = "expected a video for a model of clips, got a photo"


class Entry(NamedTuple):
    """One row: a prediction, and the columns that only its kind of row has."""

    prediction: Prediction
    columns: Row


@dataclass(frozen=True)
class Rows:
    """Which rows to make of the predictions of ``models``, a model of faces, of clips, or both.

    ``blendshapes`` adds a column of that name to rows of frames, a struct of 52 numbers.

    Raises :class:`~mien.errors.MienError` for rows that the models do not give.
    """

    kind: str
    faces: ModelInfo | None = None
    clips: ModelInfo | None = None
    blendshapes: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(RowKind):
            raise MienError(f"expected rows {', '.join(get_args(RowKind))}, got {self.kind!r}")
        if self.kind == "frames" and self.faces is None:
            raise MienError(
                "expected a model of faces for rows of frames, got one of clips only; "
                "add --model fer, or ask for clips"
            )
        if self.blendshapes and self.kind != "frames":
            raise MienError(
                f"expected rows of frames for blendshapes, got rows {self.kind}: they are those of "
                "one face; add --rows frames"
            )
        if self.kind == "clips" and self.clips is None:
            raise MienError(
                "expected a model of clips for rows of clips, got one of faces only; "
                "name it with --model"
            )

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The models whose heads fill the rows, with action units by blendshapes."""
        faces = None if self.faces is None else reading_of(self.faces)
        models = {"frames": (faces,), "clips": (self.clips,)}.get(self.kind, (faces, self.clips))
        return tuple(info for info in models if info is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in front of those of the heads."""
        first = {"frames": FACE_COLUMNS, "clips": CLIP_COLUMNS}
        return first.get(self.kind, PERSON_COLUMNS)

    @cached_property
    def heads(self) -> dict[str, ModelInfo]:
        """The heads that fill the rows, each with its model, in the order of the registry."""
        return {name: info for name in HEADS for info in self.models if name in info.heads}

    @cached_property
    def model_names(self) -> str:
        """The names of the models, for one cell."""
        return " and ".join(info.name for info in self.models)

    @cached_property
    def fields(self) -> dict[str, pa.DataType]:
        """The columns of the heads, with their Arrow types."""
        fields: dict[str, Any] = {}
        for name, info in self.heads.items():
            fields |= HEADS[name].fields(info.heads[name])
        return fields

    def schema(self, *, embeddings: bool = False) -> pa.Schema:
        """The Arrow schema; its metadata ``mien`` is JSON about the models."""
        import pyarrow as pa

        types = {name: _type(name) for name in self.columns} | self.fields
        if self.blendshapes:
            from mien.faces.detection.mesh import BLENDSHAPES

            types["blendshapes"] = pa.struct([(name, pa.float32()) for name in BLENDSHAPES])
        if embeddings:
            types["embedding"] = pa.list_(pa.float32())
        return pa.schema(list(types.items()), metadata={"mien": json.dumps(self.about())})

    def about(self) -> dict[str, Any]:
        """What a table's metadata say: models, license terms, heads, preprocessing."""
        license_terms = dict.fromkeys(
            info.license_terms for info in self.models if info.license_terms
        )
        return {
            "model": self.model_names,
            "license_terms": " ".join(license_terms),
            "heads": {
                name: info.heads[name].model_dump(mode="json") for name, info in self.heads.items()
            },
            "preprocessing_hash": " and ".join(info.preprocessing_hash for info in self.models),
        }

    def of_photo(self, predictions: Sequence[Prediction]) -> list[Entry]:
        """The rows of one photo's faces."""
        if self.kind == "clips":
            predictions = [
                Prediction(Status.ABSTAINED, each.source, _PHOTO_HAS_NO_CLIPS)
                if each.status is Status.OK
                else each
                for each in predictions
            ]
        return [Entry(each, {}) for each in predictions]

    def of_frame(self, predictions: Sequence[Prediction]) -> list[Entry]:
        """The rows of one frame's faces; none unless rows of frames are asked for."""
        return [Entry(each, {}) for each in predictions] if self.kind == "frames" else []

    def of_video(self, video: VideoPredictions) -> list[Entry]:
        """The rows of a video beyond those of its frames."""
        if self.kind == "frames":
            # Frames have had their rows; what could not be read is a row as well.
            if not video.incomplete:
                return []
            return [Entry(Prediction(Status.UNREADABLE, video.source, _fault(video)), {})]
        if not video.persons:
            return [Entry(Prediction(video.status, video.source, video.reason), {})]
        of_person = _clips if self.kind == "clips" else _summary
        return [entry for person in video.persons for entry in of_person(person)]

    def row(self, entry: Entry, *, embeddings: bool = False) -> Row:
        """One row: every column, in the order of :meth:`schema`, to a value that JSON can hold."""
        prediction = entry.prediction
        cells = _cells(prediction) | {"model": self.model_names} | entry.columns
        row = {name: cells.get(name) for name in self.columns}
        row |= {name: plain(getattr(prediction, name)) for name in self.fields}
        if self.blendshapes:
            row["blendshapes"] = plain(prediction.face.blendshapes) if prediction.face else None
        if embeddings:
            vector = prediction.embedding
            row["embedding"] = None if vector is None else [plain(float(x)) for x in vector]
        return row


def plain(value: Any) -> Any:
    """A field of a prediction for a table: short float32 decimals, None for what is empty.

    >>> plain(float(np.float32(0.83))), plain({"a": 0.5}), plain({}), plain("")
    (0.83, {'a': 0.5}, None, None)
    """
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()} or None
    if isinstance(value, float):
        # The shortest decimal that is the same float32.
        return float(str(np.float32(value)))
    if isinstance(value, str):
        # A file name need not be valid text; its odd bytes are spelled out.
        return value.encode("utf-8", "backslashreplace").decode() or None
    return value


def _fault(video: VideoPredictions) -> str:
    return video.damage or video.reason


def _summary(person: PersonSummary) -> list[Entry]:
    columns = {
        "start": round(person.start, 3),
        "end": round(person.end, 3),
        "frames": person.frames,
        "usable_frames": person.usable_frames,
        "usable_seconds": plain(person.usable_seconds),
        "usable_share": plain(person.usable_share),
        "clips": None if person.clips is None else len(person.clips),
    }
    return [Entry(person.prediction, columns)]


def _clips(person: PersonSummary) -> list[Entry]:
    whole = person.prediction
    entries = [
        Entry(
            _of_clip(clip.prediction, person),
            {"start": round(clip.start, 3), "end": round(clip.end, 3)},
        )
        for clip in person.clips or ()
    ]
    without = Prediction(whole.status, whole.source, whole.reason, track=whole.track)
    return entries or [Entry(without, {})]


def _of_clip(prediction: Prediction, person: PersonSummary) -> Prediction:
    """A clip's own status and reason, unless no frame of the person is usable."""
    if not person.usable_frames:
        return replace(prediction, status=Status.ABSTAINED, reason=person.prediction.reason)
    return replace(prediction, reason="; ".join(filter(None, [prediction.reason, person.note])))


def _cells(prediction: Prediction) -> Row:
    """What a prediction says of the columns in front of those of the heads."""
    face = prediction.face
    pose = face.pose if face else None
    sides = ("left", "top", "width", "height")
    return {
        "source": plain(prediction.source) or "",
        "frame": prediction.frame,
        "time": prediction.time,
        "track": prediction.track,
        "face": prediction.index if face else None,
        "box": {side: plain(float(getattr(face.box, side))) for side in sides} if face else None,
        "status": prediction.status.value,
        "reason": plain(prediction.reason),
        "alignment": prediction.alignment.value if prediction.alignment else None,
        **{
            axis: plain(float(getattr(pose, axis))) if pose else None
            for axis in ("yaw", "pitch", "roll")
        },
    }


def _type(name: str) -> pa.DataType:
    """The Arrow type of a column in front of those of the heads."""
    import pyarrow as pa

    if name == "box":
        return pa.struct([(side, pa.float32()) for side in ("left", "top", "width", "height")])
    if name in ("source", "status", "reason", "alignment", "model"):
        return pa.string()
    if name in ("track", "face", "frames", "usable_frames", "clips"):
        return pa.int32()
    if name == "frame":
        return pa.int64()
    return pa.float64() if name in ("time", "start", "end") else pa.float32()
