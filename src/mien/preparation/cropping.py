"""Items -> faces -> crops: what a worker does with one chunk, and the part file it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien.corpora.items import Item, LeftOut, VideoItem
from mien.data.dataset import FACES_SCHEMA
from mien.faces.align import cut_face
from mien.faces.detect import Detector
from mien.faces.images import load_image
from mien.faces.tight import find_tight_face
from mien.files import flush_to_disk, replacing
from mien.preparation.workers import Stopped
from mien.schema import Face, MienError, Preprocessing, UInt8Array

Entry = Item | VideoItem | LeftOut
DetectorMaker = Callable[[], Detector]
"""Makes a detector in each worker; pickled by reference, as ``partial(YuNetDetector, file)`` is."""

TIGHT_BELOW = 100
"""An image with a side of fewer pixels is taken as a tight face crop and not searched."""


class Cropper:
    """Turns chunks of entries into part files; owns a detector from the first time it needs one.

    With ``landmarks`` it looks for them in tight crops too, which stay as they are.
    """

    def __init__(
        self,
        corpus: str,
        preprocessing: Preprocessing,
        make_detector: DetectorMaker,
        fields: Sequence[pa.Field] = (),
        landmarks: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._corpus, self._preprocessing = corpus, preprocessing
        self._make_detector, self._stopped = make_detector, stopped
        self._landmarks = landmarks
        self._detector: Detector | None = None
        self._extra = [field.name for field in fields]
        self._schema = part_schema(preprocessing, fields)

    def close(self) -> None:
        """Release the detector."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def write_part(self, entries: Sequence[Entry], path: Path) -> None:
        """Crop the faces of ``entries`` into the part file ``path``, which appears complete."""
        rows: list[dict[str, Any]] = []
        left_out: list[tuple[str, str, str]] = []
        several = searched = 0  # of the images that are no tight crops
        for entry in entries:
            if self._stopped():
                raise Stopped
            if isinstance(entry, LeftOut):
                left_out.append((entry.id, entry.source, entry.reason))
                continue
            if isinstance(entry, VideoItem):
                raise TypeError("expected images, got a recording")
            try:
                image = load_image(entry.image)
            except MienError as error:
                left_out.append((entry.id, entry.source, f"image unreadable: {error}"))
                continue
            tight = entry.tight or min(image.shape[:2]) < TIGHT_BELOW
            face: Face | None = None
            if not tight:
                faces = self._ready_detector()(image)
                searched += 1
                several += len(faces) > 1
                if not faces:
                    left_out.append((entry.id, entry.source, "no face found"))
                    continue
                face = faces[0]
            elif self._landmarks:
                face = find_tight_face(image, self._ready_detector())
            try:
                rows.append(self._row(entry, image, face, tight=tight))
            except ValueError as error:  # landmarks that all coincide
                left_out.append((entry.id, entry.source, f"face not aligned: {error}"))
        table = pa.Table.from_pylist(rows, schema=self._schema)
        about = {"left_out": left_out, "several_faces": several, "searched": searched}
        write_part_file(path, self._schema, table.to_batches(), about)

    def _ready_detector(self) -> Detector:
        self._detector = self._detector or self._make_detector()
        return self._detector

    def _row(
        self, item: Item, image: UInt8Array, face: Face | None, *, tight: bool
    ) -> dict[str, Any]:
        crop, alignment, landmarks, _ = cut_face(image, face, self._preprocessing, tight=tight)
        if self._preprocessing.color == "gray":
            crop = crop[..., :1]
        return {
            "id": item.id,
            "source": item.source,
            "corpus": self._corpus,
            "split": item.split,
            "subject": item.subject,
            "video": item.video,
            "frame": item.frame,
            "time": item.time,
            "label": item.label,
            "votes": item.votes,
            "landmarks": None if landmarks is None else landmarks.ravel(),
            "alignment": alignment.value,
            "quality": None if face is None else face.score,
            "crop": np.ascontiguousarray(crop).tobytes(),
            **{name: item.extra.get(name) for name in self._extra},
        }


def part_schema(preprocessing: Preprocessing, fields: Sequence[pa.Field]) -> pa.Schema:
    """The columns of a part file: those of every dataset, ``fields`` and the crop's bytes."""
    channels = 1 if preprocessing.color == "gray" else 3
    pixels = pa.binary(preprocessing.size**2 * channels)
    return pa.schema([*FACES_SCHEMA, *fields, pa.field("crop", pixels, nullable=False)])


@dataclass(frozen=True, eq=False)
class Part:
    """What a part file holds: rows with crops of ``size`` pixels, and what was left out.

    ``videos`` counts the frames of each recording. The table is memory-mapped.
    """

    table: pa.Table
    size: int
    left_out: list[tuple[str, str, str]]
    several_faces: int
    searched: int
    videos: dict[str, dict[str, Any]]

    def blocks(self) -> Iterator[tuple[pa.Table, UInt8Array]]:
        """Rows without their crops, and the crops ``(n, S, S, C)``, batch by batch."""
        for batch in self.table.to_batches():
            faces = pa.Table.from_batches([batch]).drop_columns(["crop"])
            crops = batch.column("crop")
            width = crops.type.byte_width
            pixels = np.frombuffer(crops.buffers()[1] or b"", np.uint8)
            pixels = pixels[crops.offset * width :][: len(crops) * width]
            shape = (len(crops), self.size, self.size, width // self.size**2)
            yield faces.replace_schema_metadata(None), pixels.reshape(shape)


def read_part(path: Path, size: int) -> Part:
    """Read a part file of crops of ``size`` pixels.

    Raises ``ValueError`` for a file that is none, such as one that a power cut left behind.
    """
    try:
        with pa.memory_map(str(path)) as stream:
            table = pa.ipc.open_file(stream).read_all()
        about = json.loads(table.schema.metadata[b"part"])
    except (OSError, pa.ArrowException, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no part file: {error}") from None
    return Part(
        table=table,
        size=size,
        left_out=[(row[0], row[1], row[2]) for row in about["left_out"]],
        several_faces=about["several_faces"],
        searched=about["searched"],
        videos=about.get("videos", {}),
    )


def write_part_file(
    path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], about: Mapping[str, Any]
) -> None:
    """Write a part as :func:`read_part` reads it; it appears under its name when complete.

    ``about`` says what was left out and counts the rest.
    """
    schema = schema.with_metadata({"part": json.dumps(about)})
    with (
        replacing(path, explain=False) as temporary,  # a full disk is explained for all parts
        temporary.open("wb") as stream,
    ):
        with pa.ipc.new_file(stream, schema) as writer:
            for batch in batches:
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
        flush_to_disk(stream)
