"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from mien.errors import MienError
from mien.files import (
    explaining,
    is_text,
    remove_temporaries,
    replacing,
    replacing_folder,
    short_name,
    spreadsheet_text,
    temporary_sibling,
    write_bytes,
    write_json,
    write_text,
)


def test_a_file_takes_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists() and temporary.parent == path.parent
        assert str(os.getpid()) in temporary.name  # two processes never share one
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_an_error_keeps_the_older_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    path = write_text(tmp_path / "file.txt", "older")
    with pytest.raises(type(error)), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("write", [write_text, lambda path, text: write_bytes(path, text.encode())])
def test_a_full_disk_is_one_sentence(tmp_path: Path, write) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    path = tmp_path / "file.txt"
    temporary_sibling(path).symlink_to("/dev/full")
    with pytest.raises(MienError) as caught:
        write(path, "text")
    assert str(caught.value) == (
        f"expected to write {str(path)!r}, got No space left on device; "
        "free some space or choose another place"
    )
    assert os.listdir(tmp_path) == []


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(MienError, match="a folder of this name"):
        write_text(tmp_path / "folder", "text")
    (tmp_path / "file").touch()
    with pytest.raises(MienError, match=r"expected to write .*; name another$"):
        write_text(tmp_path / "file" / "a.txt", "text", advice="name another")


def test_a_block_that_does_more_than_write_keeps_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    error = OSError(errno.ENOENT, "No such file", "a photo")
    with pytest.raises(MienError, match="expected to write"), replacing(path):
        raise error
    with pytest.raises(OSError, match="a photo"), replacing(path, explain=False):
        raise error
    with pytest.raises(MienError, match="expected to write"), explaining(path):
        raise error


def test_json_is_indented_text_without_nan(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"name": "Zoë", "values": [1, None]})
    assert json.loads(path.read_text("utf-8")) == {"name": "Zoë", "values": [1, None]}
    assert "Zoë" in path.read_text("utf-8") and path.read_bytes().endswith(b"}\n")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))
    assert path.exists() and len(os.listdir(tmp_path)) == 1


def test_a_folder_takes_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "dataset"
    with replacing_folder(path) as temporary:
        (temporary / "file").write_text("whole")
        assert not path.exists()
    assert (path / "file").read_text() == "whole"
    with pytest.raises(MienError, match="expected to write"), replacing_folder(path) as temporary:
        (temporary / "file").write_text("other")
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "b") as temporary:
        (temporary / "deep").mkdir()
        raise RuntimeError
    assert (path / "file").read_text() == "whole"
    assert os.listdir(tmp_path) == ["new"] and os.listdir(path.parent) == ["dataset"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".file.txt.1.partial").touch()
    (tmp_path / "file.txt").touch()
    remove_temporaries(tmp_path)
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_private_file_is_its_owners_until_others_are_let_in(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for mode in (0o600, 0o644):
        with replacing(path, private=True) as temporary:
            temporary.write_text("rows")
            assert stat.S_IMODE(temporary.stat().st_mode) == mode
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.chmod(0o644)


def test_names_of_any_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("\u00fc" * 125 + ".csv")
    with replacing(path) as temporary:
        temporary.write_text("rows")
    assert path.read_text() == "rows" and os.listdir(tmp_path) == [path.name]
    names = {short_name("x" * 300 + end, ".png") for end in "ab"}
    assert len(names) == 2 and all(len(name) == 200 for name in names)


def test_no_text_is_a_formula() -> None:
    texts = ["=1", "+1", "-1", "@a", "\t=1", "a=1", ""]
    assert [spreadsheet_text(text)[:1] for text in texts] == ["'"] * 5 + ["a", ""]


def test_half_letters_are_no_text() -> None:
    cycle: list[object] = ["a"]
    cycle.append(cycle)
    assert is_text({"a": ["b", 1, None, cycle]})
    assert not is_text({"a": [{"\ud800": 1}]}) and not is_text(["\udfff"])
