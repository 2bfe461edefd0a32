"""Bad input through the command line: one sentence and exit code 2, or a row with a reason."""

from __future__ import annotations

import csv
import shutil
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mien.data.dataset import Dataset
from mien.synthetic.drawn import draw_face

if TYPE_CHECKING:
    from conftest import Command


def bad_images(folder: Path) -> dict[str, str]:
    """Writes bad images into ``folder``; a part of the reason for each file name."""
    folder.mkdir()
    Image.fromarray(draw_face("anger", np.random.default_rng(0))).save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    for name, content in {
        "corrupt.jpg": whole[: len(whole) // 2],
        "empty.jpg": b"",
        "text.png": b"these are words\n",
        "huge.png": huge,
    }.items():
        (folder / name).write_bytes(content)
    reasons = {"corrupt.jpg": "damaged", "empty.jpg": "empty", "text.png": "text"}
    return {**reasons, "huge.png": "120,000,000 pixels"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict",),
        ("predict", "x.png", "--nonsense"),
        ("nonsense",),
        ("train", "softmax", "--out", "x"),
        ("export", "x", "--out", "x.onnx", "--abstain-below", "1.5"),
        ("prepare", "folder", "x", "--out", "y", "--valid-from-train", "1"),
        ("train", "softmax", "--data", "x", "--out", "y", "--threads", "0"),
        ("predict", "x.png", "--detector", "none.onnx"),
        ("prepare", "folder", "x", "--out", "y", "--detector", "none.onnx"),
    ],
)
def test_wrong_use_says_how_to_get_help(arguments: tuple[str, ...], command: Command) -> None:
    ended = command(*arguments)
    assert ended.code == 2 and ended.out == ""
    assert "Error: " in ended.err and "Traceback" not in ended.err


@pytest.mark.slow
def test_bad_images_are_rows_with_a_reason(
    command: Command, toy_model: Path, tmp_path: Path
) -> None:
    reasons = bad_images(tmp_path / "in")
    ended = command("predict", "in", "--tight", "--model", toy_model, "--out", "t.csv")
    assert ended == (1, "1 ok, 4 unreadable; written to t.csv\n", "")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = {Path(row["source"]).name: row for row in csv.DictReader(file)}
    assert rows.pop("whole.jpg")["status"] == "ok"
    assert set(rows) == set(reasons)
    for name, reason in reasons.items():
        assert rows[name]["status"] == "unreadable" and reason in rows[name]["reason"], name


