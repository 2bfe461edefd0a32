"""A copy of a dataset without the rows that leak between splits or are there twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.audit.findings import SHARED
from mien.audit.rows import IntArray, Names, Rows
from mien.corpora import licenses_of
from mien.data.dataset import FACES_FILE, Dataset
from mien.preparation.write import Block, write_dataset

_RANKS = {"test": 0, "valid": 1}
_CHUNK = 4096


def rows_to_leave_out(
    rows: Rows, shared: Mapping[str, Names], groups: Sequence[IntArray], pairs: IntArray
) -> dict[int, str]:
    """The rows of one dataset that a cleaned copy lacks, with the reason of each.

    What is measured on stays whole: where splits share something, the row in train goes before
    the one in valid, and that before the one in test. Of subjects, videos and families of files
    (``shared``: the key of each row, "" for none) in several splits all rows but those of one
    split go; of equal pixels one row stays; of near duplicates in two splits one goes. Near
    duplicates within a split stay, and so do labels.
    """
    splits = rows.datasets[0].splits
    ranks = np.array([_RANKS.get(split, len(_RANKS)) for split in splits])
    reasons: dict[int, str] = {}
    for kind, keys in shared.items():
        best: dict[str, str] = {}
        for row in np.argsort(ranks, kind="stable").tolist():
            if keys[row]:
                best.setdefault(keys[row], splits[row])
        for row, key in enumerate(keys.tolist()):
            if key and splits[row] != best[key]:
                reasons.setdefault(row, f"{SHARED[kind][0]} is also in another split: {best[key]}")
    for group in groups:
        stay, *others = _ranked(group.tolist(), ranks, reasons)
        for row in others:
            reasons.setdefault(row, f"same pixels as another row: {rows.ids[stay]}")
    for pair in pairs.tolist():
        stay, other = _ranked(pair, ranks, reasons)
        if splits[stay] != splits[other] and stay not in reasons:
            reasons.setdefault(other, f"near duplicate in another split: {rows.ids[stay]}")
    return dict(sorted(reasons.items()))


def _ranked(group: Sequence[int], ranks: IntArray, reasons: Mapping[int, str]) -> list[int]:
    """Rows that are left out already come last, and those of train before them."""
    return sorted(group, key=lambda row: (row in reasons, ranks[row], row))


def write_cleaned(dataset: Dataset, out: str | Path, reasons: Mapping[int, str]) -> Dataset:
    """Write the dataset without some rows, which ``left_out.csv`` lists with their reasons."""
    stays = np.ones(len(dataset), np.bool_)
    stays[list(reasons)] = False
    ids, sources = dataset.column("id"), dataset.column("source")
    info = dataset.info
    videos = set(dataset.column("video")[stays])
    origin = f"{dataset.folder.resolve().name} (checksum {info.get('checksum', 'unknown')[:12]})"
    return write_dataset(
        out,
        _blocks(dataset, stays),
        rows=int(stays.sum()),
        label_space=dataset.label_space,
        preprocessing=dataset.preprocessing,
        corpus=info.get("corpus", ""),
        license_terms=dataset.license_terms,
        licenses=licenses_of(dataset),
        vote_names=dataset.vote_names,
        left_out=[(ids[row], sources[row], reason) for row, reason in reasons.items()],
        notes=[
            *info.get("notes", []),
            f"cleaned by mien audit from {origin}; left_out.csv lists what that left out",
        ],
        several_faces=info.get("several_faces", 0),
        scale=dataset.scale,
        videos={name: each for name, each in info.get("videos", {}).items() if name in videos},
    )


def _blocks(dataset: Dataset, stays: Any) -> Iterator[Block]:
    start = 0
    with pq.ParquetFile(dataset.folder / FACES_FILE) as file:
        for batch in file.iter_batches(batch_size=_CHUNK):
            chosen = stays[start : start + batch.num_rows]
            table = pa.Table.from_batches([batch]).filter(pa.array(chosen))
            yield table, dataset.crops.stored(start + np.flatnonzero(chosen))
            start += batch.num_rows
