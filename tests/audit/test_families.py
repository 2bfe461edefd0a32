from pathlib import Path

import cv2
import numpy as np
import pytest
from audited import audited_dataset, pictures

from mien.audit.audit import audit
from mien.data.dataset import Dataset


def shared(document: dict) -> dict[str, list[str]]:
    return {kind: [each["name"] for each in listed] for kind, listed in document["shared"].items()}


def named(count: int, names: dict[int, str]) -> list[dict]:
    return [{"id": names.get(number, f"x/{number:04d}z")} for number in range(count)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("train/IMG_001.jpg", "test/IMG_001_crop.jpg"),
        ("train/a/IMG_001_flipped.png", "test/a/IMG_001_rot90.jpg"),
        ("train/me.jpg", "test/me (2).jpg"),
        ("train/me_jpg.rf.0a1b2c.jpg", "test/me_jpg.rf.99ee00.jpg"),
        ("train\\IMG_001.jpg", "val/IMG_001-aug-3.jpg"),
    ],
)
def test_versions_of_one_picture_are_named(one: str, two: str, tmp_path: Path) -> None:
    rows = named(60, {3: one, 50: two})
    folder = audited_dataset(tmp_path / "data", pictures(60), rows)
    document, page = audit([folder], tmp_path / "out", fix=tmp_path / "cleaned")
    assert [each["kind"] for each in document["findings"]] == ["shared versions"]
    assert len(document["shared"]["versions"]) == 1
    assert "1 picture by file names is in train and test" in document["findings"][0]["sentence"]
    assert document["shared"]["versions"][0]["rows"] == {"train": 1, "test": 1}
    assert "Versions of" in page.read_text("utf-8")
    cleaned = Dataset.open(tmp_path / "cleaned")
    assert len(cleaned) == 59 and one not in cleaned.column("id")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("train/001.jpg", "test/001.jpg"),  # each split counts from 1
        ("train/a/IMG_001.jpg", "test/b/IMG_001_crop.jpg"),
        ("train/surface.jpg", "test/sur.jpg"),
        ("train/IMG_1.jpg", "train/IMG_1_crop.jpg"),  # in one split
    ],
)
def test_other_names_are_no_family(one: str, two: str, tmp_path: Path) -> None:
    rows = named(60, {3: one, 50: two})
    if two.startswith("train"):
        rows[50]["split"] = "train"
    folder = audited_dataset(tmp_path / "data", pictures(60), rows)
    assert audit([folder], tmp_path / "out")[0]["findings"] == []


def test_numbers_that_repeat_in_each_split_are_no_versions(tmp_path: Path) -> None:
    names = {0: "train/1.jpg", 1: "train/1_crop.jpg", 50: "test/1.jpg", 51: "test/1_crop.jpg"}
    folder = audited_dataset(tmp_path / "data", pictures(60), named(60, names))
    assert audit([folder], tmp_path / "out")[0]["findings"] == []


def series(count: int) -> np.ndarray:
    """Pictures that change a little from one to the next."""
    ends = pictures(2, seed=5).astype(np.float32)
    noise = pictures(count, seed=6).astype(np.float32)
    shares = np.linspace(0, 1, count)[:, None, None, None]
    mixed = 0.8 * ((1 - shares) * ends[0] + shares * ends[1]) + 0.2 * noise
    return np.stack([cv2.GaussianBlur(each, (5, 5), 0) for each in mixed]).astype(np.uint8)


def test_frames_of_one_video_in_two_splits_are_a_series(tmp_path: Path) -> None:
    crops = pictures(90)
    crops[50:70] = series(20)
    names = {row: f"{'train' if row < 60 else 'test'}/clip_{row:06d}.png" for row in range(50, 70)}
    names |= {row: f"other_{row}" for row in (*range(20), *range(70, 90))}
    folder = audited_dataset(tmp_path / "data", crops, named(90, names))
    document, _ = audit([folder], tmp_path / "out", fix=tmp_path / "cleaned")
    assert shared(document)["series"] == ["clip_"]  # other_ is numbered, too, but unlike
    assert document["shared"]["series"][0]["rows"] == {"train": 10, "test": 10}
    reasons = Dataset.open(tmp_path / "cleaned").info["left_out"]
    assert reasons == {"series of files is also in another split": 10}


def test_rows_whose_video_is_named_are_no_series(tmp_path: Path) -> None:
    crops = pictures(90)
    crops[50:70] = series(20)
    rows = named(90, {row: f"clip_{row:06d}.png" for row in range(50, 70)})
    for row in range(50, 70):
        rows[row]["video"] = f"v{row < 60}"
    folder = audited_dataset(tmp_path / "data", crops, rows)
    assert shared(audit([folder], tmp_path / "out")[0])["series"] == []
