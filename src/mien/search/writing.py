"""An index as it is written: rows and embeddings in, a folder out, whole or not at all."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien import __version__
from mien.errors import MienError
from mien.files import explaining, replacing_folder, spreadsheet_text, write_json
from mien.inference.model import OnnxModel
from mien.schema import FloatArray, Status, UInt8Array
from mien.search.index import (
    CONNECTIVITY,
    EMBEDDINGS_FILE,
    EXPANSION_ADD,
    FACES_FILE,
    INFO_FILE,
    LEFT_OUT_FILE,
    THUMBNAILS_FILE,
    IndexInfo,
    describe_model,
    file_state,
)

Row = Mapping[str, Any]

_FIELDS = (
    pa.field("id", pa.string()),
    pa.field("source", pa.string(), nullable=False),
    pa.field("digest", pa.string()),
    pa.field("row", pa.int64()),
    pa.field("subject", pa.string()),
    pa.field("video", pa.string()),
    pa.field("frame", pa.int64()),
    pa.field("time", pa.float64()),
    pa.field("track", pa.int32()),
    pa.field("face", pa.int32()),
    pa.field("box", pa.struct([(s, pa.float32()) for s in ("left", "top", "width", "height")])),
    pa.field("split", pa.string()),
    pa.field("label", pa.string()),
    pa.field("expression", pa.string()),
    pa.field("confidence", pa.float32()),
    pa.field("valence", pa.float32()),
    pa.field("arousal", pa.float32()),
)


def index_schema(units: Sequence[str]) -> pa.Schema:
    """The columns of an index whose rows have these action units.

    ``source`` is the file, of a row of a dataset what the dataset says; ``row`` counts the rows of
    the dataset and ``face`` those of a photo or frame, from 0; ``digest`` is the sha256 of a
    photo's file. ``label`` is the dataset's, ``expression`` and ``confidence`` are the model's.
    """
    values = pa.struct([(name, pa.float32()) for name in units])
    return pa.schema([*_FIELDS, *([pa.field("action_units", values)] if units else [])])


class IndexWriter:
    """Takes faces in any number of blocks; :func:`new_index` makes one."""

    def __init__(self, folder: Path, schema: pa.Schema, *, thumbnails: bool) -> None:
        from usearch.index import Index

        self._folder, self._schema = folder, schema
        self._make_graph = Index
        self._graph: Index | None = None
        self._stack = ExitStack()
        self._table = self._stack.enter_context(
            pa.OSFile(os.fspath(_private(folder / FACES_FILE)), "wb")
        )
        self._rows = self._stack.enter_context(pa.ipc.new_file(self._table, schema))
        left_out = _private(folder / LEFT_OUT_FILE).open("w", encoding="utf-8", newline="")
        self._left_out = csv.writer(self._stack.enter_context(left_out), lineterminator="\n")
        self._left_out.writerow(("source", "time", "status", "reason"))
        self._pixels = None
        if thumbnails:
            self._pixels = self._stack.enter_context(_private(folder / THUMBNAILS_FILE).open("wb"))
        self._side: int | None = None
        self._first = ""
        self.faces, self.width = 0, 0
        self.reasons: Counter[str] = Counter()

    def add(self, rows: Sequence[Row], embeddings: FloatArray, crops: UInt8Array) -> None:
        """Add N faces: their columns, embeddings ``(N, D)`` and crops ``(N, S, S, 3)``."""
        if not rows:
            return
        if self._graph is None:
            self.width = embeddings.shape[1]
            self._graph = self._make_graph(
                ndim=embeddings.shape[1],
                metric="cos",
                dtype="f16",
                connectivity=CONNECTIVITY,
                expansion_add=EXPANSION_ADD,
            )
        numbers = np.arange(self.faces, self.faces + len(rows))
        # One thread: the same faces give the same graph.
        self._graph.add(numbers, np.ascontiguousarray(embeddings, np.float32), threads=1)
        self._rows.write_batch(pa.RecordBatch.from_pylist(list(rows), self._schema))
        if self._pixels is not None:
            if self._side is None:
                self._side = crops.shape[1]
            self._pixels.write(np.ascontiguousarray(crops).data)
        self.faces += len(rows)

    def leave_out(self, source: str, status: Status, reason: str, time: float | None) -> None:
        """Note what is not in the index, and why."""
        self.reasons[status.value] += 1
        self._first = self._first or reason
        when = "" if time is None else f"{time:.3f}"
        path = source.encode("utf-8", "backslashreplace").decode()
        self._left_out.writerow(
            (spreadsheet_text(path, is_path=True), when, status.value, spreadsheet_text(reason))
        )

    def finish(
        self, model: OnnxModel, path: Path, *, license_terms: str = "", **description: Any
    ) -> None:
        """Write the description; nothing can be added any more. ``path`` is the model's file.

        Raises :class:`~mien.errors.MienError` where no face was added.
        """
        if self._graph is None:
            counts = ", ".join(f"{count:,} {name}" for name, count in self.reasons.most_common())
            raise MienError(
                f"expected at least one face to index, got none ({counts or 'nothing was read'}"
                f"{self._first and ': '}{self._first}); name other photos"
            )
        self._stack.close()
        # As bytes, as usearch takes no path that is not valid text.
        place: Any = os.fsencode(_private(self._folder / EMBEDDINGS_FILE))
        self._graph.save(place)
        names = [FACES_FILE, EMBEDDINGS_FILE, LEFT_OUT_FILE]
        names += [] if self._pixels is None else [THUMBNAILS_FILE]
        info = IndexInfo(
            model=describe_model(path, model.info.name, self.width),
            faces=self.faces,
            license_terms=f"Model: {model.info.license_terms}{license_terms}",
            thumbnails=self._side,
            left_out=dict(self.reasons.most_common()),
            files={name: file_state(self._folder / name) for name in names},
            created_with=f"mien {__version__}",
            **description,
        )
        write_json(self._folder / INFO_FILE, info.model_dump(mode="json"), private=True)

    def close(self) -> None:
        """Close the files of an index that is given up."""
        self._stack.close()


@contextmanager
def new_index(
    out: str | os.PathLike[str], units: Sequence[str], *, thumbnails: bool
) -> Iterator[IndexWriter]:
    """A writer whose folder takes the name ``out`` when the block has ended without an error.

    Raises :class:`~mien.errors.MienError` for an ``out`` that exists, and where it cannot be
    written.
    """
    out = Path(out)
    refuse_existing_index(out)
    with replacing_folder(out) as folder:
        with explaining(out):
            writer = IndexWriter(folder, index_schema(units), thumbnails=thumbnails)
        try:
            yield writer
        finally:
            writer.close()


def refuse_existing_index(out: Path) -> None:
    """Raise :class:`~mien.errors.MienError` where ``out`` exists: indexes are not overwritten."""
    if out.exists() or out.is_symlink():
        raise MienError(
            f"expected a new folder for the index, got {str(out)!r}, which exists; choose another "
            "name or delete it"
        )


def _private(path: Path) -> Path:
    """An empty new file that its owner alone can read."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return path