def test_bad_images_are_left_out_of_a_dataset_with_a_reason(
    command: Command, toy_folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / "faces"
    for name in ("anger", "fear"):
        shutil.copytree(toy_folder / "test" / name, source / name)
    bad_images(source / "neutral")
    ended = command(
        *("prepare", "folder", source, "--tight", "--size", 32, "--workers", 1, "--out", "data")
    )
    assert ended.code == 1 and "13 faces in data" in ended.out
    assert "image unreadable" in ended.out
    assert Dataset.open(tmp_path / "data").info["left_out"] == {"image unreadable": 4}


def test_a_folder_without_faces(command: Command, toy_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "black" / name).mkdir(parents=True)
        pixels = np.zeros((200, 200, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "black" / name / "x.png")
    (tmp_path / "empty").mkdir()
    ended = command("predict", "black", "--model", toy_model, "--out", "t.csv")
    assert ended == (0, "2 no-face; written to t.csv\n", "")
    ended = command("predict", "empty", "--model", toy_model)
    assert ended.code == 1 and "no images in it" in ended.out
    ended = command("prepare", "folder", "black", "--workers", 1, "--out", "data")
    ended.refused("expected a folder with faces", "no face found (2)")
    command("prepare", "folder", "empty", "--out", "data").refused("no folder with images")
    command("prepare", "folder", "nowhere", "--out", "data").refused("got nothing")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("recipe", "changes", "texts"),
    [
        ("sofmax", [], ("center, dacl, ", "'sofmax'", "did you mean 'softmax'?")),
        ("softmax", ["schedule.epoch=3"], ("'schedule.epoch'", "did you mean 'epochs'")),
        ("softmax", ["schedule.epochs=none"], ("schedule.epochs", "'none'")),
        ("softmax", ["schedule.epochs"], ("--set key=value",)),
        ("softmax", ["losses.7.weight=1"], ("item number",)),
        ("softmax", ["backbone.name=resnet1000"], ("resnet1000",)),
        ("softmax", ["preprocessing={size: 64}"], ("size 64 against 32",)),
        ("missing.yaml", [], ("missing.yaml",)),
        ("misspelt.yaml", [], ("'optimiser'", "did you mean 'optimizer'")),
        ("broken.yaml", [], ("expected a recipe in YAML",)),
        ("picture.yaml", [], ("expected a readable recipe file",)),
    ],
)
def test_wrong_recipes_are_refused_before_anything_is_written(
    recipe: str,
    changes: list[str],
    texts: tuple[str, ...],
    command: Command,
    toy_dataset: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "misspelt.yaml").write_text(
        "name: mine\nlosses: [{loss: cross-entropy}]\noptimiser: {lr: 0.1}\n"
    )
    (tmp_path / "broken.yaml").write_text("name: [")
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xd8\xff\xe0")
    settings = [part for change in changes for part in ("--set", change)]
    command("train", recipe, "--data", toy_dataset, "--out", "run", *settings).refused(*texts)
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_model(command: Command, toy_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no ONNX")
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "folder").mkdir()
    for name in ("text.onnx", "empty.onnx"):
        command("predict", "x.png", "--model", name).refused("expected an ONNX model", name)
        evaluated = command("evaluate", name, "--data", toy_dataset)
        evaluated.refused("expected an ONNX model", name)
    command("predict", "x.png", "--model", "nothing").refused("shipped model", "'nothing'")
    command("predict", "x.png", "--model", "folder").refused("got the folder")
    command("evaluate", "folder", "--data", toy_dataset).refused("expected a run folder")
    command("export", "folder", "--out", "m.onnx").refused("expected a run folder")
    assert not (tmp_path / "report").exists()


def test_a_dataset_that_does_not_fit_the_model(
    command: Command, toy_folder: Path, toy_model: Path, tmp_path: Path
) -> None:
    pets = tmp_path / "pets" / "test"
    shutil.copytree(toy_folder / "test" / "anger", pets / "cat")
    shutil.copytree(toy_folder / "test" / "fear", pets / "dog")
    prepare = ("prepare", "folder", "--tight", "--workers", 1)
    assert command(*prepare, "pets", "--like", toy_model, "--out", "pets-data").code == 0
    assert command(*prepare, toy_folder, "--size", 48, "--out", "large").code == 0
    evaluate = ("evaluate", toy_model, "--out", "report", "--data")
    command(*evaluate, "pets-data").refused("cat, dog", "the model knows neutral")
    command(*evaluate, "large").refused("size 48 against 32", f"--like {toy_model}")
    command(*evaluate, "nothing").refused("expected a dataset folder at nothing")
    command(*evaluate, toy_folder).refused("no dataset.json in it")
    command(*evaluate, "large", "--split", "holdout").refused("(test, train, valid)")
    command(*evaluate, "large", "--rule", "loudest").refused("majority, ferplus")
    both = command(*prepare, "pets", "--like", toy_model, "--size", 64, "--out", "x")
    both.refused("either --like or --size")
    assert not (tmp_path / "report").exists() and not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        (("--size", 5), ("--size", "16")),
        (("--color", "red"), ("--color", "'red'")),
        (("--margin", 9), ("--margin",)),
        (("--workers", 0), ("at least one worker",)),
        (("--classes", "a,b,c"), ("--classes",)),
        (("--like", "none.onnx"), ("an ONNX file or the name",)),
        (("--valid-from-train", 0.1), ("without a valid split",)),
    ],
)
def test_wrong_settings_of_prepare(
    option: tuple[object, ...], texts: tuple[str, ...], command: Command, toy_folder: Path
) -> None:
    small = toy_folder / "test" if "--classes" in option else toy_folder
    workers = () if "--workers" in option else ("--workers", 1)
    ended = command("prepare", "folder", small, "--out", "data", *workers, *option)
    ended.refused(*texts)
    assert not Path("data").exists()
    command("prepare", "imagenet", small, "--out", "data").refused(
        "expected a corpus (ferplus, fer2013, "
    )
