import json
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_corpora import FERPLUS, SMALL, VOTES, digests, small_dataset

from mien.data.dataset import ACTION_UNIT_FIELDS, Dataset
from mien.errors import MienError
from mien.faces.partial_image import compose_partial_image
from mien.labels import ACTION_UNIT_TITLES, ACTION_UNITS
from mien.preparation.write import write_dataset
from mien.schema import Preprocessing

ROWS = [
    {"split": "train", "label": "fear", "subject": "anna"},
    {"split": "train", "label": "anger"},
    {"split": "valid", "label": None, "subject": "bo", "frame": 3, "time": 0.12},
    {"split": "test", "label": "neutral", "landmarks": [0.5, 0.25], "quality": 0.5},
]


@pytest.fixture
def dataset(tmp_path):
    return small_dataset(tmp_path / "toy", ROWS)


def test_what_was_written_is_read(dataset):
    assert len(dataset) == 4
    assert dataset.label_space == FERPLUS
    assert dataset.preprocessing == SMALL
    assert dataset.license_terms == "made by a test"
    assert dataset.faces.num_rows == 4
    assert dataset.column("label").tolist() == ["fear", "anger", None, "neutral"]
    assert dataset.column("frame")[2] == 3 and np.isnan(dataset.column("frame")[0])
    assert dataset.subjects.tolist() == ["anna", None, "bo", None]
    assert dataset.names("subject").tolist() == ["anna", "", "bo", ""]
    assert list(dataset.column_names) == dataset.faces.column_names
    assert dataset.votes is None
    assert dataset.info["counts"] == {
        "test": {"neutral": 1},
        "train": {"anger": 1, "fear": 1},
        "valid": {"no label": 1},
    }
    assert dataset.info["alignment"] == {"fixed": 4}


def test_splits(dataset):
    indices = dataset.split_indices("train")
    assert indices.dtype == np.int64 and indices.tolist() == [0, 1]
    with pytest.raises(MienError, match=r"\(test, train, valid\), got 'dev'"):
        dataset.split_indices("dev")
    with pytest.raises(MienError, match=r"landmarks.*got 'valence'"):
        dataset.column("valence")


def test_a_view_with_other_splits(dataset):
    fold = dataset.with_splits(["test", "test", "train", "train"])
    assert fold.splits.tolist() == fold.column("split").tolist() == ["test"] * 2 + ["train"] * 2
    assert fold.split_indices("train").tolist() == [2, 3]
    assert fold.faces["split"].to_pylist() == fold.splits.tolist()
    assert fold.faces.schema == dataset.faces.schema
    assert pickle.loads(pickle.dumps(fold)).splits.tolist() == fold.splits.tolist()
    other = fold.preprocessing.model_copy(update={"partial_image": "mask"})
    assert fold.with_preprocessing(other).splits.tolist() == fold.splits.tolist()
    assert dataset.splits.tolist() == ["train", "train", "valid", "test"]
    for wrong in (["test"], ["test", "test", "test", None], [["test"] * 4]):
        with pytest.raises(ValueError, match="expected 4 names of splits"):
            dataset.with_splits(wrong)


def test_a_dataset_is_one_short_line(dataset):
    folder = str(dataset.folder)
    assert repr(dataset) == f"Dataset({folder!r}, faces=4, size=16, label_space='ferplus')"


def test_action_units_in_their_order(tmp_path):
    fields = [pa.field("au26", pa.float32()), pa.field("au01", pa.float32())]
    rows = [{"au26": 0.4, "au01": 1.0}, {"au01": 0.0}, {}]
    units = small_dataset(tmp_path / "some", rows, fields=fields).action_units
    assert units.shape == (3, len(ACTION_UNITS)) and units.dtype == np.float32
    assert (ACTION_UNITS[0], ACTION_UNITS[11]) == ("AU1", "AU26")
    assert set(ACTION_UNITS) <= set(ACTION_UNIT_TITLES)
    np.testing.assert_array_equal(units[:, 0], np.float32([1, 0, np.nan]))
    np.testing.assert_array_equal(units[:, 11], np.float32([0.4, np.nan, np.nan]))
    assert np.isnan(units[:, 1:11]).all()
    assert [field.name for field in ACTION_UNIT_FIELDS][::11] == ["au01", "au26"]
    with pytest.raises(MienError, match=r"action units in \[0, 1\]"):
        small_dataset(tmp_path / "wrong", [{"au01": 3.0}], fields=fields)


def test_a_dataset_without_action_units(dataset):
    assert dataset.action_units.shape == (4, 12) and np.isnan(dataset.action_units).all()


