import doctest
import os
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_corpora import SMALL, class_folders, png

from mien.corpora import action_units, affect, folder, votes
from mien.corpora.items import Item, LeftOut, Options
from mien.data.dataset import ACTION_UNIT_FIELDS
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.preparation.prepare import prepare


def read(source, **options):
    reading = folder.read(source, Options(**options))
    entries = list(reading.items())
    assert len(entries) == reading.total
    return reading, entries


def splits_of(entries):
    return Counter(entry.split for entry in entries if isinstance(entry, Item))


def test_class_folders_get_splits_within_each_class(tmp_path):
    source = class_folders(tmp_path / "in", ["Happy", "angry"], 20)
    reading, entries = read(source)
    assert reading.label_space.names == ("happiness", "anger")
    assert splits_of(entries) == {"train": 32, "valid": 4, "test": 4}
    assert splits_of(entry for entry in entries if entry.label == "anger") == {
        "train": 16, "valid": 2, "test": 2,
    }  # fmt: skip
    assert reading.notes == (
        "mien made the splits train, valid and test (80, 10, 10 %) within each class by a hash of "
        "the names, seed 0",
    )
    assert entries[0].id == entries[0].source == "Happy/000.png"
    assert [entry.split for entry in read(source)[1]] == [entry.split for entry in entries]
    assert [entry.split for entry in read(source, seed=1)[1]] != [entry.split for entry in entries]


def test_split_folders_are_kept(tmp_path):
    for split in ("train", "val", "Test"):
        class_folders(tmp_path / split, ["a", "b"], 2)
    reading, entries = read(tmp_path)
    assert splits_of(entries) == {"train": 4, "valid": 4, "test": 4}
    assert reading.label_space.names == ("a", "b") and reading.notes == ()
    with pytest.raises(MienError, match="without a valid split"):
        read(tmp_path, valid_from_train=0.5)


def test_a_valid_split_can_be_taken_from_train(tmp_path):
    for split in ("train", "test"):
        class_folders(tmp_path / split, ["a", "b"], 10)
    assert splits_of(read(tmp_path)[1]) == {"train": 20, "test": 20}
    reading, entries = read(tmp_path, valid_from_train=0.2)
    assert splits_of(entries) == {"train": 16, "valid": 4, "test": 20}
    assert reading.notes[0].startswith("mien made the split valid (20% of train) within each class")


def test_odd_files_are_named_or_passed_over(tmp_path):
    source = class_folders(tmp_path, ["glücklich", "sehr traurig"], 1)
    strange = source / "glücklich"
    for name in (".hidden.jpg", "README.md", "readme", "LICENSE.txt", "Thumbs.db"):
        (strange / name).write_bytes(b"")
    (strange / "notes.docx").write_bytes(b"")
    (strange / "deeper").mkdir()
    (strange / "deeper" / "b.JPG").write_bytes(png())
    (source / "stray.png").write_bytes(png())
    (source / "empty").mkdir()
    (source / "__MACOSX").mkdir()
    (source / "__MACOSX" / "a.png").write_bytes(png())
    reading, entries = read(source)
    assert reading.label_space.names == ("glücklich", "sehr traurig")
    assert [(entry.id, getattr(entry, "reason", "")) for entry in entries] == [
        ("stray.png", "not in a class folder"),
        ("glücklich/000.png", ""),
        ("glücklich/deeper/b.JPG", ""),
        ("glücklich/notes.docx", "not an image file: .docx"),
        ("sehr traurig/000.png", ""),
    ]


def test_links(tmp_path):
    source = class_folders(tmp_path / "in", ["a", "b"], 1)
    (source / "a" / "up").symlink_to(source, target_is_directory=True)
    (source / "a" / "self").symlink_to(source / "a", target_is_directory=True)
    (source / "b" / "linked.png").symlink_to(source / "a" / "000.png")
    (source / "b" / "zz.png").symlink_to(source / "nowhere")
    _, entries = read(source)
    assert [entry.id for entry in entries] == [
        "a/000.png", "a/up/b/000.png", "a/up/b/linked.png", "a/up/b/zz.png",
        "b/000.png", "b/linked.png", "b/zz.png",
    ]  # fmt: skip


