"""Options that would have no effect beside others are refused, never silently dropped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_corpora import FAKES
from PIL import Image
from toy_corpora import class_folders

if TYPE_CHECKING:
    from conftest import Command


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--split", "valid"), "--split"),
        (("--rule", "ferplus"), "--rule"),
        (("--reference", "train"), "--reference"),
        (("--sensitivity",), "--sensitivity"),
        (("--split", "test", "--rule", "majority"), "--split and --rule"),
    ],
)
def test_a_protocol_says_what_is_measured(
    command: Command, toy_dataset: Path, options: tuple[str, ...], named: str
) -> None:
    protocol = ("evaluate", "folds", "--protocol", "rafdb", "--data", toy_dataset)
    command(*protocol, *options).refused(f"--protocol without {named},", "out")


def test_a_protocol_is_of_one_dataset_and_one_folder(command: Command, toy_dataset: Path) -> None:
    one = ("--protocol", "rafdb", "--data", toy_dataset)
    command("evaluate", "a", "b", *one).refused("got 2 and 1")
    command("evaluate", "a", *one, "--data", toy_dataset).refused("got 1 and 2")
    command("train", "softmax", *one, "--data", toy_dataset, "--out", "x").refused("got 2")
    select = ("train", "softmax", *one, "--out", "x", "--select-on", "valid")
    command(*select).refused("--protocol without --select-on")


def test_a_rule_needs_votes(command: Command, toy_model: Path, toy_dataset: Path) -> None:
    rule = ("--data", toy_dataset, "--rule", "ferplus")
    for models in ((toy_model,), (toy_model, "fer")):
        command("evaluate", *models, *rule).refused("a dataset with votes for --rule ferplus")
    command("compare", toy_model, "fer", *rule).refused("a dataset with votes for --rule ferplus")
    assert not Path("comparison").exists()


def test_selecting_on_two_splits(command: Command, toy_dataset: Path) -> None:
    train = ("train", "softmax", "--data", toy_dataset, "--out", "run")
    unsafe = ("--unsafe-select-on-test", "--select-on", "valid")
    command(*train, *unsafe).refused("--unsafe-select-on-test without --select-on")


def test_features_are_of_frozen_backbones(command: Command, toy_dataset: Path) -> None:
    train = ("train", "softmax", "--data", toy_dataset, "--out", "run")
    command(*train, "--features", "cache").refused("frozen backbone for --features")
    assert not Path("run").exists()


def test_predict_refuses_what_belongs_to_the_other_kind(command: Command, photo: Path) -> None:
    command("predict", photo, "--fps", 2).refused("a video for --fps")
    command("predict", photo, "--tight", "--thorough").refused("--tight or a detector")
    video = photo.with_suffix(".mp4")
    video.write_bytes(b"\0\0\0\x20ftypisom" + bytes(64))
    command("predict", video, "--tight").refused("photos for --tight", "leave it out")
    both = ("--tight", "--max-pixels", 5)
    command("predict", video, *both).refused("--tight and --max-pixels", "leave them out")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--model", "fer", "--json"), "--model"),
        (("--shard", "1/2", "--fps", 2), "--shard and --fps"),
    ],
)
def test_merging_does_nothing_else(
    command: Command, options: tuple[object, ...], named: str
) -> None:
    command("predict", "--merge", "--out", "t.csv", *options).refused(f"--merge without {named},")


@pytest.mark.parametrize(
    ("corpus", "options", "texts"),
    [
        ("jaffe", ("--fps", 0), ("no --fps for jaffe",)),
        ("jaffe", ("--valid-from-train", 0.2), ("mien makes all three",)),
        ("jaffe", ("--task", "freeform"), ("--task", "images")),
        ("jaffe", ("--subject-disjoint",), ("--subject-disjoint", "images")),
        ("jaffe", ("--tight", "--thorough"), ("no --thorough for jaffe", "--landmarks")),
        ("fer2013", ("--classes", "a,b"), ("--classes",)),
        ("fer2013", ("--thorough",), ("no --thorough for fer2013", "tight crops")),
        ("fer2013", ("--seed", 0), ("no --seed for fer2013", "splits of its own")),
        ("fer2013", ("--tight",), ("no --tight for fer2013", "tight face crops")),
        ("fer2013", ("--max-pixels", 5), ("no --max-pixels for fer2013", "numbers")),
        ("rafdb", ("--seed", 3, "--align"), ("no --seed for rafdb",)),
    ],
)
def test_prepare_refuses_what_a_corpus_does_not_use(
    command: Command, tmp_path: Path, corpus: str, options: tuple[str, ...], texts: tuple[str, ...]
) -> None:
    FAKES[corpus](tmp_path / "source")
    ended = command("prepare", corpus, "source", "--out", "data", "--workers", 1, *options)
    ended.refused(*texts)
    assert not Path("data").exists()


@pytest.mark.parametrize("corpus", ["avec2013", "avec2014", "daic-woz"])
def test_prepare_refuses_what_recordings_do_not_use(
    command: Command, tmp_path: Path, corpus: str
) -> None:
    (tmp_path / "source").mkdir()
    prepare = ("prepare", corpus, "source", "--out", "data")
    command(*prepare, "--scale", "phq-8").refused("no --scale for")
    command(*prepare, "--tight").refused("--tight", "recordings")
    command(*prepare, "--valid-from-train", 0.1).refused("--valid-from-train", "recordings")
    if corpus == "daic-woz":
        command(*prepare, "--task", "freeform").refused("a task of", "freeform")


def test_images_of_no_split_have_no_train_to_take_from(command: Command, tmp_path: Path) -> None:
    class_folders(tmp_path / "faces", ["happy", "sad"], 2)
    prepare = ("prepare", "folder", "faces", "--out", "data", "--tight")
    command(*prepare, "--valid-from-train", 0.1).refused("mien makes all three")


def test_what_commands_refused_before_stays_refused(
    command: Command, photo: Path, toy_dataset: Path
) -> None:
    command("synth", "d", "--faces", 3, "--videos", 2).refused("--faces or --videos")
    command("synth", "d", "--seconds", 2).refused("--videos with --seconds")
    command("synth", "d", "--plain", "--videos", 2).refused("--plain with faces")
    command("synth", "d", "--like", "fer", "--size", 64).refused("--like or --size")
    command("audit", toy_dataset, toy_dataset).refused("each once")
    command("prepare", "jaffe", "x", "--out", "d", "--detector", photo, "--thorough").refused(
        "--detector or --thorough"
    )


def test_recordings_are_not_searched_thoroughly(command: Command) -> None:
    command("prepare", "recordings", "x.csv", "--out", "d", "--thorough").refused("--thorough")
