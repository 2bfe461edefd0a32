"""Write the files of a dataset: a stream of rows and crops, and the description last."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien import __version__
from mien.corpora.about import About
from mien.data.crops import Crops
from mien.data.dataset import (
    CROPS_FILE,
    FACES_FILE,
    FACES_SCHEMA,
    FORMAT,
    INFO_FILE,
    LEFT_OUT_FILE,
    Dataset,
    sha256_of,
)
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.files import flush_to_disk, replacing, replacing_folder, spreadsheet_text
from mien.heads import HEADS
from mien.labels import LabelSpace
from mien.licenses import License, documents
from mien.preparation.croissant import CROISSANT_FILE, croissant
from mien.scales import Scale
from mien.schema import Preprocessing, UInt8Array

_ROW_GROUP, _GROUP_BYTES = 4096, 2**20

Block = tuple[pa.Table, UInt8Array]
"""Rows of ``faces.parquet`` and their crops, ``(n, S, S, 3)``, or ``(n, S, S, 1)`` for gray."""


def write_dataset(
    folder: str | os.PathLike[str], blocks: Iterable[Block], *, rows: int, **description: Any
) -> Dataset:
    """Write a new dataset folder and open it; see :func:`write_files` for the description.

    The folder takes its name when it is complete. Raises :class:`MienError` where the name is
    taken.
    """
    folder = Path(folder)
    refuse_existing(folder)
    with replacing_folder(folder) as temporary:
        write_files(temporary, blocks, rows=rows, **description)
    return Dataset.open(folder)


def refuse_existing(folder: Path) -> None:
    """Raise :class:`MienError` where ``folder`` exists: datasets are not overwritten."""
    if folder.exists() or folder.is_symlink():
        raise MienError(
            f"expected a new folder for the dataset, got {folder}, which exists: choose another "
            f"name or delete it"
        )


def write_files(
    folder: Path,
    blocks: Iterable[Block],
    *,
    rows: int,
    label_space: LabelSpace,
    preprocessing: Preprocessing,
    corpus: str,
    license_terms: str,
    licenses: Sequence[License] = (),
    about: About | None = None,
    ask: str = "",
    vote_names: Sequence[str] = (),
    left_out: Iterable[tuple[str, str, str]] = (),
    notes: Sequence[str] = (),
    several_faces: int = 0,
    scale: Scale | None = None,
    videos: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write the files of a dataset into ``folder``, ``dataset.json`` last.

    ``licenses`` are the works behind the data; ``about`` says how they came about and ``ask``
    where they are given away, for ``croissant.json``.
    ``blocks`` hold ``rows`` rows in total and are written one at a time, so memory does not grow
    with the corpus. ``left_out`` lists id, source and reason of other rows. ``scale`` is that of
    a column ``severity``; ``videos`` counts the frames of recordings. The bytes depend only on
    the arguments, but for a date in ``croissant.json``. Raises ``ValueError`` where rows, crops
    and ``rows`` disagree, and for partial images, as datasets store whole crops.
    """
    if preprocessing.partial_image != "full":
        raise ValueError(f"expected whole crops, got {preprocessing.partial_image!r}")
    channels = 1 if preprocessing.color == "gray" else 3
    side = preprocessing.size
    digest = hashlib.sha256()
    written = 0
    landmarks: Counter[str] = Counter()
    faces = _Faces(folder / FACES_FILE)
    try:
        with (folder / CROPS_FILE).open("wb") as stream:
            header = _npy_header((rows, side, side, channels))
            stream.write(header)
            digest.update(header)
            for table, crops in blocks:
                if crops.dtype != np.uint8 or crops.shape[:3] != (table.num_rows, side, side):
                    raise ValueError(
                        f"expected {table.num_rows} uint8 crops of {side} pixels, got "
                        f"{crops.dtype} of shape {crops.shape}"
                    )
                pixels = np.ascontiguousarray(crops[..., :channels]).data
                stream.write(pixels)
                digest.update(pixels)
                written += table.num_rows
                with_landmarks = table.filter(table["landmarks"].is_valid())
                landmarks.update(with_landmarks["alignment"].to_pylist())
                faces.write(table)
            flush_to_disk(stream)
    finally:
        faces.close()
    if written != rows:
        raise ValueError(f"expected {rows} rows in total, got {written}")
    reasons: Counter[str] = Counter()
    with (folder / LEFT_OUT_FILE).open("w", encoding="utf-8", newline="") as text:
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(("id", "source", "reason"))
        for row in left_out:
            reasons[group_reason(row[2])] += 1
            lines.writerow(map(spreadsheet_text, row))

    digests = {CROPS_FILE: digest.hexdigest()}
    files = {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": digests.get(name) or sha256_of(folder / name),
        }
        for name in (FACES_FILE, CROPS_FILE, LEFT_OUT_FILE)
    }
    info: dict[str, Any] = {
        "format": FORMAT,
        "corpus": corpus,
        "license_terms": license_terms,
        **({"licenses": documents(licenses)} if licenses else {}),
        "rows": rows,
        "label_space": label_space.model_dump(mode="json"),
        "vote_names": list(vote_names),
        "preprocessing": preprocessing.model_dump(mode="json"),
        "preprocessing_hash": preprocessing.hash,
        **({} if scale is None else {"scale": scale.model_dump(mode="json")}),
        **({"videos": dict(videos)} if videos else {}),
    }
    dataset = Dataset(
        folder=folder,
        label_space=label_space,
        preprocessing=preprocessing,
        license_terms=license_terms,
        vote_names=tuple(vote_names),
        info=info,
        crops=Crops(folder / CROPS_FILE),
    )
    counts, alignment = _counts(dataset)
    info |= {
        "counts": counts,
        "alignment": alignment,
        "landmarks": dict(sorted(landmarks.items())),
        "several_faces": several_faces,
        "left_out": dict(sorted(reasons.items())),
        "notes": list(notes),
        "files": files,
        "checksum": hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest(),
        "created_with": f"mien {__version__}",
    }
    description = json.dumps(info, indent=2, ensure_ascii=False) + "\n"
    metadata = croissant(dataset, pq.read_schema(folder / FACES_FILE), description, about, ask=ask)
    for name, content in (
        (CROISSANT_FILE, json.dumps(metadata, indent=2, ensure_ascii=False) + "\n"),
        (INFO_FILE, description),
    ):
        with (
            replacing(folder / name, explain=False) as temporary,
            temporary.open("w", encoding="utf-8") as text,
        ):
            text.write(content)
            flush_to_disk(text)


