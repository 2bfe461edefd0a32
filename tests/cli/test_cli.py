"""Every command as its user types it; results on stdout, and --json alone there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from skimage import data

import mien
from mien.data.dataset import Dataset
from mien.inference.rows import FACE_COLUMNS
from mien.models import read_info
from mien.recipes import read_recipe
from mien.synthetic.drawn import draw_face

if TYPE_CHECKING:
    from conftest import Command

SMALL = ["backbone.name=test_resnet", "backbone.arguments={}", "embedding.size=8"]
SMALL += ["sampler.batch_size=6", "schedule.epochs=1"]
CHANGES = [part for change in SMALL for part in ("--set", change)]


def test_help_lists_the_commands_and_each_has_its_own(command: Command) -> None:
    ended = command("--help")
    assert ended.code == 0
    names = [line.split()[0] for line in ended.out.split("Commands:\n")[1].splitlines()]
    assert names == [
        *("predict", "live", "prepare", "synth", "corpora", "recipes", "models"),
        *("train", "evaluate", "compare", "audit", "export", "index", "search", "serve", "demo"),
    ]
    assert "..." not in ended.out.split("Commands:\n")[1], "a summary is cut off"
    for name in names:
        assert command(name, "-h").code == 0
    assert command("--version") == (0, f"mien {mien.__version__}\n", "")


@pytest.mark.slow
def test_the_whole_way_with_classes_of_ones_own(command: Command, tmp_path: Path) -> None:
    """prepare, train, evaluate, export, predict; --json leaves stdout to the result."""
    classes = {"very happy": "happiness", "so-so, <b>sad</b>": "sadness", "zornig ü": "anger"}
    for split, count in (("train", 9), ("test", 4)):
        for number, (name, look) in enumerate(classes.items()):
            folder = tmp_path / "faces" / split / name.replace("/", "_")
            folder.mkdir(parents=True)
            for index in range(count):
                generator = np.random.default_rng((number, index))
                Image.fromarray(draw_face(look, generator, size=40)).save(folder / f"{index}.png")
    (tmp_path / "faces" / "train" / "notes.txt").write_text("")

    prepare = ("prepare", "folder", "faces", "--tight", "--size", 32, "--workers", 1)
    bare = command(*prepare, "--out", "bare")
    assert bare.code == 0 and bare.err == ""  # notes.txt is no face that is missing
    assert "39 faces in bare" in bare.out
    assert "not an image file" in bare.out

    start = ("train", "softmax", *CHANGES, "--threads", 1)
    refused = command(*start, "--data", "bare", "--out", "run")
    refused.refused("'valid'", "it has test, train", "--valid-from-train 0.1")
    assert not (tmp_path / "run").exists()

    split = command(*prepare, "--out", "data", "--valid-from-train", "0.3", "--seed", 5, "--json")
    info = json.loads(split.out)
    assert split.err == ""
    assert info["counts"]["valid"] == dict.fromkeys(info["label_space"]["names"], 3)
    assert any("seed 5" in note for note in info["notes"])

    trained = command(*start, "--data", "data", "--out", "run", "--json")
    assert trained.code == 0
    assert json.loads(trained.out)["run"] == "run"
    assert [line.split()[:2] for line in trained.err.splitlines()] == [["epoch", "0"]]

    evaluated = command("evaluate", "run", "--data", "data", "--json")
    assert evaluated.code == 0 and evaluated.err == ""
    report = json.loads(evaluated.out)
    assert report["n"] == 12
    page = (tmp_path / "run" / "report" / "report.html").read_text("utf-8")
    assert "very happy" in page and "<b>sad<" not in page

    (tmp_path / "card.md").write_text("# Mine", "utf-8")
    exported = command("export", "run", "--out", "new/mine.onnx", "--packed", "--card", "card.md")
    assert exported.code == 0 and "differs from the network by" in exported.out
    assert read_info(tmp_path / "new" / "mine.onnx").card == "# Mine"

    again = command("evaluate", "new/mine.onnx", "--data", "data", "--split", "valid")
    assert again.code == 0
    assert "valid, 9 rows, rule majority" in again.out
    assert (tmp_path / "report" / "report.html").is_file()

    predicted = command("predict", "faces/test", "--tight", "--model", "new/mine.onnx", "--json")
    assert predicted.code == 0 and predicted.err == ""
    rows = json.loads(predicted.out)
    assert len(rows) == 12 and list(rows[0]) == [
        *FACE_COLUMNS,
        "expression",
        "confidence",
        "probabilities",
        "action_units",
    ]
    assert {row["expression"] for row in rows} <= set(info["label_space"]["names"])

    like = command("prepare", "folder", "faces", "--tight", "--like", "new/mine.onnx", "--out", "l")
    assert like.code == 0
    made = Dataset.open(tmp_path / "l").preprocessing
    assert made == Dataset.open(tmp_path / "data").preprocessing


def test_landmarks_of_tight_crops_are_counted(command: Command, tmp_path: Path) -> None:
    face = Image.fromarray(data.astronaut()[40:240, 130:310]).resize((48, 48))
    stripes = Image.fromarray(np.tile(np.array([[0], [255]], np.uint8), (24, 48)))
    for name, picture in (("happy", face), ("sad", stripes)):
        (tmp_path / "faces" / name).mkdir(parents=True)
        picture.save(tmp_path / "faces" / name / "a.png")
    options = ("--tight", "--landmarks", "--workers", 1)
    made = command("prepare", "folder", "faces", *options, "--out", "data")
    assert made.code == 0
    assert made.out.endswith("landmarks found in 1 of 2 tight crops\n2 faces in data\n")
    assert Dataset.open(tmp_path / "data").column("landmarks")[0].shape == (956,)


def test_lists_can_be_read_by_people_and_machines(command: Command) -> None:
    for name, expected in (("corpora", "ferplus"), ("recipes", "softmax")):
        assert expected in command(name).out
        listed = command(name, "--json")
        assert listed.code == 0 and listed.err == ""
        assert expected in json.loads(listed.out)
    shown, listed = command("models"), json.loads(command("models", "--json").out)
    assert shown.code == 0
    for name, info in listed.items():
        assert name in shown.out and info["heads"]
    assert listed or "comes without models" in shown.out


def test_one_of_a_list_can_be_shown(command: Command, toy_model: Path, toy_run: Path) -> None:
    shown = command("recipes", "triplet")
    assert shown == (0, read_recipe("triplet"), "")
    assert list(json.loads(command("recipes", "triplet", "--json").out)) == ["triplet"]
    shown = command("corpora", "folder")
    assert shown.out.startswith("folder: ") and "ferplus" not in shown.out
    for model in (toy_model, toy_run):
        shown = command("models", model)
        assert shown.code == 0
        for text in ("head expression", "happiness", "preprocessing", "size: 32", "license terms"):
            assert text in shown.out
        assert json.loads(command("models", model, "--json").out)["heads"]["expression"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("trian", "softmax"), "Did you mean 'train'?"),
        (("recipes", "sofmax"), "did you mean 'softmax'?"),
        (("corpora", "ferpuls"), "did you mean 'ferplus'?"),
        (("models", "ferr"), "did you mean 'fer'?"),
        (("predict", "x.png", "--anotate", "y"), "--annotate"),
    ],
)
def test_a_misspelled_name_is_answered_with_the_closest(
    arguments: tuple[str, ...], hint: str, command: Command
) -> None:
    ended = command(*arguments)
    assert ended.code == 2 and ended.out == ""
    assert hint in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_predict_writes_tables_and_pictures(
    suffix: str, command: Command, toy_folder: Path, toy_model: Path, tmp_path: Path
) -> None:
    ended = command(
        *("predict", toy_folder / "test" / "anger", "--tight", "--model", toy_model),
        *("--out", f"new/faces{suffix}", "--annotate", "drawn"),
    )
    assert ended == (0, f"6 ok; written to new/faces{suffix} and drawn\n", "")
    assert (tmp_path / "new" / f"faces{suffix}").stat().st_size > 0
    assert len(list((tmp_path / "drawn").iterdir())) == 6


def test_predict_reads_a_list_of_paths(
    command: Command, toy_folder: Path, toy_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = next((toy_folder / "test").rglob("*.png"))
    with (toy_folder.parent / "list.txt").open("w+") as listing:
        listing.write(f"{one}\n\nmissing.png\n")
        listing.seek(0)
        monkeypatch.setattr("sys.stdin", listing)
        ended = command("predict", "-", "--tight", "--model", toy_model)
    assert ended.code == 1
    first, second = ended.out.splitlines()
    assert first.startswith(f"{one}  face 0  ")
    assert second.startswith("missing.png  unreadable: expected an image")


def test_three_of_eight_expressions_can_be_evaluated(
    command: Command, toy_folder: Path, toy_model: Path, tmp_path: Path
) -> None:
    for name in ("anger", "fear", "happiness"):
        shutil.copytree(toy_folder / "test" / name, tmp_path / "three" / "test" / name)
    prepare = ("prepare", "folder", "three", "--tight", "--workers", 1, "--out", "data")
    assert command(*prepare, "--like", toy_model).code == 0
    ended = command("evaluate", toy_model, "--data", "data")
    assert ended.code == 0
    assert "test, 18 rows" in ended.out
    assert "note: The dataset has no class neutral" in ended.out


def test_file_names_that_are_no_text(
    command: Command, toy_folder: Path, toy_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    photo = next((toy_folder / "test").rglob("*.png"))
    shutil.copy(photo, os.path.join(os.fsencode(tmp_path / "in"), b"caf\xe9.png"))
    predict = ("predict", "in", "--tight", "--model", toy_model)
    shown = command(*predict)
    assert shown.code == 0 and "caf\\udce9.png  face 0" in shown.out
    [row] = json.loads(command(*predict, "--json").out)
    assert row["status"] == "ok"
    missing = command("predict", os.fsdecode(b"\xe9.png"), "--model", toy_model)
    assert missing.code == 1 and "unreadable" in missing.out
