"""Images -> faces -> crops: the work on one chunk of a corpus, which becomes a part file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien.corpora.items import Item, LeftOut, VideoItem
from mien.errors import MienError
from mien.faces.align import cut_face
from mien.faces.detection.detect import Detector
from mien.faces.images import MAX_PIXELS, count_pixels, load_image
from mien.faces.tight import find_tight_face, is_small
from mien.preparation.parts import part_schema, write_part_file
from mien.preparation.workers import Stopped, one_at_a_time
from mien.schema import Face, Preprocessing, UInt8Array

Entry = Item | VideoItem | LeftOut
DetectorMaker = Callable[[], Detector]
"""Makes a detector in each worker; must be picklable, such as ``partial(YuNetDetector, file)``."""

# Pixels take up to ten bytes while they are decoded: two larger photos at once, over a gigabyte.
_LARGE = 50_000_000


class Cropper:
    """Turns chunks of entries into part files; makes its detector on first use.

    With ``landmarks``, it also detects landmarks in tight crops, whose pixels stay as they are;
    with ``align``, those with landmarks are aligned by them like the faces of photos.
    """

    def __init__(
        self,
        corpus: str,
        preprocessing: Preprocessing,
        make_detector: DetectorMaker,
        fields: Sequence[pa.Field] = (),
        landmarks: bool = False,
        align: bool = False,
        max_pixels: int = MAX_PIXELS,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._corpus, self._preprocessing = corpus, preprocessing
        self._make_detector, self._stopped = make_detector, stopped
        self._landmarks, self._align, self._max_pixels = landmarks or align, align, max_pixels
        self._detector: Detector | None = None
        self._extra = [field.name for field in fields]
        self._schema = part_schema(preprocessing, fields)

    def close(self) -> None:
        """Release the detector."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def write_part(self, entries: Sequence[Entry], path: Path) -> None:
        """Crop the faces of ``entries`` into the part file ``path``, atomically."""
        rows: list[dict[str, Any]] = []
        left_out: list[tuple[str, str, str]] = []
        counts: Counter[str] = Counter()
        for entry in entries:
            if self._stopped():
                raise Stopped
            if isinstance(entry, LeftOut):
                left_out.append((entry.id, entry.source, entry.reason))
                continue
            if isinstance(entry, VideoItem):
                raise TypeError("expected images, got a recording")
            with one_at_a_time() if _is_large(entry) else nullcontext():
                row = self._cropped(entry, counts)
            if isinstance(row, str):
                left_out.append((entry.id, entry.source, row))
            else:
                rows.append(row)
        table = pa.Table.from_pylist(rows, schema=self._schema)
        about = {
            "left_out": left_out,
            "several_faces": counts["several faces"],
            "searched": counts["searched"],
        }
        write_part_file(path, self._schema, table.to_batches(), about)

    def _cropped(self, entry: Item, counts: Counter[str]) -> dict[str, Any] | str:
        """The row of an image, or why there is none; counts images that are not tight crops."""
        try:
            image = load_image(entry.image, max_pixels=self._max_pixels)
        except MienError as error:
            return f"image unreadable: {error}"
        if entry.box is not None:
            image = _around(image, entry.box)
        small = not entry.tight and is_small(image)
        tight = entry.tight or small
        face: Face | None = None
        if small:
            counts["searched"] += 1
            detected = find_tight_face(image, self._ready_detector())
            if detected is None:
                return "no face found"
            face = detected if self._landmarks else None
        elif not tight:
            faces = self._ready_detector()(image)
            counts["searched"] += 1
            counts["several faces"] += len(faces) > 1
            readable = [face for face in faces if not face.reason]
            if not readable:
                return faces[0].reason if faces else "no face found"
            face = readable[0] if entry.box is None else _central(readable, image)
        elif self._landmarks:
            face = find_tight_face(image, self._ready_detector())
        try:
            whole = tight and not (self._align and face is not None)
            return self._row(entry, image, face, tight=whole)
        except ValueError as error:  # landmarks that all coincide
            return f"face not aligned: {error}"

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


def _is_large(item: Item) -> bool:
    return isinstance(item.image, Path) and count_pixels(item.image) > _LARGE


def _around(image: UInt8Array, box: tuple[float, float, float, float]) -> UInt8Array:
    """The part of an image around a face: its box and half of its size on each side.

    The whole image where the box lies outside of it.
    """
    left, top, width, height = box
    rows = slice(max(0, int(top - height / 2)), max(0, int(top + 1.5 * height)))
    columns = slice(max(0, int(left - width / 2)), max(0, int(left + 1.5 * width)))
    part = image[rows, columns]
    return np.ascontiguousarray(part) if part.size else image


def _central(faces: Sequence[Face], image: UInt8Array) -> Face:
    """The face in the middle of an image that was cut around it."""
    middle = np.array(image.shape[1::-1]) / 2

    def distance(face: Face) -> float:
        box = face.box
        center = np.array([box.left + box.width / 2, box.top + box.height / 2])
        return float(np.linalg.norm(center - middle))

    return min(faces, key=distance)
