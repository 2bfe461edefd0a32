"""An answer as rows of a table, and the pictures that go with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.faces.images import load_image
from mien.faces.video import Video
from mien.inference.rows import plain
from mien.schema import UInt8Array
from mien.search.datasets import open_indexed
from mien.search.files import digest_of
from mien.search.index import FaceIndex
from mien.search.query import Answer, Match, Measure

_COLUMNS = (
    *("source", "id", "row", "split", "video", "frame", "time", "track", "face", "subject"),
    *("label", "expression", "confidence", "valence", "arousal", "action_units"),
)
_AROUND = 0.25  # of a face's box, that its picture shows around it

Row = dict[str, Any]


def answer_rows(index: FaceIndex, answer: Answer) -> list[Row]:
    """One row per match: its rank from 1, the measure, and what the index knows of the face."""
    return [
        {"rank": rank, answer.measure: plain(match.value)} | _known(index, match)
        for rank, match in enumerate(answer.matches, 1)
    ]


def answer_schema(index: FaceIndex, measure: Measure) -> pa.Schema:
    """The columns of :func:`answer_rows`, for a table."""
    names = set(index.faces.schema.names)
    fields = [index.faces.schema.field(name) for name in _COLUMNS if name in names]
    return pa.schema([("rank", pa.int32()), (measure, pa.float32()), *fields])


def _known(index: FaceIndex, match: Match) -> Row:
    row = index.row(match.number)
    return {name: plain(row[name]) for name in _COLUMNS if name in row}


def pictures_of(index: FaceIndex, numbers: Sequence[int]) -> list[UInt8Array | None]:
    """The pictures of rows, ``(H, W, 3)`` RGB: thumbnails, or cut out of the files again.

    None where a file has gone or is another one by now. A video is decoded once, up to the last of
    its rows.
    """
    if index.info.thumbnails is not None:
        stored = index.thumbnails
        return [np.array(stored[number]) for number in numbers]
    rows = [index.row(number) for number in numbers]
    dataset = open_indexed(index)
    frames: dict[str, set[int]] = {}
    for row in rows:
        if row["row"] is None and row["video"] is not None:
            frames.setdefault(row["source"], set()).add(row["frame"])
    cuts = {
        (path, row["frame"], row["face"]): _cut_out(image, row["box"])
        for path, wanted in frames.items()
        for number, image in _frames_of(path, wanted, index.info.fps)
        for row in rows
        if (row["source"], row["frame"]) == (path, number)
    }
    return [
        cuts.get((row["source"], row["frame"], row["face"]))
        if row["video"] is not None and row["row"] is None
        else _picture_of(row, dataset)
        for row in rows
    ]


def _picture_of(row: Row, dataset: Dataset | None) -> UInt8Array | None:
    if row["row"] is not None:
        return None if dataset is None else dataset.crops[row["row"]]
    if row["digest"] is None or digest_of(row["source"]) != row["digest"]:
        return None
    try:
        return _cut_out(load_image(row["source"]), row["box"])
    except MienError:
        return None


def _frames_of(path: str, wanted: set[int], fps: float | None) -> Iterator[tuple[int, UInt8Array]]:
    """Frames of a video by their numbers; ``fps`` is as it was read for the index."""
    last = max(wanted)
    try:
        with Video(path) as video:
            for frame in video.frames(fps=fps):
                if frame.index in wanted:
                    yield frame.index, frame.pixels
                if frame.index >= last:
                    return
    except MienError:
        return


def _cut_out(image: UInt8Array, box: Mapping[str, float]) -> UInt8Array | None:
    """A square around a box, with black where it reaches over the edge of the image."""
    side = max(1, round(max(box["width"], box["height"]) * (1 + 2 * _AROUND)))
    left = round(box["left"] + box["width"] / 2 - side / 2)
    top = round(box["top"] + box["height"] / 2 - side / 2)
    height, width = image.shape[:2]
    cut = np.zeros((side, side, 3), np.uint8)
    rows = slice(max(0, top), min(height, top + side))
    columns = slice(max(0, left), min(width, left + side))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    cut[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = image[
        rows, columns
    ]
    return cut