def test_a_name_that_is_not_unicode(tmp_path):
    source = class_folders(tmp_path, ["a", "b"], 1)
    with open(os.path.join(os.fsencode(source), b"a", b"\xff.png"), "wb") as stream:
        stream.write(png())
    _, entries = read(source)
    assert entries[1].id == r"a/\xff.png"
    assert entries[1].image.read_bytes() == png()


def test_the_fingerprint_follows_names_sizes_and_times(tmp_path):
    source = class_folders(tmp_path, ["a", "b"], 2)
    fingerprints = {read(source)[0].fingerprint, read(source)[0].fingerprint}
    assert len(fingerprints) == 1
    os.utime(source / "a" / "000.png", ns=(1, 1))
    fingerprints.add(read(source)[0].fingerprint)
    (source / "a" / "000.png").rename(source / "a" / "002.png")
    fingerprints.add(read(source)[0].fingerprint)
    assert len(fingerprints) == 3


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "got no folder with images"),
        (["happy"], "two distinct classes .* got happy"),
        (["train", "happy"], r"got both \(train, happy\)"),
        (["0", "1"], "got the numbers 0, 1, .*--classes"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, folders, message):
    class_folders(tmp_path, folders, 1)
    with pytest.raises(MienError, match=message):
        read(tmp_path)


