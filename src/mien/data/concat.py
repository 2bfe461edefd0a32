"""Several datasets as one: their rows in turn, with the classes of the first."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mien.data.crops import Crops, Index
from mien.data.dataset import FACES_SCHEMA, Dataset
from mien.errors import MienError
from mien.labels import LabelSpace
from mien.licenses import License, merged
from mien.schema import FloatArray, Preprocessing, UInt8Array


def open_datasets(folders: Sequence[str | os.PathLike[str]]) -> Dataset:
    """Open one dataset folder, or several as one dataset; see :func:`concat_datasets`.

    Raises :class:`MienError` as :meth:`Dataset.open` and :func:`concat_datasets` do.
    """
    return concat_datasets([Dataset.open(folder) for folder in folders])


def concat_datasets(parts: Sequence[Dataset]) -> Dataset:
    """Return the rows of all ``parts``, in their order; a single part is returned as it is.

    The classes are those of the first part. A label that it lacks becomes no label, so the row
    only teaches other heads; ``info["parts"]`` counts such rows (``other_classes``). Votes share
    one set of names. Raises :class:`MienError` for crops that are cut differently and for label
    spaces that share fewer than two classes.
    """
    first, *others = parts
    if not others:
        return first
    for other in others:
        if not other.preprocessing.cuts_like(first.preprocessing):
            raise MienError(
                f"expected datasets with the same crops, got {first.folder} and {other.folder}: "
                f"{first.preprocessing.differences(other.preprocessing)}; prepare one again with "
                "the settings of the other"
            )
        try:
            other.label_space.projection(first.label_space)
        except ValueError as error:
            raise MienError(
                f"expected datasets with classes in common, got {first.folder} and "
                f"{other.folder}: {error}; train on one of them"
            ) from None
    parts = [first, *(other.with_preprocessing(first.preprocessing) for other in others)]
    descriptions = [
        {
            "corpus": part.info.get("corpus"),
            "checksum": part.info.get("checksum"),
            "rows": len(part),
            "other_classes": _other_classes(part, first),
        }
        for part in parts
    ]
    checksums = [str(part.info.get("checksum") or part.info["files"]) for part in parts]
    with_votes = [part for part in parts if part.vote_names]
    names = [*first.label_space.names, *(name for part in with_votes for name in part.vote_names)]
    return ConcatDataset(
        folder=first.folder,
        label_space=first.label_space,
        preprocessing=first.preprocessing,
        license_terms=" ".join(dict.fromkeys(part.license_terms for part in parts)),
        vote_names=tuple(dict.fromkeys(names)) if with_votes else (),
        info={
            "corpus": " and ".join(str(part.info.get("corpus")) for part in parts),
            "checksum": hashlib.sha256("\n".join(checksums).encode()).hexdigest(),
            "parts": descriptions,
        },
        crops=ConcatCrops([part.crops for part in parts]),
        parts=tuple(parts),
    )


def _other_classes(part: Dataset, first: Dataset) -> dict[str, int]:
    names = [name for name in part.label_space.names if name not in first.label_space.names]
    labels = part.column("label")
    counts = {name: int(np.sum(labels == name)) for name in names}
    return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True, eq=False, repr=False)
class ConcatDataset(Dataset):
    """Several datasets as one, see :func:`concat_datasets`; ``folder`` is the first part's."""

    parts: tuple[Dataset, ...] = ()

    @property
    def licenses(self) -> tuple[License, ...]:
        """What is known about the licenses of all parts, each work once."""
        return merged(part.licenses for part in self.parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_reopen, (self.parts, self.assigned_splits))

    def with_preprocessing(self, preprocessing: Preprocessing) -> Dataset:
        """Return a view of the same rows, as :meth:`Dataset.with_preprocessing` of each part."""
        parts = tuple(part.with_preprocessing(preprocessing) for part in self.parts)
        return _reopen(parts, self.assigned_splits)

    def with_classes(self, space: LabelSpace) -> Dataset:
        """Return a view of the same rows, as :meth:`Dataset.with_classes` of each part."""
        return _reopen(tuple(part.with_classes(space) for part in self.parts), self.assigned_splits)

    def fixed_boxes(self, rows: NDArray[np.int64] | None = None) -> int:
        """Count as :meth:`Dataset.fixed_boxes` does, over all parts."""
        rows = np.arange(len(self)) if rows is None else rows
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        return sum(
            part.fixed_boxes(rows[(rows >= start) & (rows < start + len(part))] - start)
            for part, start in zip(self.parts, starts, strict=False)
        )

    def numbers(self, head: str) -> FloatArray | None:
        """Return as :meth:`Dataset.numbers` does; NaN in the rows of a part without the columns."""
        arrays = [part.numbers(head) for part in self.parts]
        first = next((array for array in arrays if array is not None), None)
        if first is None:
            return None
        return np.concatenate(
            [
                np.full((len(part), *first.shape[1:]), np.nan, np.float32)
                if array is None
                else array
                for part, array in zip(self.parts, arrays, strict=True)
            ]
        )

    @cached_property
    def faces(self) -> pa.Table:
        """All rows, with the columns that every dataset has."""
        table = pa.concat_tables([part.faces.select(FACES_SCHEMA.names) for part in self.parts])
        for name in ("split", "label"):
            index = table.schema.get_field_index(name)
            values = pa.array(self.column(name), pa.string())
            table = table.set_column(index, table.schema.field(index), values)
        return table

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns that every part has, in the order of the first."""
        others = [set(part.column_names) for part in self.parts[1:]]
        return tuple(
            name for name in self.parts[0].column_names if all(name in names for names in others)
        )

    def column(self, name: str) -> NDArray[Any]:
        """One column as ``(N,)``, which every part must have; labels in the first one's classes."""
        if name == "split" and self.assigned_splits is not None:
            return self.assigned_splits.copy()
        values = np.concatenate([part.column(name) for part in self.parts])
        if name == "label":
            names = set(self.label_space.names)
            values = np.array([value if value in names else None for value in values], object)
        return values

    @cached_property
    def valence_arousal(self) -> FloatArray:
        """Valence and arousal of each row, ``(N, 2)`` float32 in [-1, 1], NaN where unknown."""
        return np.concatenate([part.valence_arousal for part in self.parts])

    @cached_property
    def action_units(self) -> FloatArray:
        """Action units of each row, ``(N, 12)`` float32 in [0, 1], NaN where not annotated."""
        return np.concatenate([part.action_units for part in self.parts])

    @cached_property
    def votes(self) -> NDArray[np.int64] | None:
        """Annotators' votes, ``(N, len(vote_names))`` int64, all zero in a row without votes."""
        if not self.vote_names:
            return None
        votes = np.zeros((len(self), len(self.vote_names)), np.int64)
        start = 0
        for part in self.parts:
            if part.votes is not None:
                columns = [self.vote_names.index(name) for name in part.vote_names]
                votes[start : start + len(part), columns] = part.votes
            start += len(part)
        return votes


