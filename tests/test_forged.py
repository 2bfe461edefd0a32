"""Forged models, datasets and recipes: one sentence each, wherever they are read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.labels import LABEL_SPACES
from mien.models import FORMAT, parse_info
from mien.schema import Preprocessing

DEEP = "[" * 100_000
LONG = "9" * 6_000


def description(**changes: Any) -> dict[str, Any]:
    preprocessing = Preprocessing(**changes.pop("crops", {}))
    expression = {"label_space": LABEL_SPACES["ferplus"].model_dump(mode="json")}
    return {
        "format": FORMAT,
        "name": "forged",
        "heads": {"expression": expression | changes.pop("expression", {})},
        "preprocessing": preprocessing.model_dump(mode="json"),
        "preprocessing_hash": preprocessing.hash,
    } | changes


@pytest.mark.parametrize(
    "text",
    [
        DEEP,
        "null",
        "[]",
        json.dumps(description(format=LONG)),
        json.dumps(description()).replace('"forged"', LONG),
        json.dumps(description(format={"a": 1}, created_with=["x"])),
        json.dumps(description(name="\ud800")),
        json.dumps(description(heads=None)),
        json.dumps(description(recipe=None)),
        json.dumps(description(expression={"calibration": {"temperature": 0}})),
        json.dumps(description(expression={"calibration": {"temperature": float("nan")}})),
        json.dumps(description(expression={"abstain_below": float("nan")})),
        json.dumps(description(expression={"label_space": {"name": "x", "names": ["a", "a"]}})),
        json.dumps(description(clips={"length": -1, "stride": 1})),
        json.dumps(description(crops={"size": 1024}, clips={"length": 512, "stride": 1})),
        json.dumps(description(preprocessing={"std": [0, 1, 1]})),
        json.dumps(description(preprocessing={"mean": [float("inf"), 1, 1]})),
    ],
)
def test_a_forged_description_of_a_model(text: str) -> None:
    with pytest.raises(MienError) as caught:
        parse_info(text, "m.onnx")
    assert "m.onnx" in str(caught.value) and len(str(caught.value)) < 500


def test_an_honest_description_is_read() -> None:
    parse_info(json.dumps(description()), "m.onnx")


def edited(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")

    return edit


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "dataset.json"
        path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")

    return edit


def with_column(name: str, make: Callable[[int], pa.Array]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "faces.parquet"
        table = pq.read_table(path)
        index = table.column_names.index(name)
        pq.write_table(table.set_column(index, name, make(table.num_rows)), path)
        keep_size(folder, "faces.parquet")

    return edit


def keep_size(folder: Path, name: str) -> None:
    path = folder / "dataset.json"
    info = json.loads(path.read_text("utf-8"))
    info["files"][name]["bytes"] = (folder / name).stat().st_size
    path.write_text(json.dumps(info), "utf-8")


def with_header(shape: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        text = header.ljust(117) + "\n"
        start = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
        (folder / "crops.npy").write_bytes(start + text.encode() + bytes(4000))
        keep_size(folder, "crops.npy")

    return edit


@pytest.mark.parametrize(
    "forge",
    [
        edited(license_terms=None),
        edited(vote_names=None),
        edited(files=[]),
        edited(files={"faces.parquet": {"bytes": float("inf"), "sha256": ""}}),
        edited(left_out=[1]),
        edited(counts={"train": 3}),
        edited(scale={"name": "x", "top": -1}),
        edited(videos={"a": None}),
        edited(format=10**4000),
        replaced("{", '{"deep": ' + DEEP + ","),
        replaced("{", '{"long": ' + LONG + ","),
        with_header("(-1, 32, 32, 3)"),
        with_header("(1 << 70, 32, 32, 3)"),
        with_header("((1,), 2)"),
        with_header("(999999999999, 32, 32, 3)"),
        with_column("split", lambda n: pa.nulls(n, pa.string())),
        with_column("id", lambda n: pa.array(range(n))),
        with_column("label", lambda n: pa.array(["nobody"] * n)),
        with_column("landmarks", lambda n: pa.nulls(n)),
    ],
)
def test_a_forged_dataset(forge: Callable[[Path], None], toy_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(toy_dataset, folder)
    forge(folder)
    with pytest.raises(MienError, match="expected") as caught:
        dataset = Dataset.open(folder)
        _ = dataset.splits
        make_targets(dataset, "majority")
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)


def linked(name: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        outside = folder.parent / f"outside-{name}"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    return edit


def shortened(folder: Path) -> None:
    """Crops that are fewer bytes than their header says."""
    with (folder / "crops.npy").open("r+b") as stream:
        stream.truncate(5000)
    keep_size(folder, "crops.npy")


def with_fewer_rows(folder: Path) -> None:
    """A table shorter than the crops."""
    table = pq.read_table(folder / "faces.parquet")
    pq.write_table(table.slice(0, table.num_rows - 1), folder / "faces.parquet")
    keep_size(folder, "faces.parquet")


@pytest.mark.parametrize(
    ("forge", "text"),
    [
        (linked("crops.npy"), "got a link to"),
        (linked("faces.parquet"), "got a link to"),
        (shortened, "expected crops of shape"),
        (with_fewer_rows, "do not belong together"),
        (edited(rows=7), "do not belong together"),
        (edited(counts={"train": {"happiness": 7}}), "do not belong together"),
        (with_column("split", lambda n: pa.array(["holiday"] * n)), "splits test, train, valid"),
        (with_column("votes", lambda n: pa.array([[1]] * n, pa.list_(pa.int64()))), "votes of"),
        (with_column("id", lambda n: pa.array([None] * n, pa.string())), "an? id in every row"),
    ],
)
def test_files_that_do_not_belong_together(
    forge: Callable[[Path], None], text: str, toy_dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(toy_dataset, folder)
    forge(folder)
    with pytest.raises(MienError, match=text) as caught:
        dataset = Dataset.open(folder)
        _ = dataset.splits, dataset.column("id")
    assert "\n" not in str(caught.value)


def test_a_linked_folder_is_a_dataset(toy_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(toy_dataset, target_is_directory=True)
    assert len(Dataset.open(tmp_path / "link")) == 180


def test_a_forged_checksum_is_seen_on_verify(toy_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(toy_dataset, folder)
    Dataset.open(folder, verify=True)
    edited(checksum="0" * 64)(folder)
    with pytest.raises(MienError, match="the checksum of the files"):
        Dataset.open(folder, verify=True)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, value) for name in ("au01", "au26") for value in (-0.2, 1.5, float("inf"))),
        *((name, value) for name in ("valence", "arousal") for value in (-1.5, 2.0)),
        ("severity", -1.0),
        ("severity", 99.0),
    ],
)
def test_numbers_outside_their_range(
    column: str, value: float, toy_dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(toy_dataset, folder)
    path = folder / "faces.parquet"
    table = pq.read_table(path)
    values = {"valence": 0.5, "arousal": 0.5} if column in ("valence", "arousal") else {}
    for name, number in (values | {column: value}).items():
        cells = pa.array([number] * table.num_rows, pa.float32())
        table = table.append_column(name, cells)
    pq.write_table(table, path)
    keep_size(folder, "faces.parquet")
    edited(scale={"name": "phq-8", "top": 24, "bands": []})(folder)
    with pytest.raises(MienError, match="prepare it again") as caught:
        make_targets(Dataset.open(folder), "majority")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([["a"], None], pa.list_(pa.string())),
        pa.array([{"a": 1}, None]),
        pa.array([b"\xff", None]),
        pa.array([float("nan"), 1e300]),
        pa.array([2**62, None]),
        pa.array(["\n" * 999, "x"]),
    ],
)
def test_a_group_column_of_any_kind_breaks_nothing(
    values: pa.Array, toy_dataset: Path, tmp_path: Path
) -> None:
    from mien.evaluation.predictions import _groups

    folder = tmp_path / "dataset"
    shutil.copytree(toy_dataset, folder)
    path = folder / "faces.parquet"
    table = pq.read_table(path)
    column = pa.concat_arrays([values] * (table.num_rows // 2))
    pq.write_table(table.append_column("sex", column), path)
    keep_size(folder, "faces.parquet")
    groups = _groups(Dataset.open(folder), np.arange(180))
    assert all(len(each) == 180 for each in groups.values())


def test_ragged_votes(toy_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(toy_dataset, folder)
    names = Dataset.open(folder).label_space.names
    rows = pa.list_(pa.int16())
    with_column("votes", lambda n: pa.array([[-1] * len(names)] * n, rows))(folder)
    edited(vote_names=list(names))(folder)
    with pytest.raises(MienError, match="votes from 0"):
        _ = Dataset.open(folder).votes
    for votes in ([1], [1, None], [1] * (len(names) + 1)):
        with_column("votes", lambda n, votes=votes: pa.array([votes] * n, rows))(folder)
        edited(vote_names=list(names))(folder)
        with pytest.raises(MienError, match="a number for each of"):
            _ = Dataset.open(folder).votes
    with_column("votes", lambda n: pa.array([[1] * len(names)] * n, rows))(folder)
    assert np.array_equal(Dataset.open(folder).votes, np.ones((180, len(names))))


@pytest.mark.parametrize(
    "change",
    [
        "losses.²={}",
        f"losses.{LONG}=1",
        "sampler.batch_size=1e11",
        "embedding.size=1e9",
        "embedding.size=0x" + "f" * 9000,
        f"seed={LONG}",
        "seed=18446744073709551616",
        "seed=2001-99-99",
        "optimizer.lr=.nan",
        "optimizer.lr=.inf",
        "augmentation.rotation=.nan",
        f"name={DEEP}",
        "schedule.epochs=1e300",
        'name="\\ud800"',
        "backbone.arguments={width: 1e11}",
    ],
)
def test_an_absurd_change_of_a_recipe(change: str) -> None:
    pytest.importorskip("torch")
    from mien.networks.backbones import create_backbone
    from mien.training.recipe import load_recipe

    with pytest.raises(MienError) as caught:
        recipe = load_recipe("softmax", [change])
        create_backbone("test_resnet", arguments=recipe.backbone.arguments)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", [DEEP, f"seed: {LONG}", "a: 2001-99-99", "? [a]\n: b", "- 1", "\0"]
)
def test_a_forged_recipe_file(text: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from mien.training.recipe import load_recipe

    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(MienError):
        load_recipe(tmp_path / "r.yaml")
