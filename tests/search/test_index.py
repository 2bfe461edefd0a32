"""An index on disk: what it holds, who may read it, and what is said of a damaged one."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from mien.errors import MienError
from mien.faces.detection.detect import Detector
from mien.search.build import build_index
from mien.search.index import (
    EMBEDDINGS_FILE,
    FACES_FILE,
    INFO_FILE,
    LEFT_OUT_FILE,
    FaceIndex,
    open_index,
)
from mien.search.query import most_alike, read_face


def test_every_input_is_in_the_index_or_in_the_list_of_what_was_left_out(
    index: FaceIndex, photos: Path
) -> None:
    sources = [Path(index.row(number)["source"]).name for number in range(len(index))]
    assert sorted(sources) == [f"{number}.png" for number in range(6)]
    assert index.info.left_out == {"no-face": 1}
    left_out = (index.folder / LEFT_OUT_FILE).read_text("utf-8").splitlines()
    assert len(left_out) == 2 and "black.png" in left_out[1] and "no face found" in left_out[1]


def test_the_index_says_which_model_made_it(index: FaceIndex, model_file: Path) -> None:
    model = index.info.model
    assert (model.name, model.file, model.width) == ("tiny", str(model_file), 16)
    assert len(model.sha256) == 64
    assert index.info.units is not None and index.info.units.origin == "blendshapes"


def test_nobody_else_can_read_it_and_no_crop_is_stored(index: FaceIndex) -> None:
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in index.folder.iterdir()}
    assert stat.S_IMODE(index.folder.stat().st_mode) == 0o700
    assert files == dict.fromkeys((INFO_FILE, FACES_FILE, EMBEDDINGS_FILE, LEFT_OUT_FILE), 0o600)


def test_the_same_faces_give_the_same_index(
    index: FaceIndex, photos: Path, model_file: Path, tmp_path: Path, smiles: Detector
) -> None:
    again = build_index([photos], tmp_path / "again", model=model_file, detector=smiles)
    assert again.info.files == index.info.files


def test_nearest_rows_are_those_of_exact_search(index: FaceIndex) -> None:
    rng = np.random.default_rng(0)
    asked = rng.normal(size=(5, 16)).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    graph, exact = index.nearest(asked, 3), index.nearest(asked, 3, exact=True)
    assert (graph[0] == exact[0]).all()
    assert np.allclose(graph[1], exact[1], atol=1e-3)
    assert (np.diff(graph[1], axis=1) <= 0).all()
    assert index.nearest(asked[:1], 99)[0].shape == (1, 6)


def test_an_embedding_of_another_width_is_a_fault_of_the_caller(index: FaceIndex) -> None:
    with pytest.raises(ValueError, match="16"):
        index.nearest(np.zeros((1, 8), np.float32), 3)


@pytest.mark.parametrize("name", [FACES_FILE, EMBEDDINGS_FILE])
@pytest.mark.parametrize("damage", ["one byte", "half", "empty", "gone"])
def test_a_damaged_file_is_said_in_one_sentence(
    index: FaceIndex, photos: Path, name: str, damage: str
) -> None:
    path = index.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    if damage == "gone":
        path.unlink()
    else:
        sizes = {"one byte": len(content), "half": len(content) // 2, "empty": 0}
        path.write_bytes(content[: sizes[damage]])
    with pytest.raises(MienError, match="make it again") as error:
        opened = open_index(index.folder)
        opened.nearest(np.ones((1, 16), np.float32), 3)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_files_of_two_indexes_do_not_go_together(
    index: FaceIndex, photos: Path, model_file: Path, tmp_path: Path, smiles: Detector
) -> None:
    other = build_index([photos / "1.png"], tmp_path / "b", model=model_file, detector=smiles)
    for name in (FACES_FILE, EMBEDDINGS_FILE):
        (index.folder / name).write_bytes((other.folder / name).read_bytes())
    with pytest.raises(MienError, match="do not belong together"):
        open_index(index.folder)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "description of an index"),
        ("[]", "description of an index"),
        ('{"format": 9}', "format 1"),
        ('{"format": 1}', "fault at 'model'"),
        ("[" * 100_000, "description of an index"),
        ('{"format": 1, "model": {"name": "\\u0000"}}', "fault at"),
    ],
)
def test_a_forged_description_is_said_in_one_sentence(
    index: FaceIndex, text: str, phrase: str
) -> None:
    (index.folder / INFO_FILE).write_text(text)
    with pytest.raises(MienError, match=phrase) as error:
        open_index(index.folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["nowhere", "photos", "photos/0.png", "a\0b"])
def test_what_is_no_index_is_refused(index: FaceIndex, tmp_path: Path, name: str) -> None:
    with pytest.raises(MienError, match=r"expected .*index"):
        open_index(f"{tmp_path}/{name}")


def test_a_query_by_another_model_is_refused(
    index: FaceIndex, photos: Path, model_file: Path
) -> None:
    for model in ("fer", None):
        if model is None:  # the file of that name has another content by now
            model_file.write_bytes(model_file.read_bytes() + b"\0")
        with pytest.raises(MienError, match="expected the model 'tiny' with which") as error:
            read_face(index, photos / "0.png", model=model)
        assert "\n" not in str(error.value)


def test_a_model_that_has_moved_can_be_named(
    index: FaceIndex, photos: Path, model_file: Path, tmp_path: Path, smiles: Detector
) -> None:
    moved = model_file.rename(tmp_path / "moved.onnx")
    with pytest.raises(MienError, match="which does not exist"):
        read_face(index, photos / "0.png")
    query = read_face(index, photos / "0.png", model=moved, detector=smiles)
    assert most_alike(index, query, top=2).matches


def test_an_index_is_never_overwritten_and_nothing_is_left_of_a_failure(
    index: FaceIndex, photos: Path, model_file: Path, tmp_path: Path, smiles: Detector
) -> None:
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(MienError, match="which exists"):
        build_index([photos], index.folder, model=model_file)
    with pytest.raises(MienError, match=r"at least one face to index, got none .1 no-face"):
        build_index([photos / "black.png"], tmp_path / "x", model=model_file, detector=smiles)
    with pytest.raises(MienError, match="1 unreadable: "):
        build_index([tmp_path / "none.png"], tmp_path / "x", model=model_file)
    assert sorted(os.listdir(tmp_path)) == before
    assert json.loads((index.folder / INFO_FILE).read_text())["faces"] == 6


def test_what_cannot_be_indexed_is_refused(model_file: Path, photos: Path, tmp_path: Path) -> None:
    for inputs, options, phrase in (
        ([], {}, "got none"),
        (["https://example.org/a.jpg"], {}, "got an address"),
        ([photos], {"split": "train"}, "expected a dataset for --split"),
        ([photos], {"model": "nothing"}, "name of a shipped model"),
    ):
        with pytest.raises(MienError, match=phrase):
            build_index(inputs, tmp_path / "x", **({"model": model_file} | options))
    assert not (tmp_path / "x").exists()
