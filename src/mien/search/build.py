"""``mien index``: a dataset, or photos and videos, as an index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import MienError
from mien.inference.inputs.sources import ADDRESS, is_address
from mien.inference.videos import FPS
from mien.search.files import Reading, add_files, units_of
from mien.search.index import FaceIndex, model_of_index, open_index
from mien.search.writing import new_index, refuse_existing_index

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector

PathLike = str | os.PathLike[str]


def build_index(
    inputs: Sequence[PathLike],
    out: PathLike,
    *,
    model: PathLike = "fer",
    split: str | None = None,
    thumbnails: bool = False,
    detector: Detector | None = None,
    tight: bool = False,
    fps: float | None = None,
    max_pixels: int | None = None,
    threads: int | None = None,
) -> FaceIndex:
    """Embed the faces of ``inputs`` and write them into the new folder ``out``; open it.

    Parameters
    ----------
    inputs
        One prepared dataset; or photos, videos, folders and patterns, as ``mien predict`` takes
        them.
    model
        A model of faces: a shipped one's name or an ONNX file.
    split
        Index this split of the dataset only.
    thumbnails
        Store the crops in the index. Without, pictures are taken from the files again when they
        are shown.
    detector, tight, max_pixels, threads
        How photos are read, as for :func:`mien.predict`.
    fps
        Frames per second of videos to read (default: 5).

    Faces that cannot be read are left out, with the reason in ``left_out.csv``. Memory grows with
    the embeddings, of which each number takes two bytes, and with nothing else. Raises
    :class:`~mien.errors.MienError` for an ``out`` that exists, inputs without any face, a dataset
    beside other inputs, and crops that were cut otherwise than the model expects.
    """
    from mien.search.datasets import add_dataset, described, is_dataset, numbers_of

    paths = [os.fsdecode(each) for each in inputs]
    if not paths:
        raise MienError("expected a dataset, photos or videos to index, got none; name some")
    for each in paths:
        if is_address(each):
            raise MienError(f"{ADDRESS}: {each}")
    refuse_existing_index(Path(out))
    opened, path = model_of_index(model)
    datasets = [each for each in paths if is_dataset(each)]
    if datasets and len(paths) > 1:
        raise MienError(
            f"expected one dataset, or photos and videos, got the dataset {datasets[0]!r} beside "
            "others; make an index of each"
        )
    reading = Reading(detector, tight, fps, max_pixels, threads)
    if datasets:
        from mien.data.dataset import Dataset

        reading.refuse_for_dataset(datasets[0])
        dataset = Dataset.open(datasets[0])
        affect, units = numbers_of(opened, dataset)
        with new_index(out, units.names if units else (), thumbnails=thumbnails) as writer:
            add_dataset(writer, opened, dataset, split=split, name=os.fspath(model))
            writer.finish(
                opened,
                path,
                dataset=described(dataset),
                split=split,
                valence_arousal=affect,
                units=units,
                license_terms=f" Dataset: {dataset.license_terms}",
            )
        return open_index(out)
    if split is not None:
        raise MienError(
            f"expected a dataset for --split {split}, got photos or videos; leave it out"
        )
    units = units_of(opened)
    with new_index(out, units.names, thumbnails=thumbnails) as writer:
        add_files(writer, opened, paths, reading)
        writer.finish(
            opened,
            path,
            valence_arousal="network" if "valence_arousal" in opened.info.heads else None,
            units=units,
            fps=fps or FPS,
        )
    return open_index(out)
