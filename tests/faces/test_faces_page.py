import re
from pathlib import Path
from typing import get_args

import pytest

from mien.faces.detection import detect
from mien.faces.detection.model_file import INSTALL_FACE_MODELS
from mien.schema import Preprocessing

PAGE = (Path(__file__).parents[2] / "docs" / "faces.md").read_text("utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    exec("\n".join(blocks), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["similarity (112, 112, 3) (1, 3, 112, 112) smile 0.9", "(112, 112, 3)"]


def test_the_page_names_every_partial_image() -> None:
    table = PAGE.split("| `partial_image` |", 1)[1].split("\n\n", 1)[0]
    named = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    assert tuple(named) == get_args(Preprocessing.model_fields["partial_image"].annotation)


def test_the_page_tells_what_the_code_does() -> None:
    assert INSTALL_FACE_MODELS in PAGE
    assert detect._FAST_PIXELS == 512 * 512 and "512 x 512" in PAGE
    assert round(detect._THOROUGH_PIXELS / 1e6, 1) == 2.4 and "2.4 million pixels" in PAGE