def test_nothing_there_and_something_else(tmp_path):
    with pytest.raises(MienError, match=r"got nothing$"):
        read(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(MienError, match="got something else"):
        read(tmp_path / "a.txt")


def test_numbered_folders_with_names(tmp_path):
    class_folders(tmp_path, ["1", "2"], 1)
    reading, entries = read(tmp_path, classes=("1=surprise", "2=fear"))
    assert reading.label_space.names == ("surprise", "fear")
    assert [entry.label for entry in entries] == ["surprise", "fear"]
    with pytest.raises(MienError, match=r"labels among 0, 1 .* got 2"):
        read(tmp_path, classes=("surprise", "fear"))


def write_table(path, text):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_paths(tmp_path):
    (tmp_path / "a b.png").write_bytes(png())
    source = write_table(
        tmp_path / "faces.csv",
        "\ufeffPath;Expression;Split;Subject\na b.png; happy ;training;anna\n"
        "missing.png;sad;dev;bo\n;sad;test;bo\nc.png;;test;bo\nd.png;sad;;bo\n",
    )
    reading, entries = read(source)
    assert reading.label_space.names == ("happiness", "sadness")
    first, missing, pathless, unlabeled, unsplit = entries
    assert vars(first) == vars(
        Item("a b.png", "a b.png", tmp_path / "a b.png", "train", subject="anna", label="happiness")
    )
    assert missing.split == "valid"
    assert pathless == LeftOut("faces.csv:2", "faces.csv", "no path in the table")
    assert unlabeled.label is None and unlabeled.split == "test"
    assert unsplit == LeftOut("d.png", "d.png", "no split in the table")


def test_a_table_with_valence_and_arousal(tmp_path):
    rows = {
        "a.png,happy,0.5,-0.25": {"valence": 0.5, "arousal": -0.25},
        "b.png,,1,-1": {"valence": 1.0, "arousal": -1.0},
        "c.png,sad,,": {"valence": None, "arousal": None},
        "d.png,sad,-2,-2.0": {"valence": None, "arousal": None},
        "e.png,sad,0.5,1.5": "arousal outside [-1, 1]: 1.5",
        "f.png,sad,-2,0.5": "valence missing",
        "g.png,sad,high,0.5": "valence is not a number: 'high'",
        ",sad,0.5,0.5": "no path in the table",
    }
    table = tmp_path / "faces.csv"
    table.write_text("\n".join(["path,label,Valence,arousal", *rows]))
    reading, entries = read(table)
    outcomes = [entry.extra if isinstance(entry, Item) else entry.reason for entry in entries]
    assert outcomes == list(rows.values())
    assert [entry.label for entry in entries[:3]] == ["happiness", None, "sadness"]
    assert [column.name for column in reading.fields] == ["valence", "arousal"]


def test_a_table_of_valence_and_arousal_alone(tmp_path):
    images = pa.array([png(index) for index in range(4)], pa.binary())
    columns = {"image": images, "valence": [0.1, None, 1, -1], "arousal": [0.0, None, -1, 0.5]}
    pq.write_table(pa.table(columns), tmp_path / "faces.parquet")
    result = prepare(
        "folder",
        tmp_path / "faces.parquet",
        tmp_path / "out",
        preprocessing=SMALL,
        tight=True,
        workers=1,
    )
    expected = np.float32([[0.1, 0], [np.nan, np.nan], [1, -1], [-1, 0.5]])
    np.testing.assert_array_equal(result.dataset.valence_arousal, expected)
    assert result.dataset.faces.column_names[-2:] == ["valence", "arousal"]
    counts = Counter()
    for of_split in result.dataset.info["counts"].values():
        counts.update(of_split)
    assert counts == {"other labels only": 3, "no label": 1}


@pytest.mark.parametrize(("module", "examples"), [(affect, 1), (action_units, 2), (votes, 3)])
def test_the_examples_of_cells(module, examples):
    result = doctest.testmod(module)
    assert (result.attempted, result.failed) == (examples, 0)


def test_a_table_with_action_units(tmp_path):
    rows = {
        "a.png,happy,1,0,0.6": {"au01": 1.0, "au12": 0.0, "au26": 0.6},
        "b.png,sad,-1,,9": {"au01": None, "au12": None, "au26": None},
        "c.png,sad,3,0,0": "au01 outside [0, 1]: 3",
        "d.png,sad,0,yes,0": "au12 is not a number: 'yes'",
    }
    table = tmp_path / "faces.csv"
    table.write_text("\n".join(["path,label,AU01,au12,AU26,AU5", *(f"{row},1" for row in rows)]))
    reading, entries = read(table)
    assert [one.extra if isinstance(one, Item) else one.reason for one in entries] == [
        *rows.values()
    ]
    assert reading.fields == ACTION_UNIT_FIELDS
    table.write_text("path,AU1,au01\na.png,1,1")
    with pytest.raises(MienError, match=r"one column for each action unit .* both AU1 and au01"):
        read(table)


def test_action_units_of_a_prepared_table(tmp_path):
    columns = {"image": pa.array([png(0), png(1)], pa.binary()), "valence": [0.5, None]}
    columns |= {"arousal": [0.5, None], "AU2": [True, False], "AU26": pa.array([None, 0.2])}
    pq.write_table(pa.table(columns), tmp_path / "faces.parquet")
    settings = {"preprocessing": SMALL, "tight": True, "workers": 1}
    dataset = prepare("folder", tmp_path / "faces.parquet", tmp_path / "out", **settings).dataset
    known = np.full((2, 12), np.nan, np.float32)
    known[:, 1], known[1, 11] = [1, 0], 0.2
    np.testing.assert_array_equal(dataset.action_units, known)
    assert dataset.faces.column_names[-14:-10] == ["valence", "arousal", "au01", "au02"]


def test_valence_without_arousal(tmp_path):
    (tmp_path / "faces.csv").write_text("path,valence\na.png,0.5")
    with pytest.raises(MienError, match=r"both columns valence and arousal .* got only valence"):
        read(tmp_path / "faces.csv")


def test_subjects_are_kept_together(tmp_path):
    rows = "".join(f"{subject}/{index}.png\t{subject}\n" for subject in range(20) for index in "ab")
    reading, entries = read(write_table(tmp_path / "faces.tsv", "file\tsubject\n" + rows))
    assert splits_of(entries) == {"train": 32, "valid": 4, "test": 4}
    by_subject = {(entry.subject, entry.split) for entry in entries}
    assert len(by_subject) == 20
    assert "by subject" in reading.notes[0]
    assert reading.label_space.name == "expressions" and len(reading.label_space) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column path, .* got nothing"),
        ("a,b\n1,2\n", "column path, file, .* got a, b"),
        ("path,label\na.png,0\nb.png,1\n", "got the numbers 0, 1"),
        ("path,label\na.png,0.0\nb.png,happy\n", "got the numbers 0,"),
        ("path,split\na.png,fold1\n", "train, valid or test .* got 'fold1'"),
        ("path,label\na.png,sad,x\n", "2 columns in line 2 .* got 3"),
        ("path,label\n", "got no image"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(MienError, match=message):
        read(write_table(tmp_path / "faces.csv", text))


def test_a_table_in_another_encoding(tmp_path):
    (tmp_path / "faces.csv").write_bytes(b"path\n\xff\xfe.png\n")
    with pytest.raises(MienError, match="UTF-8"):
        read(tmp_path / "faces.csv")


def test_labels_that_the_classes_lack(tmp_path):
    source = write_table(tmp_path / "faces.csv", "path,label\na.png,bored\nb.png,happy\n")
    with pytest.raises(MienError, match="got 'bored'"):
        read(source, classes=("happy", "sad"))


def test_images_inside_a_parquet_file(tmp_path):
    source = tmp_path / "faces.parquet"
    columns = {
        "name": ["a", "b", "c"],
        "image": [png(0), png(1), None],
        "label": [0, 1, 1],
    }
    pq.write_table(pa.table(columns), source)
    _, entries = read(source, classes=("happy", "sad"))
    assert [entry.id for entry in entries] == ["a", "b", "c"]
    assert entries[0].image == png(0) and entries[1].label == "sadness"
    assert entries[2].reason == "image unreadable: no bytes"
    (tmp_path / "no.parquet").write_text("no")
    with pytest.raises(MienError, match="Parquet file"):
        read(tmp_path / "no.parquet")


def test_votes_and_groups_of_a_table(tmp_path):
    class_folders(tmp_path, ["a"], 4)
    (tmp_path / "faces.csv").write_text(
        "\ufeffpath;Sex;Age group;group_site;votes_Happy;sad;NF\n"
        "a/000.png;female;20-39;1;7;2;1\n"
        "a/001.png;male;;2;0.25;0.75;0\n"
        "a/002.png;male;40-69;2;;;\n"
        "a/003.png;male;40-69;2;1.5;1;\n",
        "utf-8",
    )
    reading = folder.read(tmp_path / "faces.csv", Options())
    entries = list(reading.items())
    assert reading.label_space.names == ("happiness", "sadness")
    assert reading.vote_names == ("happiness", "sadness", "NF")
    assert [field.name for field in reading.fields] == ["age_group", "group_site", "sex"]
    assert [entry.votes for entry in entries[:3]] == [(7, 2, 1), (250, 750, 0), None]
    assert entries[0].extra == {"sex": "female", "age_group": "20-39", "group_site": "1"}
    assert entries[1].extra["age_group"] is None
    assert entries[3].reason == "votes for happiness are neither counts nor shares of one"
    result = prepare(
        "folder",
        tmp_path / "faces.csv",
        tmp_path / "out",
        preprocessing=SMALL,
        tight=True,
        workers=1,
    )
    assert result.dataset.column("sex").tolist() == ["female", "male", "male"]
    soft = make_targets(result.dataset, "distribution")["expression_distribution"]
    np.testing.assert_allclose(soft, [[7 / 9, 2 / 9], [0.25, 0.75], [0, 0]])
