"""The options of `mien predict` for many photos."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Command


@pytest.fixture
def photos(toy_folder: Path) -> list[Path]:
    return sorted(toy_folder.rglob("*.png"))[:6]


def test_lists_shards_and_merging(
    photos: list[Path], toy_model: Path, tmp_path: Path, command: Command
) -> None:
    listed, out = tmp_path / "list.txt", tmp_path / "t.csv"
    listed.write_text("".join(f"{photo}\r\n" for photo in photos), "utf-16")
    options = ("--files-from", listed, "--tight", "--model", toy_model, "--threads", "1")
    assert command("predict", *options, "--out", tmp_path / "once.csv").code == 0
    for shard in ("1/2", "2/2"):
        ended = command("predict", *options, "--out", out, "--shard", shard)
        assert f"shard {shard} took 3 of 6 inputs" in ended.out, ended
    ended = command("predict", "--merge", "--out", out)
    assert ended.code == 0 and f"written to {out}" in ended.out, ended
    assert out.read_bytes() == (tmp_path / "once.csv").read_bytes()
    with out.open(newline="") as stream:
        assert [row["source"] for row in csv.DictReader(stream)] == list(map(str, photos))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("x.png", "--merge", "--out", "t.csv"), "expected no inputs with --merge, got 'x.png'"),
        (("--merge",), "expected --out with --merge"),
        (("--merge", "--out", "t.csv"), "expected shards of 't.csv'"),
        (("x.png", "--idle", "3"), "expected --watch with --idle"),
        (("x.png", "--out", "t.csv", "--shard", "3/2"), "expected a shard I/N such as 2/5"),
        (("x.png", "--resume"), "expected --out with --resume"),
        (("x.png", "--watch"), "expected a folder to watch"),
        (("https://example.org/x.png",), "mien fetches nothing"),
        (("--files-from", "none.txt"), "expected a list of paths in 'none.txt'"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    arguments: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
) -> None:
    monkeypatch.chdir(tmp_path)
    command("predict", *arguments).refused(sentence)
    assert not list(tmp_path.iterdir())
