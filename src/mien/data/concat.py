"""Several datasets as one: rows one after the other, in the classes of the first."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mien.data.crops import Crops, Index
from mien.data.dataset import FACES_SCHEMA, Dataset
from mien.schema import FloatArray, MienError, Preprocessing, UInt8Array


def open_joined(folders: Sequence[str | os.PathLike[str]]) -> Dataset:
    """One dataset folder as it is, or several joined; errors as of :meth:`Dataset.open`."""
    return join_datasets([Dataset.open(folder) for folder in folders])


def join_datasets(parts: Sequence[Dataset]) -> Dataset:
    """The rows of all ``parts`` in their order; a single one is returned as it is.

    Classes are those of the first. A label that it lacks becomes no label, so such a row can only
    teach valence and arousal; ``info["parts"]`` counts them (``other_classes``). Votes are brought
    under one set of names. Raises :class:`MienError` where crops are cut differently, or classes
    share fewer than two names.
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
            raise MienError(f"{other.folder} cannot join {first.folder}: {error}") from None
    parts = [first, *(other.read_as(first.preprocessing) for other in others)]
    described = [
        {
            "corpus": part.info.get("corpus"),
            "checksum": part.info.get("checksum"),
            "rows": len(part),
            "other_classes": _other_classes(part, first),
        }
        for part in parts
    ]
    marks = [str(part.info.get("checksum") or part.info["files"]) for part in parts]
    with_votes = [part for part in parts if part.vote_names]
    names = [*first.label_space.names, *(name for part in with_votes for name in part.vote_names)]
    return Joined(
        folder=first.folder,
        label_space=first.label_space,
        preprocessing=first.preprocessing,
        license_terms=" ".join(dict.fromkeys(part.license_terms for part in parts)),
        vote_names=tuple(dict.fromkeys(names)) if with_votes else (),
        info={
            "corpus": " and ".join(str(part.info.get("corpus")) for part in parts),
            "checksum": hashlib.sha256("\n".join(marks).encode()).hexdigest(),
            "parts": described,
        },
        crops=JoinedCrops([part.crops for part in parts]),
        parts=tuple(parts),
    )


def _other_classes(part: Dataset, first: Dataset) -> dict[str, int]:
    lacking = [name for name in part.label_space.names if name not in first.label_space.names]
    labels = part.column("label")
    counts = {name: int(np.sum(labels == name)) for name in lacking}
    return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True, eq=False)
class Joined(Dataset):
    """Several datasets as one; made by :func:`join_datasets`. ``folder`` is the first one's."""

    parts: tuple[Dataset, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return (_join_as, ([part.folder for part in self.parts], self.preprocessing))

    def read_as(self, preprocessing: Preprocessing) -> Dataset:
        """As of a dataset, for each of the parts."""
        return join_datasets([part.read_as(preprocessing) for part in self.parts])

    def fixed_boxes(self, rows: NDArray[np.int64] | None = None) -> int:
        """As of a dataset, summed over the parts."""
        wanted = np.arange(len(self)) if rows is None else rows
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        return sum(
            part.fixed_boxes(wanted[(wanted >= start) & (wanted < start + len(part))] - start)
            for part, start in zip(self.parts, starts, strict=False)
        )

    @cached_property
    def faces(self) -> pa.Table:
        """The columns that every dataset has, of all rows."""
        return pa.concat_tables([part.faces.select(FACES_SCHEMA.names) for part in self.parts])

    def column(self, name: str) -> NDArray[Any]:
        """One column as ``(N,)``, which every part must have; labels in the first one's classes."""
        values = np.concatenate([part.column(name) for part in self.parts])
        if name == "label":
            known = set(self.label_space.names)
            values = np.array([value if value in known else None for value in values], object)
        return values

    @cached_property
    def valence_arousal(self) -> FloatArray:
        """Valence and arousal of each row, ``(N, 2)``, NaN where they are unknown."""
        return np.concatenate([part.valence_arousal for part in self.parts])

    @cached_property
    def action_units(self) -> FloatArray:
        """Action units of each row, ``(N, 12)`` in [0, 1], NaN where they were not annotated."""
        return np.concatenate([part.action_units for part in self.parts])

    @cached_property
    def votes(self) -> NDArray[np.int64] | None:
        """Annotators' votes, ``(N, len(vote_names))``; a row without votes is all zero."""
        if not self.vote_names:
            return None
        votes = np.zeros((len(self), len(self.vote_names)), np.int64)
        start = 0
        for part in self.parts:
            if part.votes is not None:
                places = [self.vote_names.index(name) for name in part.vote_names]
                votes[start : start + len(part), places] = part.votes
            start += len(part)
        return votes


class JoinedCrops(Crops):
    """The crops of several datasets, one after the other; indexed as those of one are."""

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
        """As indexing, but gray crops keep their one channel: ``(..., S, S, 1 or 3)``."""
        if isinstance(index, int | np.integer):
            one: UInt8Array = self.stored(np.array([index]))[0]
            return one
        rows = np.arange(len(self))[index]
        found = [
            (there, part.stored(rows[there] - start))
            for part, start, end in zip(self.parts, self.starts, self.starts[1:], strict=False)
            if (there := np.flatnonzero((rows >= start) & (rows < end))).size
        ]
        if not found:
            return self.parts[0].stored(rows)
        crops = np.empty((len(rows), *found[0][1].shape[1:]), np.uint8)
        for there, own in found:
            crops[there] = own
        return crops

    def composed(self, crops: UInt8Array, index: Index) -> UInt8Array:
        """Whole crops of these rows as they are read here, part by part."""
        if isinstance(index, int | np.integer):
            one: UInt8Array = self.composed(crops[None], np.array([index]))[0]
            return one
        rows, images = np.arange(len(self))[index], np.empty_like(crops)
        for part, start, end in zip(self.parts, self.starts, self.starts[1:], strict=False):
            there = np.flatnonzero((rows >= start) & (rows < end))
            images[there] = part.composed(crops[there], rows[there] - start)
        return images

    def __reduce__(self) -> tuple[type[Crops], tuple[Any, ...]]:
        return (JoinedCrops, (self.parts,))


def _join_as(folders: list[Path], preprocessing: Preprocessing) -> Dataset:
    return open_joined(folders).read_as(preprocessing)
