from __future__ import annotations

import csv
import json
import os
import resource
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.errors import MienError
from mien.inference import tables
from mien.inference.rows import FACE_COLUMNS, Rows
from mien.inference.tables import write_table
from mien.labels import EXPRESSIONS
from mien.models import ModelInfo, read_info
from mien.schema import Alignment, Box, Face, Pose, Prediction, Status

from .conftest import WriteModel

FIRST_TEN = "source, frame, time, track, face, box, status, reason, alignment, yaw"
COLUMNS = (*FACE_COLUMNS, "expression", "confidence", "probabilities", "action_units")
PROBABILITIES = np.float32([0.83, 0.1, 0.04, 0.01, 0.01, 0.005, 0.004, 0.001])


@pytest.fixture(scope="module")
def info(model_file: Path) -> ModelInfo:
    return read_info(model_file)


def _face(index: int, status: Status = Status.OK) -> Prediction:
    return Prediction(
        status,
        source=f'a, "b"\n{index}.png',
        reason="" if status is Status.OK else "too small",
        index=index,
        face=Face(Box(10.25, -3.5, 100.125, 50.0), 0.9, pose=Pose(1.5, -2.5, 3.0)),
        alignment=Alignment.SIMILARITY,
        expression="neutral",
        confidence=float(PROBABILITIES[0]),
        probabilities=dict(zip(EXPRESSIONS, PROBABILITIES.tolist(), strict=True)),
        embedding=np.float32([0.6, 0.8]),
    )


def _rows() -> list[Prediction]:
    return [
        _face(0),
        _face(1, Status.ABSTAINED),
        Prediction(Status.NO_FACE, source="tree.png", reason="no face found in 5 x 4 pixels"),
        Prediction(Status.UNREADABLE, source="\udcff.png", reason="expected an image, got none"),
    ]


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_columns_in_the_promised_order() -> None:
    assert ", ".join(COLUMNS[:10]) == FIRST_TEN


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_valence_and_arousal_of_a_model_that_gives_them(
    tmp_path: Path, write_model: WriteModel, suffix: str
) -> None:
    info = read_info(write_model(affect=2))
    path = tmp_path / f"table{suffix}"
    first, *others = _rows()
    write_table([replace(first, valence=0.83, arousal=-0.1), *others], path, info)
    rows = _read(path)
    assert [list(row) for row in rows] == [
        [*COLUMNS[:-1], "valence", "arousal", "action_units"]
    ] * 4
    assert [float(np.float32(rows[0][name])) for name in ("valence", "arousal")] == [
        np.float32(0.83), np.float32(-0.1)
    ]  # fmt: skip
    assert not any(row["valence"] or row["arousal"] for row in rows[1:])
    schema = Rows("frames", info).schema(embeddings=True)
    assert schema.names == [*rows[0], "embedding"]
    assert schema.field("valence").type == pa.float32()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".CSV"])
