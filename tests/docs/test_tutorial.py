"""The tutorial is run as it stands, on drawn faces and with a network for tests."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien.synthetic.drawn import write_toy_folder

if TYPE_CHECKING:
    from conftest import Command

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
# Only what a test has no time for; everything else is the page's.
SMALLER = (
    "--set backbone.name=test_resnet --set schedule.epochs=3 --set sampler.classes=6 --threads 1"
)
SLICES = "--set embedding.size=64"


def commands() -> list[str]:
    blocks = re.findall(r"<!-- runs -->\n```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_every_step_of_the_tutorial_runs(command: Command, tmp_path: Path) -> None:
    write_toy_folder(tmp_path / "photos", faces=180, size=48)
    assert [line.split()[1] for line in commands()] == [
        *("prepare", "train", "train", "train", "train", "compare", "evaluate", "export", "predict")
    ]
    for line in commands():
        _, *arguments = shlex.split(line)
        if arguments[0] == "train":
            arguments += shlex.split(SMALLER)
            arguments += shlex.split(SLICES) if "multi-threshold" in arguments else []
        ended = command(*arguments)
        assert ended.code == 0, ended
    compared = json.loads((tmp_path / "comparison" / "compare.json").read_text("utf-8"))
    assert "no difference shown" in json.dumps(compared) or "better" in json.dumps(compared)
    report = json.loads((tmp_path / "runs/multi-0/report/report.json").read_text("utf-8"))
    assert set(report["heads"]["expression"]["reference"]["classifiers"]) >= {"centroids"}
    assert (tmp_path / "faces.csv").read_text("utf-8").count("\n") > 30
