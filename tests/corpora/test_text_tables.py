"""Tables as programs of all systems write them."""

from pathlib import Path

import pytest

from mien.corpora.depression.recordings import CORPUS as RECORDINGS
from mien.corpora.items import Options
from mien.corpora.text_tables import header_of, lines_of, listed_file, number_of, rows_by_name
from mien.errors import MienError

ROWS = [{"path": "a,1.png", "label": "x y"}, {"path": "b.png", "label": ""}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        'Path,label\n"a,1.png",x y\n\nb.png\n',
        "path;label\r\na,1.png;x y\r\nb.png;\r\n",
        "path\t Label \na,1.png\tx y\nb.png\t",
    ],
)
def test_delimiters_and_encodings_do_not_matter(text: str, encoding: str, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(text.encode(encoding))
    assert list(rows_by_name(table)) == ROWS


def test_lines_have_numbers_and_keep_their_cells(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a;b\n\n1;2;3\n")
    assert header_of(table) == (["a", "b"], ";")
    assert list(lines_of(table)) == [(3, ["1", "2", "3"])]
    table.write_bytes(b"a,b\n\xff,1\n")
    with pytest.raises(MienError, match="a table as UTF-8 text"):
        list(lines_of(table))


def test_a_backslash_is_a_part_of_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy/1.png").touch()
    assert listed_file(tmp_path, "happy\\1.png") == tmp_path / "happy/1.png"
    (tmp_path / "happy\\1.png").touch()
    assert listed_file(tmp_path, "happy\\1.png") == tmp_path / "happy\\1.png"
    for name in ("x\\y.png", "x" * 5000 + "\\y", "x\0\\y"):
        assert listed_file(tmp_path, name) == tmp_path / name


def test_numbers_with_a_comma() -> None:
    assert [number_of(text) for text in ("1,5", "-0,25", "2", 3)] == [1.5, -0.25, 2, 3]
    for text in ("1,2,3", "1.000,5", "x", ""):
        with pytest.raises(ValueError):
            number_of(text)


def test_recordings_with_semicolons(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.mp4").touch()
    table.write_text("video;score;subject\na\\1.mp4;12,5;s\n")
    [item] = RECORDINGS.read(table, Options()).items()
    assert (item.path, item.severity) == (tmp_path / "a/1.mp4", 12.5)