def test_every_format_has_every_row(tmp_path: Path, info: ModelInfo, suffix: str) -> None:
    path = tmp_path / "new" / f"table{suffix}"
    counts = write_table(_rows(), path, info)
    assert counts == {status: 1 for status in Status}
    rows = _read(path.rename(path.with_suffix(suffix.lower())))
    assert [list(row) for row in rows] == [list(COLUMNS)] * 4
    assert [row["source"] for row in rows] == [one.source for one in _rows()[:3]] + ["\\udcff.png"]
    assert [row["status"] for row in rows] == ["ok", "abstained", "no-face", "unreadable"]
    assert [row["reason"] or "" for row in rows] == [one.reason for one in _rows()]
    assert {row["model"] for row in rows} == {"tiny"}
    assert os.listdir(path.parent) == [f"table{suffix.lower()}"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_numbers_survive_exactly(tmp_path: Path, info: ModelInfo, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    write_table(_rows(), path, info, embeddings=True)
    first, _, nothing, _ = _read(path)
    got = np.float32(list(first["probabilities"].values()))
    assert list(first["probabilities"]) == list(EXPRESSIONS)
    assert np.array_equal(got, PROBABILITIES)
    assert np.float32(first["confidence"]) == PROBABILITIES[0]
    assert first["box"] == {"left": 10.25, "top": -3.5, "width": 100.125, "height": 50}
    assert (first["yaw"], first["pitch"], first["roll"]) == (1.5, -2.5, 3)
    assert (first["face"], first["alignment"]) == (0, "similarity")
    assert np.array_equal(np.float32(first["embedding"]), np.float32([0.6, 0.8]))
    empty = set(COLUMNS) - {"source", "status", "reason", "model"} | {"embedding"}
    assert {key for key, value in nothing.items() if value is None} == empty


def test_csv_cells(tmp_path: Path, info: ModelInfo) -> None:
    write_table(_rows(), tmp_path / "t.csv", info)
    first, _, nothing, _ = _read(tmp_path / "t.csv")
    assert first["box"] == "10.2 -3.5 100.1 50.0"
    assert first["probabilities"].startswith('{"neutral":0.83,"happiness":0.1,')
    assert sum(json.loads(first["probabilities"]).values()) == pytest.approx(1, abs=1e-6)
    assert nothing["box"] == nothing["face"] == nothing["probabilities"] == ""


def test_schema_is_the_same_with_and_without_rows(tmp_path: Path, info: ModelInfo) -> None:
    for name, rows in (("empty", []), ("no-face", _rows()[2:]), ("full", _rows())):
        path = tmp_path / f"{name}.parquet"
        write_table(rows, path, info)
        schema = pq.read_schema(path)
        assert schema.remove_metadata().equals(Rows("frames", info).schema().remove_metadata())
        about = json.loads(schema.metadata[b"mien"])
        assert (about["model"], about["license_terms"]) == ("tiny", "for tests")
        assert list(about["heads"]) == ["expression", "action_units"]
        assert about["heads"]["expression"]["label_space"]["names"] == list(EXPRESSIONS)
        assert about["preprocessing_hash"] == info.preprocessing.hash
    assert pa.types.is_struct(schema.field("probabilities").type)


def test_no_rows_still_have_a_header(tmp_path: Path, info: ModelInfo) -> None:
    write_table([], tmp_path / "t.csv", info)
    assert (tmp_path / "t.csv").read_text().strip() == ",".join(COLUMNS)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_batches_join_without_a_seam(
    tmp_path: Path, info: ModelInfo, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 3)
    write_table((_face(index) for index in range(10)), tmp_path / f"t{suffix}", info)
    assert [int(row["face"]) for row in _read(tmp_path / f"t{suffix}")] == list(range(10))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MienError, RuntimeError])
def test_interrupted_tables_leave_nothing(
    tmp_path: Path, info: ModelInfo, suffix: str, error: type[BaseException]
) -> None:
    def rows() -> Iterator[Prediction]:
        for index in range(2500):
            yield _face(index)
        raise error("stop")

    with pytest.raises(error, match="stop"):
        write_table(rows(), tmp_path / f"t{suffix}", info)
    assert os.listdir(tmp_path) == []


def test_an_older_table_stays_until_the_new_one_is_whole(tmp_path: Path, info: ModelInfo) -> None:
    path = tmp_path / "t.csv"
    path.write_text("older")

    def rows() -> Iterator[Prediction]:
        yield _face(0)
        assert path.read_text() == "older"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(rows(), path, info)
    assert path.read_text() == "older"
    write_table([_face(0)], path, info)
    assert path.read_text() != "older"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_full_disk_is_one_sentence(tmp_path: Path, info: ModelInfo, suffix: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))
    try:
        with pytest.raises(MienError, match=r"expected to write .*too large.*") as caught:
            write_table((_face(index) for index in range(3000)), tmp_path / f"t{suffix}", info)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_names_that_cannot_be_written(tmp_path: Path, info: ModelInfo) -> None:
    def never() -> Iterator[Prediction]:
        raise RuntimeError("a prediction was made for nothing")
        yield

    with pytest.raises(MienError, match=r"expected a table named \.csv, \.jsonl, \.parquet"):
        write_table(never(), tmp_path / "t.xlsx", info)
    with pytest.raises(MienError, match=r"embeddings, got \.csv"):
        write_table(never(), tmp_path / "t.csv", info, embeddings=True)
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(MienError, match="a folder of this name"):
        write_table(never(), tmp_path / "t.csv", info)
    (tmp_path / "file").touch()
    with pytest.raises(MienError, match="expected to write"):
        write_table(never(), tmp_path / "file" / "t.csv", info)


def test_a_new_table_is_private_and_an_older_one_keeps_its_permissions(
    tmp_path: Path, info: ModelInfo
) -> None:
    for suffix in (".csv", ".jsonl", ".parquet"):
        path = tmp_path / f"t{suffix}"
        write_table([_face(0)], path, info)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o640)
        write_table([_face(0)], path, info)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path, info: ModelInfo) -> None:
    path = tmp_path / "t.csv"
    names = ["=cmd.jpg", "-a.jpg", "+b.jpg", "@c.jpg", "d=e.jpg"]
    faces = [Prediction(Status.UNREADABLE, name, reason="-1 pixels") for name in names]
    write_table(faces, path, info)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == [*(f"./{name}" for name in names[:4]), names[4]]
    assert {row["reason"] for row in rows} == {"'-1 pixels"}
