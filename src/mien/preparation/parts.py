"""Part files: the rows and crops that one worker has finished, kept until all are joined."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien.data.dataset import FACES_SCHEMA
from mien.files import flush_to_disk, replacing
from mien.schema import Preprocessing, UInt8Array


def part_schema(preprocessing: Preprocessing, fields: Sequence[pa.Field]) -> pa.Schema:
    """The columns of a part file: those of every dataset, ``fields``, and the crop's bytes."""
    channels = 1 if preprocessing.color == "gray" else 3
    pixels = pa.binary(preprocessing.size**2 * channels)
    return pa.schema([*FACES_SCHEMA, *fields, pa.field("crop", pixels, nullable=False)])


@dataclass(frozen=True, eq=False)
class Part:
    """The content of a part file: ``rows`` rows with crops of ``size`` pixels, and rows left out.

    ``left_out`` are id, source and reason. ``searched`` counts the images that a detector
    searched, ``several_faces`` those with more than one face, ``videos`` the frames of each
    recording. Rows and crops stay in the file until :meth:`blocks` reads them.
    """

    path: Path
    rows: int
    size: int
    left_out: list[tuple[str, str, str]]
    several_faces: int
    searched: int
    videos: dict[str, dict[str, Any]]

    def blocks(self) -> Iterator[tuple[pa.Table, UInt8Array]]:
        """Yield rows without their crops, and the crops ``(n, S, S, C)`` uint8, in batches."""
        # Not mapped: the pages of a mapped file count as memory, all of a long recording's.
        with pa.OSFile(str(self.path)) as stream:
            reader = pa.ipc.open_file(stream)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                # All columns of a batch are slices of one buffer; a copy lets go of the crops.
                faces = batch.drop_columns(["crop"]).take(pa.array(range(len(batch))))
                crops = batch.column("crop")
                width = crops.type.byte_width
                pixels = np.frombuffer(crops.buffers()[1] or b"", np.uint8)
                pixels = pixels[crops.offset * width :][: len(crops) * width]
                shape = (len(crops), self.size, self.size, width // self.size**2)
                yield (
                    pa.Table.from_batches([faces]).replace_schema_metadata(None),
                    pixels.reshape(shape),
                )


def read_part(path: Path, size: int) -> Part:
    """Open a part file of crops of ``size`` pixels.

    Raises ``ValueError`` for a damaged file, such as one left behind by a power cut.
    """
    try:
        with pa.memory_map(str(path)) as stream:
            reader = pa.ipc.open_file(stream)
            # Of a mapped file, counting reads no rows.
            rows = sum(reader.get_batch(n).num_rows for n in range(reader.num_record_batches))
        about = json.loads(reader.schema.metadata[b"part"])
    except (OSError, pa.ArrowException, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"expected a part file at {path}, got another: {error}") from None
    return Part(
        path=path,
        rows=rows,
        size=size,
        left_out=[(row[0], row[1], row[2]) for row in about["left_out"]],
        several_faces=about["several_faces"],
        searched=about["searched"],
        videos=about.get("videos", {}),
    )


def write_part_file(
    path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], about: Mapping[str, Any]
) -> None:
    """Write a part file for :func:`read_part`; it takes its name when it is complete.

    ``about`` holds the fields of :class:`Part` beyond the rows, as JSON.
    """
    schema = schema.with_metadata({"part": json.dumps(about)})
    with (
        replacing(path, explain=False) as temporary,  # prepare explains a full disk itself
        temporary.open("wb") as stream,
    ):
        with pa.ipc.new_file(stream, schema) as writer:
            for batch in batches:
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
        flush_to_disk(stream)


def is_part(path: Path, size: int) -> bool:
    """Whether ``path`` is a complete part file of ``size``-pixel crops; deletes a damaged one."""
    try:
        read_part(path, size)
    except ValueError:
        path.unlink(missing_ok=True)
        return False
    return True


def blocks_of(paths: Iterable[Path], size: int) -> Iterator[tuple[pa.Table, UInt8Array]]:
    """Rows and crops of part files, as :func:`mien.preparation.write.write_files` takes them."""
    for path in paths:
        yield from read_part(path, size).blocks()
