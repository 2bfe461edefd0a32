"""The training data of the recipe ``reader``, from prepared datasets.

    mien prepare ferplus ferplus/ --out data/ferplus-tight --size 80
    mien prepare ferplus ferplus/ --out data/ferplus-aligned --size 80 --align
    mien synth data/rendered --faces 6000 --size 80 --color gray
    python benchmarks/reader_data.py ferplus data/ferplus-tight data/ferplus-aligned data/ferplus-clean
    python benchmarks/reader_data.py rendered data/rendered data/rendered-unnamed

``ferplus`` leaves out of train every face that valid shows as well, or train itself a second time;
pairs are looked for in the tight crops, where landmarks cannot make two copies differ. Valid stays as
it is. ``rendered`` takes away the expressions of rendered faces, labels and votes, so that they teach
valence, arousal and action units only, and the accuracy of an epoch and the temperature are those
of people.
"""  # noqa: E501

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.audit.clean import rows_to_leave_out, write_cleaned
from mien.audit.duplicates import confirmed_pairs, equal_groups, near_pairs, prints_of
from mien.audit.rows import open_rows
from mien.data.dataset import FACES_FILE, Dataset
from mien.preparation.write import Block, write_dataset

_CHUNK = 512


def without_leaks(tight_folder: str, aligned_folder: str, out: str) -> Dataset:
    """Write the aligned dataset without rows of train whose tight crops are there twice."""
    rows, aligned = open_rows([tight_folder]), Dataset.open(aligned_folder)
    tight = rows.datasets[0]
    starts = range(0, len(tight), _CHUNK)
    prints = prints_of(tight.crops[start : start + _CHUNK] for start in starts)
    pairs, _ = confirmed_pairs(near_pairs(prints.hashes), rows.crop)
    groups = equal_groups(prints.digests, prints.blank)
    # Where two faces of valid are alike, both stay and the figures stay comparable.
    reasons = {
        rows.ids[row]: reason
        for row, reason in rows_to_leave_out(rows, groups, pairs).items()
        if tight.splits[row] == "train"
    }
    left_out = {
        row: reasons[name] for row, name in enumerate(aligned.column("id")) if name in reasons
    }
    return write_cleaned(aligned, out, left_out)


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