class ConcatCrops(Crops):
    """The crops of several datasets in turn, indexed like those of one."""

    def __init__(self, parts: Sequence[Crops]) -> None:
        self.parts = tuple(parts)
        self.starts = np.cumsum([0, *(len(part) for part in parts)])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(N, S, S, 3)``."""
        return (len(self), *self.parts[0].shape[1:])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def stored(self, index: Index) -> UInt8Array:
        """Index without repeating the channel of gray crops: ``(..., S, S, 1 or 3)``."""
        if isinstance(index, int | np.integer):
            crop: UInt8Array = self.stored(np.array([index]))[0]
            return crop
        rows = np.arange(len(self))[index]
        blocks = [
            (positions, part.stored(rows[positions] - start))
            for part, start, end in zip(self.parts, self.starts, self.starts[1:], strict=False)
            if (positions := np.flatnonzero((rows >= start) & (rows < end))).size
        ]
        if not blocks:
            return self.parts[0].stored(rows)
        crops = np.empty((len(rows), *blocks[0][1].shape[1:]), np.uint8)
        for positions, block in blocks:
            crops[positions] = block
        return crops

    def composed(self, crops: UInt8Array, index: Index) -> UInt8Array:
        """Compose whole crops of these rows as their part does."""
        if isinstance(index, int | np.integer):
            image: UInt8Array = self.composed(crops[None], np.array([index]))[0]
            return image
        rows, images = np.arange(len(self))[index], np.empty_like(crops)
        for part, start, end in zip(self.parts, self.starts, self.starts[1:], strict=False):
            positions = np.flatnonzero((rows >= start) & (rows < end))
            images[positions] = part.composed(crops[positions], rows[positions] - start)
        return images

    def __reduce__(self) -> tuple[type[Crops], tuple[Any, ...]]:
        return (ConcatCrops, (self.parts,))


def _reopen(parts: tuple[Dataset, ...], splits: NDArray[Any] | None) -> Dataset:
    dataset = concat_datasets(parts)
    return dataset if splits is None else dataset.with_splits(splits)
