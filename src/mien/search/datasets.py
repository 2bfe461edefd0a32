"""The rows of a prepared dataset as faces of an index, and their crops as pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.dataset import Dataset
from mien.data.description import INFO_FILE
from mien.data.reading import crop_reader
from mien.errors import MienError
from mien.heads import HEADS
from mien.inference.model import OnnxModel, read_heads
from mien.labels import ACTION_UNIT_PRESENT, ACTION_UNITS
from mien.search.index import FaceIndex, IndexedDataset, IndexedUnits, Origin
from mien.search.writing import IndexWriter
from mien.terminal import progress_bar

_CHUNK = 256
_COLUMNS = ("id", "source", "subject", "video", "frame", "time", "split", "label")


def is_dataset(path: str | os.PathLike[str]) -> bool:
    """Whether this is the folder of a dataset."""
    return (Path(path) / INFO_FILE).is_file()


def numbers_of(model: OnnxModel, dataset: Dataset) -> tuple[Origin | None, IndexedUnits | None]:
    """Where valence and arousal, and action units, of the rows come from.

    Labels where the dataset has any, else the model.
    """
    affect: Origin | None = None
    if dataset.numbers("valence_arousal") is not None:
        affect = "labels"
    elif "valence_arousal" in model.info.heads:
        affect = "network"
    if dataset.numbers("action_units") is not None:
        thresholds = (ACTION_UNIT_PRESENT,) * len(ACTION_UNITS)
        return affect, IndexedUnits(names=ACTION_UNITS, thresholds=thresholds, origin="labels")
    return affect, units_of_network(model)


def units_of_network(model: OnnxModel) -> IndexedUnits | None:
    """The action units of a model's head, None without one."""
    head: Any = model.info.heads.get("action_units")
    if head is None:
        return None
    return IndexedUnits(names=head.units, thresholds=head.thresholds, origin="network")


def add_dataset(
    writer: IndexWriter, model: OnnxModel, dataset: Dataset, *, split: str | None, name: str
) -> None:
    """Add the rows of a split, None for all; ``name`` is what the user called the model.

    Raises :class:`~mien.errors.MienError` for crops that were cut otherwise than the model's.
    """
    rows = np.arange(len(dataset)) if split is None else dataset.split_indices(split)
    crops_of, _ = crop_reader(model.info.preprocessing, dataset, rows, name)
    columns = {column: dataset.column(column) for column in _COLUMNS}
    units = dataset.numbers("action_units")
    affect = dataset.numbers("valence_arousal")
    with progress_bar("index", len(rows)) as show:
        for start in range(0, len(rows), _CHUNK):
            picked = rows[start : start + _CHUNK]
            crops = crops_of(picked)
            output = model.predict(crops)
            writer.add(
                [
                    {key: _plain(values[row]) for key, values in columns.items()}
                    | _read(model, output.heads, number)
                    | {"row": int(row)}
                    | ({} if affect is None else _affect(affect[row]))
                    | ({} if units is None else {"action_units": _units(units[row])})
                    for number, row in enumerate(picked)
                ],
                output.embeddings,
                crops,
            )
            show(start + len(picked))


def described(dataset: Dataset) -> IndexedDataset:
    """What an index says of its dataset."""
    return IndexedDataset(
        folder=os.path.abspath(dataset.folder), checksum=str(dataset.info.get("checksum", ""))
    )


def open_indexed(index: FaceIndex) -> Dataset | None:
    """The dataset whose rows are in an index; None where it has gone or is another one by now."""
    expected = index.info.dataset
    if expected is None:
        return None
    try:
        dataset = Dataset.open(expected.folder)
    except MienError:
        return None
    return dataset if dataset.info.get("checksum") == expected.checksum else None


def _read(model: OnnxModel, outputs: Any, number: int) -> dict[str, Any]:
    fields = read_heads(model.info, outputs, number)
    names = ("expression", "confidence", "valence", "arousal", "action_units")
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _affect(values: Any) -> dict[str, Any]:
    return {
        name: _plain(value)
        for name, value in zip(HEADS["valence_arousal"].columns, values, strict=True)
    }


def _units(values: Any) -> dict[str, Any]:
    return {name: _plain(value) for name, value in zip(ACTION_UNITS, values, strict=True)}


def _plain(value: Any) -> Any:
    """A value of a column for a row of the index; None for NaN."""
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value
