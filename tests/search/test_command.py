"""``mien index`` and ``mien search`` as their user types them."""

from __future__ import annotations

import csv
import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien.search.index import FaceIndex
from mien.search.query import most_alike, read_face, with_units
from mien.search.units import parse_units

if TYPE_CHECKING:
    from conftest import Command


@pytest.fixture
def one_face(monkeypatch: pytest.MonkeyPatch, smiles) -> None:  # type: ignore[no-untyped-def]
    """Commands detect faces as the tests do."""
    monkeypatch.setattr("mien.faces.detection.detect.FaceDetector", lambda **options: smiles)


def test_index_says_what_is_in_it_and_what_is_not(
    command: Command, photos: Path, model_file: Path, one_face: None
) -> None:
    (photos / "broken.jpg").write_text("no picture")
    ended = command("index", photos, "--out", "made", "--model", model_file)
    assert ended.code == 1 and ended.err == ""
    assert ended.out == (
        "6 faces by the model tiny in made; left out: 1 no-face, 1 unreadable (left_out.csv)\n"
    )
    again = command("index", photos, "--out", "made", "--model", model_file)
    again.refused("expected a new folder for the index", "'made', which exists")
    other = command("index", photos, "--out", "other", "--model", model_file, "--json")
    assert json.loads(other.out)["faces"] == 6


def test_search_by_photo_in_every_form(
    command: Command, index: FaceIndex, photos: Path, one_face: None, tmp_path: Path
) -> None:
    ended = command(
        *("search", index.folder, photos / "2.png", "--top", 3),
        *("--out", "rows.csv", "--html", "page.html"),
    )
    assert ended.code == 0 and ended.err == ""
    assert "similarity" in ended.out and "1 nearer row left out: same picture" in ended.out
    assert [line for line in ended.out.splitlines() if line.startswith("written")] == [
        "written to rows.csv",
        "written to page.html",
    ]
    with (tmp_path / "rows.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    for name in ("rows.csv", "page.html"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<img") == 4 and "Faces like 2.png" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "the page asks for something"
    as_json = command("search", index.folder, photos / "2.png", "--top", 3, "--json")
    assert [row["source"] for row in json.loads(as_json.out)] == [row["source"] for row in rows]


def test_search_by_units_and_nothing_that_fits(command: Command, index: FaceIndex) -> None:
    ended = command("search", index.folder, "--units", "AU12 without AU26", "--html", "page.html")
    assert ended.code == 0 and "strength" in ended.out
    assert "AU12 0." in Path("page.html").read_text("utf-8")
    none = command("search", index.folder, "--units", "AU15", "--html", "none.html")
    assert none.code == 0 and "no face of the index fits" in none.out
    assert "No face of the index fits." in Path("none.html").read_text("utf-8")
    assert command("search", index.folder, "--units", "AU15", "--json").out == "[]\n"


def test_pictures_that_have_gone_are_told(command: Command, index: FaceIndex, photos: Path) -> None:
    for path in photos.glob("[0-4].png"):
        path.unlink()
    assert command("search", index.folder, "--units", "AU12", "--html", "page.html").code == 0
    page = Path("page.html").read_text("utf-8")
    assert "3 of 4 pictures are missing" in page and page.count("no picture") == 3


def test_names_of_files_are_never_markup(
    command: Command, photos: Path, model_file: Path, one_face: None
) -> None:
    (photos / "5.png").rename(photos / "<b>&\u202e.png")
    assert command("index", photos, "--out", "made", "--model", model_file).code == 0
    assert command("search", "made", "--units", "AU12", "--html", "page.html").code == 0
    page = Path("page.html").read_text("utf-8")
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ((), ("expected one of a photo", "got none of them")),
        (("2.png", "--units", "AU12"), ("expected one of a photo", "got several")),
        (("--valence", 0.5), ("both --valence and --arousal",)),
        (("--units", "smile"), ("expected action units such as",)),
        (("--units", "AU12", "--face", 0), ("without --face",)),
        (("--units", "AU12", "--model", "fer", "--tight"), ("--model and --tight",)),
        (("--units", "AU12", "--other-people"), ("without --other-people",)),
        (("2.png", "--subject", "ann"), ("--other-people with --subject",)),
        (("2.png", "--model", "fer"), ("expected the model 'tiny'", "got 'fer'")),
        (("none.png",), ("none.png",)),
        (("black.png",), ("expected a face to search for",)),
        (("--units", "AU12", "--out", "rows.txt"), (".csv",)),
    ],
    ids=str,
)
def test_wrong_use_is_one_sentence(
    command: Command,
    index: FaceIndex,
    photos: Path,
    one_face: None,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    texts: tuple[str, ...],
) -> None:
    monkeypatch.chdir(photos)
    command("search", index.folder, *arguments).refused(*texts)


def test_an_index_that_is_none_is_refused(command: Command, photos: Path) -> None:
    command("search", "nowhere", "--units", "AU12").refused("no such folder", "mien index")
    command("search", photos, "--units", "AU12").refused("no index.json in it")


def test_the_api_page_tells_the_same(index: FaceIndex, photos: Path, smiles) -> None:  # type: ignore[no-untyped-def]
    """What the documentation shows from Python."""
    query = read_face(index, photos / "2.png", detector=smiles)
    assert len(most_alike(index, query, top=5).matches) == 5
    assert with_units(index, parse_units("AU12 without AU6")).question == (
        "Faces with AU12 without AU6"
    )
