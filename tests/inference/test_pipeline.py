"""Photos in; a table, pictures and lines out."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.errors import MienError
from mien.faces.images import load_image
from mien.heads.wording import percent
from mien.inference.model import OnnxModel, open_onnx
from mien.inference.pipeline import Summary, write_predictions
from mien.inference.rows import FACE_COLUMNS

from .conftest import OneFace, WriteModel, picture

COLUMNS = (*FACE_COLUMNS, "expression", "confidence", "probabilities", "action_units")


@pytest.fixture
def model(model_file: Path) -> OnnxModel:
    return open_onnx(model_file, threads=1)


def write(
    model: OnnxModel | Path, inputs: list[str], detector: OneFace | None = None, **options: Any
) -> Summary:
    return write_predictions(inputs, models=[model], detector=detector or OneFace(), **options)


def test_everything_at_once(model: OnnxModel, photos: Path, tmp_path: Path) -> None:
    text, rows = io.StringIO(), io.StringIO()
    out, drawn = tmp_path / "new" / "faces.csv", tmp_path / "drawn"
    summary = write(
        model,
        [str(photos), "missing.jpg"],
        out=out,
        annotate=drawn,
        lines=text,
        json=rows,
    )
    assert summary.rows == {"ok": 4, "no-face": 1, "unreadable": 1}
    assert (summary.photos, summary.videos, summary.incomplete) == (6, 0, 1)
    assert summary.sentence == f"4 ok, 1 no-face, 1 unreadable; written to {out} and {drawn}"
    with out.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 6
    assert sorted(path.name for path in drawn.iterdir()) == [
        *("0.jpg", "1.png", "2.jpg", "3.png", "black.png"),
    ]
    lines = text.getvalue().splitlines()
    assert len(lines) == 6
    assert sum("  face 0  " in line for line in lines) == 4
    assert "black.png  no-face: no face found" in text.getvalue()
    assert lines[-1].startswith("missing.jpg  unreadable: expected an image")
    listed = json.loads(rows.getvalue())
    assert [tuple(row) for row in listed] == [COLUMNS] * 6
    assert [row["source"] for row in listed] == [row["source"] for row in table]


def test_the_line_says_what_the_table_says(model: OnnxModel, photos: Path) -> None:
    text, rows = io.StringIO(), io.StringIO()
    write(model, [str(photos / "1.png")], lines=text, json=rows)
    [row] = json.loads(rows.getvalue())
    assert text.getvalue() == (
        f"{photos / '1.png'}  face 0  {row['expression']} {percent(row['confidence'])}, "
        "no action unit\n"
    )


def test_the_line_has_valence_and_arousal_where_the_model_gives_them(
    write_model: WriteModel, photos: Path
) -> None:
    text, rows = io.StringIO(), io.StringIO()
    write(write_model(affect=2), [str(photos / "1.png")], lines=text, json=rows)
    [row] = json.loads(rows.getvalue())
    assert tuple(row) == (*COLUMNS[:-1], "valence", "arousal", "action_units")
    end = f", valence {row['valence']:+.2f}, arousal {row['arousal']:+.2f}, no action unit\n"
    assert text.getvalue().endswith(end)


def test_no_input_is_an_empty_json_array(model: OnnxModel) -> None:
    rows = io.StringIO()
    assert write(model, [], json=rows).rows == {}
    assert json.loads(rows.getvalue()) == []


def test_an_abstained_face_is_said_to_be_one(model_file: Path, photos: Path) -> None:
    text = io.StringIO()
    summary = write(model_file, [str(photos / "1.png")], OneFace(yaw=75), lines=text)
    assert summary.rows == {"abstained": 1}
    assert "abstained (head is turned by 75 degrees" in text.getvalue()
    assert "would say" in text.getvalue()


def test_a_file_name_that_is_no_text_is_spelled_out(model: OnnxModel, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    Image.fromarray(picture()).save(tmp_path / name)
    # A terminal takes UTF-8 and nothing else.
    screen = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict")
    summary = write(model, [str(tmp_path)], annotate=tmp_path.with_name("drawn"), lines=screen)
    screen.flush()
    assert "caf\\udce9.png  face 0" in screen.buffer.getvalue().decode("utf-8")
    assert summary.rows == {"ok": 1}
    assert (tmp_path.with_name("drawn") / name).is_file()


def test_pictures_of_the_same_name_get_the_folders_names(model: OnnxModel, tmp_path: Path) -> None:
    for number, folder in enumerate(("a", "b", "b/a")):
        (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(tmp_path / "in" / folder / "x.png")
    given = [str(tmp_path / "in"), str(tmp_path / "in" / "a" / "x.png")]
    summary = write(model, given, annotate=tmp_path / "drawn")
    assert summary.rows == {"ok": 4}
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == ["a__x.png", "b__x.png", "in__a__x.png", "x.png"]


def test_a_photo_given_twice_is_drawn_twice(model_file: Path, photos: Path, tmp_path: Path) -> None:
    one = str(photos / "1.png")
    summary = write(model_file, [one, one], OneFace(count=2), annotate=tmp_path / "drawn")
    assert summary.rows == {"ok": 4}
    first, second = (load_image(path) for path in sorted((tmp_path / "drawn").iterdir()))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("target", ["photos", "photos/inner", "photos/inner/../inner"])
def test_photos_are_never_drawn_over(
    target: str, model: OnnxModel, photos: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    with pytest.raises(MienError, match="a folder of their own"):
        write(model, [str(photos)], annotate=tmp_path / target)
    with pytest.raises(MienError, match="a folder of their own"):
        write(model, [str(photos / "1.png")], annotate=photos)
    assert {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()} == before


def test_listed_photos_are_never_drawn_over(
    model: OnnxModel, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (photos / "1.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(os.fsencode(photos / "1.png"))))
    with pytest.raises(MienError, match="a folder of their own"):
        write(model, ["-"], annotate=photos)
    assert (photos / "1.png").read_bytes() == before


def test_a_new_folder_among_the_photos_is_fine_once(model: OnnxModel, photos: Path) -> None:
    drawn = photos / "drawn"
    assert write(model, [str(photos)], annotate=drawn).rows["ok"] == 4
    with pytest.raises(MienError, match="a folder of their own"):
        write(model, [str(photos)], annotate=drawn)


def test_a_photo_that_is_gone_when_it_is_drawn_keeps_its_rows(
    model: OnnxModel, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = photos / "1.png"

    def gone(source: str, *_: object, **__: object) -> None:
        Path(source).unlink()
        raise MienError("expected an image, got a path with no file")

    monkeypatch.setattr("mien.inference.sinks.annotate_file", gone)
    assert write(model, [str(one)], annotate=tmp_path / "d").rows == {"ok": 1}


def test_a_picture_that_cannot_be_written_ends_the_run_and_keeps_the_older_table(
    model: OnnxModel, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "faces.csv"
    out.write_text("older")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MienError, match="expected to write"):
        write(model, [str(photos)], out=out, annotate=tmp_path / "file" / "drawn")
    assert out.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.csv", "file", "photos"]


def test_a_bar_is_drawn_on_a_terminal_only(
    model: OnnxModel, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for made, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", made)
        write(model, [str(photos)], out=tmp_path / "t.csv")
        assert ("predict" in made.getvalue()) is shown
