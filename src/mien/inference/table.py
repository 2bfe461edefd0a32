"""Predictions as a table: CSV, Parquet or JSON lines, one row a face, written as they come."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.files import explaining, replacing
from mien.models import ModelInfo
from mien.schema import MienError, Prediction, Status

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    *("source", "frame", "time", "face", "box", "status", "reason", "expression", "confidence"),
    *("probabilities", "alignment", "yaw", "pitch", "roll", "model"),
)
"""The columns of every table, in order. :data:`AFFECT_COLUMNS` follow where the model gives them,
then ``track`` in those with frames of videos and ``embedding`` where it was asked for."""
AFFECT_COLUMNS = ("valence", "arousal")

Row = dict[str, Any]
_Writer = tuple[Callable[[list[Row]], None], Callable[[], None]]
_ROWS_AT_ONCE = 1000


def write_table(
    predictions: Iterable[Prediction],
    path: str | os.PathLike[str],
    info: ModelInfo,
    *,
    embeddings: bool = False,
) -> Counter[Status]:
    """Write one row a prediction to a .csv, .parquet or .jsonl file; how many of each status.

    Parameters
    ----------
    predictions
        Consumed as they come; memory does not grow with their number.
    path
        The suffix chooses the format. The file appears under this name only when it is complete;
        a missing folder is made.
    info
        The model's: it names the classes, and Parquet files carry its terms in their schema.
    embeddings
        Add the column ``embedding`` (Parquet and JSON lines).

    Columns are :data:`COLUMNS`, then valence and arousal from a model that gives them. ``face``
    counts from 0 and is empty without a face; ``box`` is left, top, width, height in pixels; yaw,
    pitch and roll are degrees. In CSV ``box`` is four numbers with spaces between and
    ``probabilities`` is JSON. Raises :class:`~mien.schema.MienError` for another suffix and for a
    file that cannot be written.
    """
    if embeddings and Path(path).suffix.lower() == ".csv":
        raise MienError("expected .parquet or .jsonl for embeddings, got .csv; choose one of those")
    counts: Counter[Status] = Counter()

    def counted() -> Iterator[Row]:
        for prediction in predictions:
            counts[prediction.status] += 1
            yield table_row(prediction, info, embeddings=embeddings)

    rows = counted()
    with open_table(path, lambda: table_schema(info, embeddings=embeddings)) as write:
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            write(batch)
    return counts


@contextmanager
def open_table(
    path: str | os.PathLike[str], schema: Callable[[], pa.Schema]
) -> Iterator[Callable[[list[Row]], None]]:
    """A table that takes lists of rows, and appears under its name at the end or not at all.

    ``schema`` gives the columns, in order, and what Parquet files carry in their metadata. Raises
    as :func:`write_table` does.
    """
    path = Path(path)
    writers = {".csv": _csv_writer, ".jsonl": _jsonl_writer, ".parquet": _parquet_writer}
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise MienError(f"expected a table named {', '.join(writers)}, got {str(path)!r}")
    with replacing(path, explain=False) as partial:
        with explaining(path):
            write, close = writers[suffix](partial, schema())

        def explained(rows: list[Row]) -> None:
            with explaining(path):
                write(rows)

        try:
            yield explained
        finally:
            with explaining(path):
                close()


def table_schema(info: ModelInfo, *, embeddings: bool = False, tracks: bool = False) -> pa.Schema:
    """The Arrow schema of a model's tables; its metadata ``mien`` is JSON with model and terms."""
    import pyarrow as pa

    number, integer, text = pa.float32(), pa.int32(), pa.string()
    probabilities = pa.struct([(name, number) for name in info.label_space.names])
    box = pa.struct([(side, number) for side in ("left", "top", "width", "height")])
    types = {
        **dict.fromkeys(COLUMNS, text),
        **dict.fromkeys(("confidence", "yaw", "pitch", "roll"), number),
        **{"frame": pa.int64(), "time": pa.float64(), "face": integer},
        **{"box": box, "probabilities": probabilities},
    }
    types |= dict.fromkeys(affect_columns(info), number)
    if tracks:
        types["track"] = integer
    if embeddings:
        types["embedding"] = pa.list_(number)
    about = {
        "model": info.name,
        "license_terms": info.license_terms,
        "label_space": info.label_space.model_dump(mode="json"),
        "preprocessing_hash": info.preprocessing_hash,
    }
    return pa.schema(list(types.items()), metadata={"mien": json.dumps(about)})


def table_row(
    prediction: Prediction, info: ModelInfo, *, embeddings: bool = False, tracks: bool = False
) -> Row:
    """A prediction as a row: the table's columns to plain, JSON-ready values."""
    face = prediction.face
    pose = face.pose if face else None
    row: Row = {
        "source": text_of(prediction.source),
        "frame": prediction.frame,
        "time": prediction.time,
        "face": prediction.index if face else None,
        "box": None
        if face is None
        else {side: single(getattr(face.box, side)) for side in ("left", "top", "width", "height")},
        "status": prediction.status.value,
        "reason": text_of(prediction.reason) or None,
        "expression": prediction.expression,
        "confidence": single(prediction.confidence),
        "probabilities": {name: single(p) for name, p in prediction.probabilities.items()} or None,
        "alignment": prediction.alignment.value if prediction.alignment else None,
        **{axis: single(getattr(pose, axis, None)) for axis in ("yaw", "pitch", "roll")},
        "model": info.name,
        **{name: single(getattr(prediction, name)) for name in affect_columns(info)},
    }
    if tracks:
        row["track"] = prediction.track
    if embeddings:
        vector = prediction.embedding
        row["embedding"] = None if vector is None else [single(x) for x in vector]
    return row


def affect_columns(info: ModelInfo) -> tuple[str, ...]:
    """:data:`AFFECT_COLUMNS` of a model that gives them, else none."""
    return AFFECT_COLUMNS if "valence_arousal" in info.outputs else ()


def text_of(text: str) -> str:
    """A file name that is not valid text, with its odd bytes spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def single(number: float | None) -> float | None:
    """The shortest decimal that is the same float32: 0.83, not 0.8299999833106995."""
    return None if number is None else float(str(np.float32(number)))


def _csv_writer(partial: Path, schema: pa.Schema) -> _Writer:
    file = partial.open("w", encoding="utf-8", newline="")
    writer = csv.DictWriter(file, schema.names)
    writer.writeheader()

    def write(rows: list[Row]) -> None:
        for row in rows:
            cells = dict(row)
            if row.get("box"):
                cells["box"] = " ".join(f"{value:.1f}" for value in row["box"].values())
            if row.get("probabilities"):
                cells["probabilities"] = _json(row["probabilities"])
            writer.writerow(cells)

    return write, file.close


def _jsonl_writer(partial: Path, schema: pa.Schema) -> _Writer:
    file = partial.open("w", encoding="utf-8", newline="\n")
    return lambda rows: file.writelines(_json(row) + "\n" for row in rows), file.close


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _parquet_writer(partial: Path, schema: pa.Schema) -> _Writer:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = pq.ParquetWriter(partial, schema, compression="zstd")
    return lambda rows: writer.write_batch(pa.RecordBatch.from_pylist(rows, schema)), writer.close
