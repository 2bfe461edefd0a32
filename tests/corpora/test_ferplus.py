import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_corpora import SMALL, VOTES, png

from mien.corpora import CORPORA, corpus_of
from mien.corpora.expressions import ferplus
from mien.corpora.items import Item, LeftOut, Options
from mien.errors import MienError
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing

PIXELS = " ".join(str(value % 256) for value in range(48 * 48))
USAGES = ["Training", "Training", "Training", "PublicTest", "PrivateTest"]


def publish(
    folder: Path,
    *,
    pixels_header=("emotion", "pixels", "Usage"),
    pixels_name="fer2013.csv",
    names=("fer0000000.png", "", "fer0000002.png", "fer0000003.png", "fer0000004.png"),
    usages=tuple(USAGES),
    pixels=PIXELS,
) -> Path:
    """The two files as published: row 1 was removed by FER+, row 2 has broken pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / pixels_name).open("w", newline="") as text:
        lines = csv.writer(text)
        lines.writerow(pixels_header)
        for index, usage in enumerate(USAGES):
            row = {"emotion": index, "pixels": "1 2 3" if index == 2 else pixels, "Usage": usage}
            lines.writerow([row[name.strip()] for name in pixels_header])
    with (folder / "fer2013new.csv").open("w", newline="", encoding="utf-8") as text:
        lines = csv.writer(text)
        lines.writerow(["Usage", "Image name", *VOTES])
        for name, usage in zip(names, usages, strict=True):
            lines.writerow([usage, name, *([8, 0, 0, 1, 0, 0, 0, 0, 1, 0] if name else [0] * 10)])
    return folder


def table(path: Path, names, image=None, **changes) -> Path:
    image = [png(index, 48) for index in range(len(names))] if image is None else image
    columns = {"name": names, "image": image}
    columns |= {vote: pa.array([1] * len(names), pa.int8()) for vote in VOTES}
    columns |= changes
    pq.write_table(pa.table({key: value for key, value in columns.items() if value}), path)
    return path


def items_of(source, **options):
    return list(ferplus.read(source, Options(**options)).items())


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (("emotion", "pixels", "Usage"), "fer2013.csv"),
        (("emotion", " Usage", " pixels"), "icml_face_data.csv"),
    ],
)
def test_the_published_files(tmp_path, header, name):
    source = publish(tmp_path, pixels_header=header, pixels_name=name)
    first, removed, broken, fourth, fifth = items_of(source)
    assert (first.id, first.split, fourth.split, fifth.split) == (
        "fer0000000.png", "train", "valid", "test",
    )  # fmt: skip
    assert first.votes == (8, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    assert first.tight and first.label is None and first.extra == {"fer2013": "anger"}
    np.testing.assert_array_equal(first.image.ravel(), np.arange(48 * 48) % 256)
    assert removed == LeftOut("fer0000001.png", f"{name}:3", "FER+ removed it (empty name)")
    assert isinstance(broken, LeftOut) and broken.reason.startswith("image unreadable: ")


def test_published_files_become_a_dataset(tmp_path):
    result = prepare("ferplus", publish(tmp_path / "fer"), tmp_path / "out", preprocessing=SMALL)
    dataset = result.dataset
    assert dataset.column("id").tolist() == ["fer0000000.png", "fer0000003.png", "fer0000004.png"]
    assert dataset.column("fer2013").tolist() == ["anger", "happiness", "sadness"]
    assert dataset.info["alignment"] == {"fixed": 3}
    assert result.left_out == {"FER+ removed it (empty name)": 1, "image unreadable": 1}
    assert dataset.vote_names == VOTES and dataset.license_terms.startswith("Images: FER2013")
    left_out = (dataset.folder / "left_out.csv").read_text().splitlines()
    assert left_out[:2] == [
        "id,source,reason",
        "fer0000001.png,fer2013.csv:3,FER+ removed it (empty name)",
    ]


@pytest.mark.parametrize("pixels", ["256 " + PIXELS[2:], "x" + PIXELS, "", "-1 " + PIXELS[2:]])
def test_pixels_that_are_none(tmp_path, pixels):
    entries = items_of(publish(tmp_path, pixels=pixels))
    assert {type(entry) for entry in entries} == {LeftOut}


def test_files_that_do_not_belong_together(tmp_path):
    source = publish(tmp_path / "a", usages=("Training",) * 5)
    with pytest.raises(MienError, match=r"same Usage .* in row 3"):
        items_of(source)
    source = publish(tmp_path / "b", names=("a", "b"), usages=("Training",) * 2)
    with pytest.raises(MienError, match=r"as many rows .* got 5 and 2"):
        items_of(source)
    source = publish(tmp_path / "c", usages=(*USAGES[:4], "Else"))
    with pytest.raises(MienError, match="got 'PrivateTest' and 'Else'"):
        items_of(source)


def test_parquet_folder_takes_splits_from_names(tmp_path):
    table(tmp_path / "fer-train.parquet", ["a.png", "", "c.png"], fer2013=["angry"] * 3)
    table(tmp_path / "valid-00000-of-00001.parquet", ["d.png"])
    table(tmp_path / "test.parquet", ["e.png"], image=[None])
    pq.write_table(pa.table({"name": ["z"], "image": [b""]}), tmp_path / "other-train.parquet")
    entries = items_of(tmp_path)
    assert [(entry.id, getattr(entry, "split", None)) for entry in entries] == [
        ("a.png", "train"), ("", None), ("c.png", "train"), ("e.png", None), ("d.png", "valid"),
    ]  # fmt: skip
    assert entries[0].extra == {"fer2013": "anger"}
    assert entries[-1].extra == {"fer2013": None}
    assert ferplus.read(tmp_path, Options()).total == 5


def test_one_parquet_file_with_images_in_structs(tmp_path):
    image = [{"bytes": png(0, 48), "path": "a.png"}]
    (item,) = items_of(table(tmp_path / "train.parquet", ["a.png"], image=image))
    assert isinstance(item, Item) and item.image == png(0, 48)


def test_the_folders_of_ferplus_own_script(tmp_path):
    for name in ("FER2013Train", "FER2013Test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(png(0, 48))
        rows = 'a.png,"(0, 0, 48, 48)",8,0,0,0,1,0,0,0,1,0\n,"(0, 0, 48, 48)"' + ",0" * 10 + "\n"
        (tmp_path / name / "label.csv").write_text(rows)
    first, removed, second, _ = items_of(tmp_path)
    assert (first.split, second.split) == ("train", "test")
    assert first.image == tmp_path / "FER2013Train" / "a.png"
    assert removed.reason == "FER+ removed it (empty name)"
    (tmp_path / "FER2013Test" / "label.csv").write_text("a.png,box,1,2\n")
    with pytest.raises(MienError, match=r"line 1 of .*label.csv, got 2 votes"):
        items_of(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"fer2013\.csv .*fer2013new\.csv.*got none of these"),
        ({"fer2013.csv": b"emotion,pixels,Usage\n"}, "got none of these"),
        ({"train.parquet": b"no table"}, "expected a Parquet file"),
    ],
)
def test_a_layout_that_is_not_found(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MienError, match=message):
        ferplus.find(tmp_path)


def test_a_parquet_file_that_does_not_fit(tmp_path):
    with pytest.raises(MienError, match=r"got nothing$"):
        ferplus.find(tmp_path / "nowhere")
    with pytest.raises(MienError, match="the split, train, valid or test, in the name"):
        ferplus.find(table(tmp_path / "faces.parquet", ["a"]))
    with pytest.raises(MienError, match="without NF"):
        ferplus.find(table(tmp_path / "train.parquet", ["a"], NF=None))
    with pytest.raises(MienError, match="got one: omit it"):
        items_of(table(tmp_path / "test.parquet", ["a"]), classes=("a", "b"))


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_describes_itself(name):
    corpus = corpus_of(name)
    assert corpus.name == name
    assert corpus.layout and corpus.description and corpus.license_terms
    assert Preprocessing(color=corpus.color).color == corpus.color
    with pytest.raises(MienError, match=rf"{name}.*got 'imagenet'"):
        corpus_of("imagenet")