@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_crops_by_integer_slice_and_array(tmp_path, color):
    preprocessing = Preprocessing(size=16, color=color)
    crops = small_dataset(tmp_path / "toy", ROWS, preprocessing=preprocessing).crops
    on_disk = np.load(tmp_path / "toy" / "crops.npy")
    assert on_disk.shape[3] == (1 if color == "gray" else 3)
    every = np.broadcast_to(on_disk, (4, 16, 16, 3))
    assert crops.shape == (4, 16, 16, 3) and len(crops) == 4
    np.testing.assert_array_equal(crops[1], every[1])
    np.testing.assert_array_equal(crops[np.int64(-1)], every[3])
    np.testing.assert_array_equal(crops[1:3], every[1:3])
    np.testing.assert_array_equal(crops[np.array([3, 0, 3])], every[[3, 0, 3]])
    stored = crops.stored(np.array([3, 0]))
    np.testing.assert_array_equal(stored, on_disk[[3, 0]])
    crop_copy = crops[0]
    crop_copy[:] = 0
    np.testing.assert_array_equal(crops[0], every[0])
    with pytest.raises(IndexError):
        crops[4]


def test_a_pickled_dataset_carries_no_pixels(dataset):
    _ = dataset.faces, dataset.crops[0]
    text = pickle.dumps(dataset)
    assert len(text) < 1000
    np.testing.assert_array_equal(pickle.loads(text).crops[2], dataset.crops[2])


def test_votes_are_zero_where_there_are_none(tmp_path):
    votes = [4, 0, 0, 1, 3, 2, 0, 0, 0, 0]
    dataset = small_dataset(tmp_path / "toy", [{"votes": votes}, {}], vote_names=VOTES)
    assert dataset.votes.tolist() == [votes, [0] * 10]
    assert dataset.subjects is None


def test_the_bytes_depend_on_the_content_alone(tmp_path):
    for name in ("one", "two"):
        small_dataset(tmp_path / name, ROWS)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_failed_write_leaves_nothing(tmp_path, dataset):
    block = (dataset.faces, dataset.crops[:])
    about = {
        "label_space": FERPLUS, "preprocessing": SMALL, "corpus": "toy", "license_terms": "none",
    }  # fmt: skip
    with pytest.raises(ValueError, match="expected 5 rows in total, got 4"):
        write_dataset(tmp_path / "new", [block], rows=5, **about)
    with pytest.raises(ValueError, match="4 uint8 crops of 16 pixels"):
        write_dataset(tmp_path / "new", [(block[0], block[1][:3])], rows=4, **about)
    with pytest.raises(MienError, match="which exists"):
        write_dataset(tmp_path / "toy", [block], rows=4, **about)
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]
    assert len(Dataset.open(tmp_path / "toy", verify=True)) == 4


def test_an_empty_dataset_opens(tmp_path):
    assert len(small_dataset(tmp_path / "empty", [])) == 0


def edit_info(folder, **changes):
    path = folder / "dataset.json"
    info = json.loads(path.read_text())
    info |= changes
    path.write_text(json.dumps(info))


def accept_sizes(folder):
    """Make the description agree with whatever the files now are."""
    files = json.loads((folder / "dataset.json").read_text())["files"]
    for name, stored in files.items():
        stored["bytes"] = os.path.getsize(folder / name)
    edit_info(folder, files=files)


def cut_short(folder):
    with (folder / "crops.npy").open("r+b") as stream:
        stream.truncate(1000)


def foreign_crops(folder):
    np.save(folder / "crops.npy", np.zeros((4, 16, 16), dtype=np.float32))
    accept_sizes(folder)


def pickled_crops(folder):
    np.save(folder / "crops.npy", np.array([{}], dtype=object), allow_pickle=True)
    accept_sizes(folder)


def too_few_crops(folder):
    np.save(folder / "crops.npy", np.zeros((3, 16, 16, 3), dtype=np.uint8))
    accept_sizes(folder)


def foreign_table(folder):
    pq.write_table(pa.table({"a": [1, 2, 3, 4]}), folder / "faces.parquet")
    accept_sizes(folder)


