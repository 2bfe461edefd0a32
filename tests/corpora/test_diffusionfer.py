from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_corpora import SMALL, ToyDetector, png

from mien.corpora import corpus_of
from mien.corpora.expressions import diffusionfer
from mien.corpora.items import Item, LeftOut, Options
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "diffusionfer-train.parquet"
SEVEN = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")


def table(path: Path, rows: int = 40, **changes) -> Path:
    """Rows of two expressions; the pictures are of 120 pixels, so a face is looked for."""
    columns = {
        "name": [f"{index}.jpg" for index in range(rows)],
        "image": pa.array([png(index) for index in range(rows)], pa.binary()),
        "expression": ["neutral", "happy"] * (rows // 2),
        "valence": pa.array(np.linspace(-1, 1, rows), pa.float32()),
        "arousal": pa.array(np.linspace(1, 0, rows), pa.float32()),
        "folder": ["fear"] * rows,
    }
    columns |= changes
    pq.write_table(pa.table({key: value for key, value in columns.items() if value}), path)
    return path


def read(source: Path, **options):
    reading = diffusionfer.read(source, Options(**options))
    entries = list(reading.items())
    assert len(entries) == reading.total
    return reading, entries


def splits_of(entries):
    return Counter((entry.label, entry.split) for entry in entries)


def test_the_table_becomes_a_dataset(tmp_path):
    result = prepare(
        "diffusionfer",
        table(tmp_path / "faces-train.parquet"),
        tmp_path / "out",
        preprocessing=SMALL,
        workers=1,
        detector=ToyDetector,
    )
    dataset = result.dataset
    assert result.left_out == {} and len(dataset) == 40
    assert (
        dataset.label_space.names == SEVEN
        and dataset.license_terms == corpus_of("diffusionfer").license_terms
    )
    assert dataset.info["counts"] == {"train": {"neutral": 20, "happiness": 20}}
    assert dataset.info["alignment"] == {"similarity": 40}
    np.testing.assert_array_equal(
        dataset.valence_arousal,
        np.stack([np.linspace(-1, 1, 40), np.linspace(1, 0, 40)], 1).astype(np.float32),
    )
    np.testing.assert_array_equal(
        Dataset.open(tmp_path / "out").valence_arousal, dataset.valence_arousal
    )


def test_splits_are_made_within_each_expression(tmp_path):
    reading, entries = read(table(tmp_path / "faces.parquet"))
    assert splits_of(entries) == {
        (label, split): count
        for label in ("neutral", "happiness")
        for split, count in (("train", 16), ("valid", 2), ("test", 2))
    }
    assert "80, 10, 10 %" in reading.notes[1] and "seed 0" in reading.notes[1]
    assert [e.split for e in read(tmp_path / "faces.parquet")[1]] == [e.split for e in entries]
    assert [e.split for e in read(tmp_path / "faces.parquet", seed=1)[1]] != [
        e.split for e in entries
    ]
    # A row keeps its split whatever the file is called.
    (tmp_path / "half").mkdir()
    train_file = table(tmp_path / "half" / "train.parquet")
    valid = {e.id for e in read(train_file, valid_from_train=0.1)[1] if e.split == "valid"}
    again = table(tmp_path / "half" / "other-train.parquet", name=[f"{i}.jpg" for i in range(40)])
    assert valid == {e.id for e in read(again, valid_from_train=0.1)[1] if e.split == "valid"}


def test_splits_of_file_names(tmp_path):
    table(tmp_path / "diffusionfer-train.parquet")
    reading, entries = read(tmp_path)
    assert Counter(entry.split for entry in entries) == {"train": 40} and len(reading.notes) == 1
    reading, entries = read(tmp_path, valid_from_train=0.2)
    assert Counter(entry.split for entry in entries) == {"train": 32, "valid": 8}
    assert "valid (20% of train)" in reading.notes[1]
    table(tmp_path / "diffusionfer-valid.parquet", 4, name=list("abcd"))
    assert Counter(entry.split for entry in read(tmp_path)[1]) == {"train": 40, "valid": 4}
    with pytest.raises(MienError, match="without a valid split"):
        read(tmp_path, valid_from_train=0.2)
    table(tmp_path / "more.parquet", 4)
    with pytest.raises(MienError, match=r"of every file .* or of none"):
        read(tmp_path)


def test_rows_that_cannot_be_used(tmp_path):
    source = table(
        tmp_path / "faces-test.parquet",
        6,
        image=pa.array([png(), None, png(), png(), png(), png()], pa.binary()),
        expression=["neutral", "neutral", "contempt", "sad", "sad", None],
        valence=pa.array([0.0, 0.0, 0.0, 1.25, None, 0.5], pa.float32()),
        arousal=pa.array([0.0, 0.0, 0.0, 0.0, None, 0.5], pa.float32()),
    )
    reasons = [entry.reason if isinstance(entry, LeftOut) else "" for entry in read(source)[1]]
    assert reasons == [
        "",
        "image unreadable: no bytes",
        "not one of the seven expressions: contempt",
        "valence outside [-1, 1]: 1.25",
        "",
        "",
    ]
    *_, without_affect, without_label = read(source)[1]
    assert isinstance(without_affect, Item) and isinstance(without_label, Item)
    assert without_affect.extra == {"valence": None, "arousal": None}
    assert without_label.label is None and without_label.extra["valence"] == 0.5


def test_sources_that_cannot_be_read(tmp_path):
    with pytest.raises(MienError, match=r"got nothing$"):
        read(tmp_path / "none")
    with pytest.raises(MienError, match="got none of these"):
        read(tmp_path)
    with pytest.raises(MienError, match="got a table without valence: choose another"):
        read(table(tmp_path / "v.parquet", valence=None))
    (tmp_path / "w.parquet").write_bytes(b"no table")
    with pytest.raises(MienError, match="expected a Parquet file at"):
        read(tmp_path / "w.parquet")
    with pytest.raises(MienError, match="no --classes for diffusionfer"):
        read(tmp_path, classes=("a", "b"))


@pytest.mark.slow
def test_the_corpus_itself(tmp_path):
    if not SHARED.exists():
        pytest.skip("DiffusionFER is not next to this checkout")
    result = prepare(
        "diffusionfer",
        SHARED,
        tmp_path / "out",
        preprocessing=Preprocessing(size=64),
        valid_from_train=0.1,
        workers=1,
    )
    dataset = result.dataset
    assert len(dataset) + sum(result.left_out.values()) == 906
    assert set(result.left_out) <= {"no face found"}
    assert not np.isnan(dataset.valence_arousal).any()
    assert set(dataset.splits) == {"train", "valid"}
