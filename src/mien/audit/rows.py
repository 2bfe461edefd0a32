"""The rows of several datasets as one, with the part that each belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.data.dataset import FACES_FILE, Dataset
from mien.data.targets import make_targets
from mien.schema import UInt8Array
from mien.synthetic import CORPUS as RENDERED

IntArray = NDArray[np.int64]
Names = NDArray[Any]

_NAMED_BY_USERS = frozenset(("folder", "recordings", RENDERED))
"""Corpora whose subjects in two datasets may have one name and be two persons."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The ``N`` rows of ``datasets``, one dataset after the other.

    A part is a split of a dataset. ``names`` are those of the datasets.
    """

    datasets: Sequence[Dataset]
    names: Sequence[str]

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def starts(self) -> IntArray:
        """The first row of each dataset, and ``N``, ``(D + 1,)``."""
        return np.cumsum([0, *map(len, self.datasets)]).astype(np.int64)

    @cached_property
    def owners(self) -> IntArray:
        """The number of each row's dataset, ``(N,)``."""
        return np.repeat(np.arange(len(self.datasets)), np.diff(self.starts))

    @cached_property
    def ids(self) -> Names:
        """The id of each row in its dataset, ``(N,)``."""
        return self._joined("id")

    @cached_property
    def _named_parts(self) -> tuple[list[str], IntArray]:
        splits = [
            np.array([self.part_name(number, split) for split in dataset.splits], object)
            for number, dataset in enumerate(self.datasets)
        ]
        names = list(dict.fromkeys(np.concatenate(splits).tolist()))
        numbers = {name: number for number, name in enumerate(names)}
        return names, np.array([numbers[name] for part in splits for name in part], np.int64)

    def part_name(self, number: int, split: str) -> str:
        """What the part is called: its split, after the dataset's name where there are several."""
        return split if len(self.datasets) == 1 else f"{self.names[number]}/{split}"

    @property
    def part_names(self) -> list[str]:
        """The names of the parts, in the order of their first rows."""
        return self._named_parts[0]

    @property
    def parts(self) -> IntArray:
        """The number of each row's part, ``(N,)``."""
        return self._named_parts[1]

    @cached_property
    def labels(self) -> Names:
        """The class of each row under the majority rule, ``(N,)`` names, "" for none."""
        named = []
        for dataset in self.datasets:
            names = np.array([*dataset.label_space.names, ""], object)
            named.append(names[make_targets(dataset, "majority")["expression"]])
        return np.concatenate(named)

    def people(self, column: str) -> Names:
        """Subjects or videos that can be compared over datasets, ``(N,)``, "" where unknown."""
        pairs = zip(self.scopes, self._joined(column), strict=True)
        return np.array([f"{scope}\n{name}" if name else "" for scope, name in pairs], object)

    @cached_property
    def scopes(self) -> Names:
        """Within what a row's names mean one thing, ``(N,)``: its corpus, or its dataset alone."""
        scopes = [
            str(number) if corpus in _NAMED_BY_USERS else str(corpus)
            for number, dataset in enumerate(self.datasets)
            for corpus in dataset.column("corpus")
        ]
        return np.array(scopes, object)

    def crop(self, row: int) -> UInt8Array:
        """The crop of a row, ``(S, S, 3)``."""
        owner = int(self.owners[row])
        return self.datasets[owner].crops[int(row - self.starts[owner])]

    def describe(self, row: int) -> dict[str, str]:
        """The row's part, id and label."""
        return {
            "part": self.part_names[self.parts[row]],
            "id": str(self.ids[row]),
            "label": str(self.labels[row]),
        }

    def _joined(self, column: str) -> Names:
        return np.concatenate([dataset.column(column) for dataset in self.datasets])


def open_rows(folders: Sequence[str | Path]) -> Rows:
    """Open dataset folders; each is called by its folder, and by its path where two are alike."""
    paths = [Path(folder) for folder in folders]
    short = [path.resolve().name for path in paths]
    alike = len(set(short)) < len(short)
    return Rows([Dataset.open(path) for path in paths], [*map(str, paths)] if alike else short)


def shared_names(rows: Rows, keys: Names) -> list[dict[str, Any]]:
    """The ``keys`` ``(N,)`` of :meth:`Rows.people` in more than one part, with their rows in each.

    "" is no key.
    """
    known = np.flatnonzero(keys != "")
    counts = Counter(zip(keys[known].tolist(), rows.parts[known].tolist(), strict=True))
    by_name: dict[str, dict[str, int]] = {}
    for (key, part), count in sorted(counts.items()):
        by_name.setdefault(key, {})[rows.part_names[part]] = count
    return [
        {"name": key.split("\n", 1)[1], "rows": parts}
        for key, parts in by_name.items()
        if len(parts) > 1
    ]


def class_counts(rows: Rows) -> dict[str, dict[str, int]]:
    """Labeled rows by part and class."""
    counts: dict[str, dict[str, int]] = {}
    for number, dataset in enumerate(rows.datasets):
        of_dataset = rows.owners == number
        for split in dict.fromkeys(dataset.splits.tolist()):
            name = rows.part_name(number, split)
            part = of_dataset & (rows.parts == rows.part_names.index(name))
            labels = Counter(rows.labels[part].tolist())
            counts[name] = {each: labels[each] for each in dataset.label_space.names}
    return counts


def rows_without(dataset: Dataset) -> dict[str, int]:
    """How many rows lack landmarks, and in how many no detector has seen a face."""
    path = dataset.folder / FACES_FILE
    landmarks = 0
    with pq.ParquetFile(path) as file:
        # Landmarks take 3.8 kB per row, so they are never all in memory.
        for batch in file.iter_batches(batch_size=4096, columns=["landmarks"]):
            landmarks += int(batch.column(0).null_count)
    faces = int(np.isnan(dataset.column("quality").astype(np.float32)).sum())
    return {"landmarks": landmarks, "faces": faces}
