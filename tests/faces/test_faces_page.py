import re
from pathlib import Path

import pytest

from mien.faces import detect, native

PAGE = (Path(__file__).parents[2] / "docs" / "faces.md").read_text("utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out == "similarity (112, 112, 3) (1, 3, 112, 112) smile 0.9\n"


def test_the_page_tells_what_the_code_does() -> None:
    assert native.INSTALL_LIBRARIES in PAGE
    assert f"above {detect._TILED_ABOVE:,} pixels" in PAGE
