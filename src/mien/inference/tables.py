"""Rows as a table: CSV, Parquet or JSON lines, written as they come."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import MienError
from mien.files import explaining, replacing, spreadsheet_text
from mien.inference.rows import Entry, Row, Rows
from mien.models import ModelInfo
from mien.schema import Prediction, Status

if TYPE_CHECKING:
    import pyarrow as pa

WriteRows = Callable[[Sequence[Row]], None]
_ROWS_AT_ONCE = 1000


def write_table(
    predictions: Iterable[Prediction],
    path: str | os.PathLike[str],
    info: ModelInfo,
    *,
    embeddings: bool = False,
) -> Counter[Status]:
    """Write one row per face to a .csv, .parquet or .jsonl file; return the count per status.

    Parameters
    ----------
    predictions
        Consumed as they come; memory does not grow with their number.
    path
        The suffix chooses the format. The file appears under this name only when it is complete;
        missing folders are created.
    info
        The model's description: its heads name the last columns, and Parquet files carry it in
        their metadata.
    embeddings
        Add the column ``embedding`` (Parquet and JSON lines).

    The columns are :data:`~mien.inference.rows.FACE_COLUMNS`, then those of the model's heads.
    ``face`` counts from 0 and is empty without a face; ``box`` is left, top, width, height in
    pixels; yaw, pitch and roll are in degrees. In CSV ``box`` is four numbers with spaces between,
    and ``probabilities`` is JSON; a text that spreadsheets would take for a formula is changed, see
    :func:`~mien.files.spreadsheet_text`. A new file can be read by its owner only.
    Raises :class:`~mien.errors.MienError` for another suffix and for a file that cannot be written.
    """
    if embeddings and Path(path).suffix.lower() == ".csv":
        raise MienError("expected .parquet or .jsonl for embeddings, got .csv; choose one of those")
    rows = Rows("frames", faces=info)
    counts: Counter[Status] = Counter()

    def counted() -> Iterator[Row]:
        for prediction in predictions:
            counts[prediction.status] += 1
            yield rows.row(Entry(prediction, {}), embeddings=embeddings)

    stream = counted()
    with open_table(path, lambda: rows.schema(embeddings=embeddings)) as write:
        while batch := list(islice(stream, _ROWS_AT_ONCE)):
            write(batch)
    return counts


@contextmanager
def open_table(
    path: str | os.PathLike[str], schema: Callable[[], pa.Schema]
) -> Iterator[WriteRows]:
    """A table that takes lists of rows, and appears under its name at the end or not at all.

    ``schema`` returns the columns, in order, and the metadata of Parquet files. Raises as
    :func:`write_table` does.
    """
    path = Path(path)
    writer = _writer_of(path)
    with replacing(path, explain=False, private=True) as partial:
        with explaining(path):
            write, close = writer(partial, schema())

        def explained(rows: Sequence[Row]) -> None:
            with explaining(path):
                write(rows)

        try:
            yield explained
        finally:
            with explaining(path):
                close()


def checked_schema(path: str | os.PathLike[str], rows: Rows) -> pa.Schema:
    """The columns of a table of rows, for a path that one can be written to.

    Raises as :func:`open_table` does, before anything is read for it.
    """
    _writer_of(Path(path))
    with explaining(path):
        if Path(path).is_dir():
            raise IsADirectoryError(None, "a folder of this name")
    return rows.schema()


_Writer = tuple[WriteRows, Callable[[], None]]


def _writer_of(path: Path) -> Callable[[Path, pa.Schema], _Writer]:
    writers = {".csv": _csv_writer, ".jsonl": _jsonl_writer, ".parquet": _parquet_writer}
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise MienError(f"expected a table named {', '.join(writers)}, got {str(path)!r}")
    return writers[suffix]


def _csv_writer(partial: Path, schema: pa.Schema) -> _Writer:
    file = partial.open("w", encoding="utf-8", newline="")
    writer = csv.DictWriter(file, schema.names)
    writer.writeheader()

    def write(rows: Sequence[Row]) -> None:
        for row in rows:
            writer.writerow({name: _csv_cell(name, value) for name, value in row.items()})

    return write, file.close


def _csv_cell(name: str, value: object) -> object:
    if isinstance(value, str):
        return spreadsheet_text(value, is_path=name == "source")
    if not isinstance(value, dict):
        return value
    if name == "box":
        return " ".join(f"{side:.1f}" for side in value.values())
    return _json(value)


def _jsonl_writer(partial: Path, schema: pa.Schema) -> _Writer:
    file = partial.open("w", encoding="utf-8", newline="\n")
    return lambda rows: file.writelines(_json(row) + "\n" for row in rows), file.close


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _parquet_writer(partial: Path, schema: pa.Schema) -> _Writer:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = pq.ParquetWriter(partial, schema, compression="zstd")

    def write(rows: Sequence[Row]) -> None:
        writer.write_batch(pa.RecordBatch.from_pylist(list(rows), schema))

    return write, writer.close