class _Faces:
    """Writes tables of any length in row groups of a few thousand rows, fewer with landmarks.

    The writer holds a row group several times over, as values, encoded and compressed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tables: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        self._tables.append(table)
        rows = sum(pending.num_rows for pending in self._tables)
        if rows >= _ROW_GROUP or sum(pending.nbytes for pending in self._tables) >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        if self._tables or self._writer is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        table = pa.concat_tables(self._tables) if self._tables else FACES_SCHEMA.empty_table()
        if self._writer is None:
            # Coordinates hardly repeat: a dictionary of them takes more memory and space than they.
            columns = [name for name in table.schema.names if name != "landmarks"]
            self._writer = pq.ParquetWriter(
                self._path, table.schema, compression="zstd", use_dictionary=columns
            )
        self._writer.write_table(table)
        self._tables.clear()


def group_reason(reason: str) -> str:
    """The part of a reason that rows share, which precedes the colon.

    >>> group_reason("image unreadable: a.jpg is truncated")
    'image unreadable'
    """
    return reason.split(": ", 1)[0]


def _counts(dataset: Dataset) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Rows by split and class under the majority rule, and by alignment.

    Rows without a class are "no majority" or "no label"; those with another head's label are
    counted separately. A part of the rows is in memory at a time.
    """
    rest = "no majority" if dataset.vote_names else "no label"
    names = [*dataset.label_space.names, "other labels only", rest]
    counts: dict[str, Counter[str]] = {}
    alignment: Counter[str] = Counter()
    with pq.ParquetFile(dataset.folder / FACES_FILE) as file:
        columns = [name for name in file.schema_arrow.names if name != "landmarks"]
        for batch in file.iter_batches(batch_size=_ROW_GROUP, columns=columns):
            values = {field.name: getattr(dataset, field.name) for field in fields(Dataset)}
            rows = _SomeRows(**values, table=pa.Table.from_batches([batch]))
            targets = make_targets(rows, "majority")
            labels = targets["expression"]
            heads = [head for head in HEADS if head != "expression"]
            others = np.any([targets.labeled(head) for head in heads], axis=0)
            labels = np.where((labels < 0) & others, len(names) - 2, labels)
            for split, label in zip(rows.splits.tolist(), labels.tolist(), strict=True):
                counts.setdefault(split, Counter())[names[label]] += 1
            alignment.update(rows.column("alignment").tolist())
    by_split = {
        split: {name: counts[split][name] for name in names if counts[split][name]}
        for split in sorted(counts)
    }
    return by_split, dict(sorted(alignment.items()))


@dataclass(frozen=True, eq=False)
class _SomeRows(Dataset):
    """Some rows of a dataset, in ``table``, without their crops."""

    table: pa.Table = field(kw_only=True)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(self.table.column_names)

    def column(self, name: str) -> NDArray[Any]:
        values: NDArray[Any] = self.table[name].to_numpy()
        return values


def _npy_header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()
