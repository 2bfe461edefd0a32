"""`mien demo`, whole, and what it leaves behind."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from mien.data.dataset import Dataset
from mien.inference.model import read_metadata

if TYPE_CHECKING:
    from conftest import Command


@pytest.mark.slow
def test_the_demo_shows_every_stage(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    ended = command("demo", "--out", out)
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err

    with (out / "faces.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["status"], row["expression"]) == ("ok", "happiness")
    with (
        Image.open(out / "astronaut.png") as photo,
        Image.open(out / "annotated" / "astronaut.png") as drawn,
    ):
        assert drawn.size >= photo.size

    assert len(Dataset.open(out / "toy-dataset", verify=True)) == 600
    report = json.loads((out / "toy-run" / "report" / "report.json").read_text("utf-8"))
    assert report["metrics"]["accuracy"]["value"] > 0.6  # chance is 1/6
    page = (out / "toy-run" / "report" / "report.html").read_text("utf-8")
    assert "toy" in page
    assert read_metadata(out / "toy.onnx").name == "toy"
    with (out / "toy-faces.csv").open(encoding="utf-8", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["ok"] * 120
    for path in (out / "annotated" / "astronaut.png", out / "faces.csv"):
        assert str(path) in ended.out
    assert str(out / "toy-run" / "report" / "report.html") in ended.out

    # Every command that it shows parses, and a second demo replaces the first.
    assert ended.out.count("$ mien ") == 6


def test_the_demo_says_what_is_missing_before_it_begins(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("skimage", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None)
        command("demo", "--out", "demo").refused(name, 'pip install "mien[train,demo]"')
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
    assert not (tmp_path / "demo").exists()
