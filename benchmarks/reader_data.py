"""The training data of the recipe ``reader``, from prepared datasets.

    mien prepare ferplus ferplus/ --out data/ferplus-tight --size 80
    mien prepare ferplus ferplus/ --out data/ferplus-aligned --size 80 --align
    mien synth data/rendered --faces 6000 --size 80 --color gray
    mien audit data/ferplus-tight --fix data/ferplus-fixed
    python benchmarks/reader_data.py ferplus data/ferplus-fixed data/ferplus-aligned data/ferplus-clean
    python benchmarks/reader_data.py rendered data/rendered data/rendered-unnamed

``ferplus`` leaves out of the aligned faces of train what ``mien audit --fix`` left out of the tight
ones: every face that valid shows as well, or train itself a second time. Pairs are looked for in tight
crops, where landmarks cannot make two copies differ. Valid stays as it is, copies included. ``rendered`` takes away the expressions of rendered faces, labels and votes, so that they teach
valence, arousal and action units only, and the accuracy of an epoch and the temperature are those
of people.
"""  # noqa: E501

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.audit.clean import write_cleaned
from mien.data.dataset import FACES_FILE, LEFT_OUT_FILE, Dataset
from mien.preparation.write import Block, write_dataset

_CHUNK = 512


def without_leaks(fixed_folder: str, aligned_folder: str, out: str) -> Dataset:
    """Write the aligned dataset without the rows of train that ``mien audit --fix`` left out."""
    with (Dataset.open(fixed_folder).folder / LEFT_OUT_FILE).open(encoding="utf-8") as file:
        reasons = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    aligned = Dataset.open(aligned_folder)
    return write_cleaned(
        aligned,
        out,
        {
            row: reasons[name]
            for row, name in enumerate(aligned.column("id"))
            if name in reasons and aligned.splits[row] == "train"
        },
    )


def without_names(folder: str, out: str) -> Dataset:
    """Write a copy of a dataset whose faces have no expression, neither a label nor votes."""
    dataset = Dataset.open(folder)

    def blocks() -> Iterator[Block]:
        start = 0
        with pq.ParquetFile(dataset.folder / FACES_FILE) as file:
            for batch in file.iter_batches(batch_size=_CHUNK):
                table = pa.Table.from_batches([batch])
                for name in ("label", "votes"):
                    index = table.schema.get_field_index(name)
                    field = table.schema.field(index)
                    table = table.set_column(index, field, pa.nulls(len(table), field.type))
                yield table, dataset.crops.stored(np.arange(start, start + len(table)))
                start += len(table)

    info = dataset.info
    return write_dataset(
        out,
        blocks(),
        rows=len(dataset),
        label_space=dataset.label_space,
        preprocessing=dataset.preprocessing,
        corpus=info["corpus"],
        license_terms=dataset.license_terms,
        left_out=[],
        notes=[*info.get("notes", []), "expressions taken away by reader_data.py"],
    )


def main() -> None:
    """Write one of the two."""
    writers = {"ferplus": without_leaks, "rendered": without_names}
    name, *folders = sys.argv[1:] or [""]
    if name not in writers or len(folders) != (3 if name == "ferplus" else 2):
        raise SystemExit(__doc__)
    dataset = writers[name](*folders)
    splits, counts = np.unique(dataset.splits.astype(str), return_counts=True)
    print(f"{Path(folders[-1])}: " + ", ".join(map("{} {}".format, counts, splits)))


if __name__ == "__main__":
    main()
