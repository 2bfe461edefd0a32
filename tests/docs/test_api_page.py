"""The page on the Python API: it lists the public surface, and its training loop trains."""

import re
from pathlib import Path

import pytest

import mien

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


def test_the_table_is_the_public_surface() -> None:
    table = PAGE.split("|---|---|\n")[1].split("\n\n")[0]
    names = re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in table.splitlines()))
    assert sorted(names) == sorted(mien.__all__)


@pytest.mark.slow
def test_the_training_loop_of_the_page_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), {})
    lines = capsys.readouterr().out.splitlines()
    first, *_, last = [float(line.split()[-1]) for line in lines if line.startswith("epoch")]
    assert last < first
    # Chance is one in eight.
    assert float(re.search(r"accuracy (\S+)", lines[-1])[1]) > 0.3
