from __future__ import annotations

import io
import itertools
import os
import struct
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import mien.faces.images
import mien.inference.photos
from mien.errors import MienError
from mien.faces.images import load_image
from mien.inference.inputs.sources import Source
from mien.inference.photos import Reading, predict_files, predict_photos
from mien.inference.predictor import Predictor
from mien.schema import Status, UInt8Array

from .conftest import OneFace, picture


def test_a_folder_in_sorted_order(predictor: Predictor, photos: Path) -> None:
    rows = list(predict_files(predictor, [photos]))
    names = ["1.png", "3.png", "black.png", "inner/0.JPG", "inner/2.JPG"]
    assert [row.source for row in rows] == [str(photos / name) for name in names]
    assert [row.status for row in rows].count(Status.OK) == 4
    assert rows[2].status is Status.NO_FACE


def test_photos_without_faces_beside_others(predictor: Predictor, photos: Path) -> None:
    # After a while a thread takes several photos at a time.
    given = [photos / name for name in ("1.png", "black.png") for _ in range(12)]
    statuses = [row.status for row in predict_files(predictor, given[::-1] + given)]
    assert statuses == [Status.NO_FACE] * 12 + [Status.OK] * 24 + [Status.NO_FACE] * 12


def test_same_as_one_by_one(predictor: Predictor, photos: Path) -> None:
    for row in predict_files(predictor, [photos]):
        [alone] = predictor(row.source)
        assert (alone.status, alone.probabilities) == (row.status, row.probabilities)


def test_sources_are_as_given(
    predictor: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    given = ["photos/1.png", "./photos/3.png", "photos/inner"]
    assert [row.source for row in predict_files(predictor, given)] == [
        *("photos/1.png", "./photos/3.png", "photos/inner/0.JPG", "photos/inner/2.JPG"),
    ]


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("corrupt.jpg", _jpeg()[:300]),
        ("garbage.jpg", bytes(range(256)) * 4),
        ("empty.png", b""),
        ("text.png", b"I am a text file.\n" * 20),
        ("huge.png", _png_header(60_000, 60_000)),
        ("words.txt", b"named explicitly"),
        ("film.mp4", b"\x00\x00\x00\x20ftypisom" + bytes(40)),
        ("missing.jpg", None),
    ],
)
def test_every_bad_file_is_a_row(
    predictor: Predictor, tmp_path: Path, name: str, content: bytes | None
) -> None:
    good, bad = tmp_path / "good.png", tmp_path / name
    Image.fromarray(picture()).save(good)
    if content is not None:
        bad.write_bytes(content)
    before, row, after = predict_files(predictor, [good, bad, good])
    assert (before.status, after.status) == (Status.OK, Status.OK)
    assert row.status is Status.UNREADABLE
    assert row.source == str(bad)
    assert row.reason.startswith("expected ")
    assert "\n" not in row.reason and row.probabilities == {}


def test_the_reasons_say_what_is_wrong(predictor: Predictor, tmp_path: Path) -> None:
    film, huge = tmp_path / "film.MOV", tmp_path / "huge.png"
    film.write_bytes(b"moov")
    huge.write_bytes(_png_header(60_000, 60_000))
    reasons = [row.reason for row in predict_files(predictor, [film, huge])]
    assert "got a video" in reasons[0]
    assert "expected an image of at most" in reasons[1]


def test_folder_without_images(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    [row] = predict_files(predictor, [tmp_path])
    assert (row.status, row.source) == (Status.UNREADABLE, str(tmp_path))
    assert row.reason == "expected a folder of photos, got no images in it"
    (tmp_path / "inner" / "notes.txt").touch()
    [row] = predict_files(predictor, [tmp_path])
    assert row.reason.endswith("got no images in it (1 other file)")


def test_folder_of_bad_images_without_faces(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    Image.new("RGB", (30, 30)).save(tmp_path / "b.png")
    statuses = [row.status for row in predict_files(predictor, [tmp_path])]
    assert statuses == [Status.UNREADABLE, Status.NO_FACE]


def test_folder_that_cannot_be_listed(
    predictor: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("inner"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    rows = list(predict_files(predictor, [photos]))
    assert len(rows) == 4
    assert rows[-1].source == str(photos / "inner")
    assert rows[-1].reason.endswith("cannot be listed (Permission denied)")


def test_list_of_paths(predictor: Predictor, photos: Path) -> None:
    lines = [f"{photos / '1.png'}\n", "\n", f"{photos / 'none.png'}\r\n", f"{photos / 'inner'}"]
    rows = list(predict_files(predictor, ["-"], listing=lines))
    names = ["1.png", "none.png", "inner/0.JPG", "inner/2.JPG"]
    assert [row.source for row in rows] == [str(photos / name) for name in names]


def test_standard_input(
    predictor: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = os.fsdecode(bytes(photos) + b"/\xff.png")
    os.rename(photos / "1.png", odd)
    stdin = io.TextIOWrapper(io.BytesIO(os.fsencode(odd) + b"\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    [row] = predict_files(predictor, ["-"])
    assert (row.source, row.status) == (odd, Status.OK)


def test_empty_list_of_paths(predictor: Predictor) -> None:
    [row] = predict_files(predictor, ["-"], listing=["\n"])
    assert (row.source, row.status) == ("-", Status.UNREADABLE)


def test_reads_no_further_than_needed(predictor: Predictor, photos: Path) -> None:
    taken = 0

    def endless() -> itertools.chain[str]:
        nonlocal taken
        for _ in itertools.count():
            taken += 1
            yield str(photos / "1.png")

    rows = predict_files(predictor, endless())  # type: ignore[arg-type]
    for _ in range(3):
        next(rows)
    assert taken < 12
    rows.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("mien-predict")]


def test_a_missing_face_model_is_no_unreadable_photo(model_file: Path, photos: Path) -> None:
    class Broken(OneFace):
        def __call__(self, image: UInt8Array) -> list:  # type: ignore[type-arg]
            raise MienError("expected a face model, got none; install mien[offline]")

    predictor = Predictor.load(model_file, detector=Broken())
    with pytest.raises(MienError, match="face model"):
        list(predict_files(predictor, [photos]))


def test_one_large_photo_at_a_time(
    predictor: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = most = 0

    def slowly(*arguments: Any, **options: Any) -> UInt8Array:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.05)
        inside -= 1
        return load_image(*arguments, **options)

    monkeypatch.setattr(mien.faces.images, "load_image", slowly)
    monkeypatch.setattr(mien.inference.photos, "_LARGE", 100)
    names = ("1.png", "3.png", "inner/0.JPG")
    items = [(None, Source(str(photos / name))) for name in names]
    assert len(list(predict_photos(predictor, items, Reading(threads=3)))) == 3
    assert most == 1


def test_tight_crops(model_file: Path, tmp_path: Path) -> None:
    Image.fromarray(picture(1, 48, 48)).save(tmp_path / "crop.png")
    detector = OneFace()
    with Predictor.load(model_file, detector=detector) as predictor:
        [row] = predict_files(predictor, [tmp_path], tight=True)
    assert row.status is Status.OK
    assert detector.calls == 0
