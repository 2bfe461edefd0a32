"""The Python of the page on datasets runs, and its tables and rules are those of the code."""

import re
from pathlib import Path

from toy_corpora import class_folders

from mien.corpora import CORPORA
from mien.data.dataset import FACES_SCHEMA
from mien.data.targets import RULES
from mien.faces.tight import SMALL_BELOW
from mien.preparation.prepare import _CHUNK

PAGE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text("utf-8")


def test_the_python_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "photos", ["happy", "sad"], 10, side=64)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    exec("\n".join(blocks), {})
    assert "20 ('happiness', 'sadness')" in capsys.readouterr().out


def first_cells(header):
    table = PAGE.split(header, 1)[1].split("\n\n", 1)[0]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    return re.findall(r"`(.*?)`", " ".join(cells))


def test_the_tables_of_the_page():
    assert first_cells("| column of `faces.parquet` | content |") == FACES_SCHEMA.names
    assert tuple(first_cells("| rule | label |")) == RULES
    for name in CORPORA:
        assert f"**`{name}`**" in PAGE
    assert f"under {SMALL_BELOW} pixels" in PAGE.replace("\n", " ")
    assert f"parts of {_CHUNK} images" in PAGE