def text_as_table(folder):
    (folder / "faces.parquet").write_text("hello")
    accept_sizes(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "dataset.json").unlink(), "no dataset.json in it"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "dataset description"),
        (lambda folder: (folder / "dataset.json").write_bytes(b"\xff\xfe"), "dataset description"),
        (lambda folder: (folder / "dataset.json").write_text("[]"), "format 1 in .*got 'list'"),
        (lambda folder: edit_info(folder, format=2), "format 1 in .* got 2"),
        (lambda folder: edit_info(folder, files={}), "size and sha256 of faces.parquet"),
        (lambda folder: edit_info(folder, preprocessing={"size": 1}), "'preprocessing.size'"),
        (lambda folder: edit_info(folder, label_space={"name": "x"}), "'label_space.names'"),
        (lambda folder: (folder / "faces.parquet").unlink(), "faces.parquet in .*, got none"),
        (cut_short, r"3,200 bytes in .*crops.npy, got 1,000: the file is truncated"),
        (foreign_crops, "float32"),
        (pickled_crops, "crops of shape"),
        (too_few_crops, "4 crops of 16 pixels"),
        (foreign_table, "columns alignment"),
        (text_as_table, "Parquet file"),
    ],
)
def test_a_damaged_folder_is_one_sentence(dataset, damage, message):
    damage(dataset.folder)
    with pytest.raises(MienError, match=message) as caught:
        Dataset.open(dataset.folder)
    assert "\n" not in str(caught.value)


def test_a_missing_folder(tmp_path):
    with pytest.raises(MienError, match="no such folder: make one with mien prepare"):
        Dataset.open(tmp_path / "nowhere")


def test_changed_bytes_are_found_on_verify(dataset):
    with (dataset.folder / "crops.npy").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    Dataset.open(dataset.folder)
    with pytest.raises(MienError, match="got another sha256"):
        Dataset.open(dataset.folder, verify=True)


def partial_rows():
    """A mesh, five points, a mesh, and no landmarks."""
    rng = np.random.default_rng(0)
    meshes = rng.uniform(0.1, 0.9, (2, 478 * 2)).astype(np.float32)
    row_landmarks = [meshes[0], np.full(10, 0.5, np.float32), meshes[1], None]
    return [
        {"landmarks": None if one is None else one.tolist()} for one in row_landmarks
    ], row_landmarks


@pytest.mark.parametrize("mode", ["stack", "stack-eyes-mouth", "mask"])
@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_crops_read_as_partial_images(tmp_path, color, mode, monkeypatch):
    monkeypatch.setattr("mien.data.crops._ROWS_AT_ONCE", 3)
    rows, row_landmarks = partial_rows()
    full = Preprocessing(size=16, color=color)
    dataset = small_dataset(tmp_path / "toy", rows, preprocessing=full)
    target = full.model_copy(update={"partial_image": mode, "mean": (0.5, 0.5, 0.5)})
    partial = dataset.with_preprocessing(target)
    assert partial.preprocessing == target and dataset.preprocessing == full
    assert len(partial) == 4 and partial.crops.shape == (4, 16, 16, 3)
    expected = np.stack(
        [
            compose_partial_image(
                crop,
                target,
                None if one is None else one.reshape(-1, 2) * np.float32(16),
            )
            for crop, one in zip(dataset.crops[:], row_landmarks, strict=True)
        ]
    )
    assert not np.array_equal(expected, dataset.crops[:])
    for picked in (
        1,
        np.int64(-1),
        slice(1, 3),
        slice(2, 2),
        np.array([3, 0, 3]),
        np.array([], int),
    ):
        np.testing.assert_array_equal(partial.crops[picked], expected[picked])
        channels = 1 if color == "gray" else 3
        np.testing.assert_array_equal(
            partial.crops.stored(picked), expected[picked][..., :channels]
        )
    assert partial.fixed_boxes() == 2 and dataset.fixed_boxes() == 0
    assert partial.fixed_boxes(np.array([0, 2])) == 0 and partial.fixed_boxes(np.array([3])) == 1

    whole = partial.with_preprocessing(full)
    np.testing.assert_array_equal(whole.crops[:], dataset.crops[:])
    for carried in (partial, partial.crops):
        text = pickle.dumps(carried)
        assert len(text) < 1500
        back = pickle.loads(text)
        crops = back.crops if carried is partial else back
        np.testing.assert_array_equal(crops[:], expected)
    assert pickle.loads(pickle.dumps(partial)).preprocessing == target


def test_crops_that_are_cut_otherwise_are_not_read(dataset):
    other = Preprocessing(size=32, partial_image="mask", mean=(0, 0, 0))
    with pytest.raises(MienError, match=r"as in the dataset .*: size 32 against 16; prepare"):
        dataset.with_preprocessing(other)
    assert (
        dataset.with_preprocessing(SMALL.model_copy(update={"color": "bgr"})).preprocessing.color
        == "bgr"
    )


def test_a_dataset_keeps_whole_crops(tmp_path):
    with pytest.raises(ValueError, match="whole crops, got 'mask'"):
        small_dataset(tmp_path / "toy", [{}], preprocessing=Preprocessing(partial_image="mask"))
    assert not (tmp_path / "toy").exists()
