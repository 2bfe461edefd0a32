"""Protocols on the command line: all folds, resumed, measured, and the refusal of test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_corpora import FAKES

from mien.corpora.protocols import PROTOCOLS

if TYPE_CHECKING:
    from conftest import Command

CHANGES = ["backbone={name: test_resnet, arguments: {}}", "schedule={epochs: 1}"]
CHANGES += ["embedding.size=8"]
SETS = [part for change in CHANGES for part in ("--set", change)]
PREPARE = ("--tight", "--size", 32, "--workers", 1, "--out", "data")


def test_the_whole_way_of_a_protocol(command: Command, tmp_path: Path) -> None:
    FAKES["jaffe"](tmp_path / "jaffe")
    assert command("prepare", "jaffe", "jaffe", *PREPARE).code == 1  # readme.png is no face of it
    train = ("train", "softmax", "--protocol", "jaffe-loso", "--data", "data", "--out", "folds")
    ended = command(*train, *SETS, "--threads", 1)
    assert ended.code == 0 and ended.out.count("is best on valid") == 5
    assert "mien evaluate folds --protocol jaffe-loso --data data" in ended.out
    again = command(*train, *SETS, "--threads", 1, "--resume", "--json")
    assert len(json.loads(again.out)["runs"]) == 5 and "fold 1 of 5" not in again.err

    measured = command("evaluate", "folds", "--protocol", "jaffe-loso", "--data", "data")
    assert measured.code == 0 and "Accuracy: " in measured.out and "mean of 5 folds" in measured.out
    assert (tmp_path / "folds" / "protocol.json").is_file()
    as_json = command("evaluate", "folds", "--protocol", "jaffe-loso", "--data", "data", "--json")
    assert list(json.loads(as_json.out)["metrics"])[:2] == ["accuracy", "mean_class_accuracy"]


def test_selecting_on_test_is_refused(command: Command, toy_dataset: Path) -> None:
    train = ("train", "softmax", "--data", toy_dataset, "--out", "run", *SETS)
    command(*train, "--select-on", "test").refused("--unsafe-select-on-test")
    command(*train, "--select-on", "train").refused("the split valid", "'train'")
    command(*train, "--protocol", "rafbd").refused("did you mean 'rafdb'")
    command(*train, "--protocol", "rafdb").refused("of the corpus rafdb", "got one of folder")
    ended = command(*train, "--unsafe-select-on-test", "--threads", 1)
    assert ended.code == 0 and "is best on test" in ended.out


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_protocol_selects_on_test(command: Command, toy_dataset: Path, name: str) -> None:
    protocol = ("train", "softmax", "--protocol", name, "--data", toy_dataset, "--out", "folds")
    command(*protocol, "--select-on", "test").refused("--unsafe-select-on-test")


@pytest.mark.parametrize("name", ["rafdb", "aff-wild2", "dfew"])
def test_a_corpus_is_shown_with_its_files_its_terms_and_its_protocols(
    command: Command, name: str
) -> None:
    shown = command("corpora", name)
    assert shown.code == 0
    for text in (
        "Files:\n  ",
        "Where to ask for it: ",
        "Terms: ",
        "Commercial use: no",
        "Protocol ",
    ):
        assert text in shown.out
    assert set(json.loads(command("corpora", name, "--json").out)[name]) == {
        *("description", "layout", "license_terms", "ask", "license", "cite"),
    }
