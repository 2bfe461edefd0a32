"""Pictures of matches: from the index where it has them, else out of the files again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_models import make_dataset
from PIL import Image

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.faces.detection.detect import Detector
from mien.search.build import build_index
from mien.search.index import THUMBNAILS_FILE, FaceIndex
from mien.search.query import Answer, Match
from mien.search.results import answer_rows, answer_schema, pictures_of


def test_pictures_are_cut_out_of_the_photos_again(index: FaceIndex, photos: Path) -> None:
    number = next(n for n in range(6) if index.row(n)["source"].endswith("3.png"))
    [picture] = pictures_of(index, [number])
    assert picture is not None and picture.shape == (90, 90, 3)  # the box and half of it around
    assert (picture[15:75, 15:75] == np.asarray(Image.open(photos / "3.png"))[30:90, 50:110]).all()


def test_no_picture_of_a_file_that_has_gone_or_changed(index: FaceIndex, photos: Path) -> None:
    (photos / "0.png").unlink()
    Image.open(photos / "1.png").rotate(180).save(photos / "1.png")
    pictures = pictures_of(index, range(6))
    gone = {Path(index.row(n)["source"]).name for n in range(6) if pictures[n] is None}
    assert gone == {"0.png", "1.png"}


def test_thumbnails_are_stored_on_request(
    photos: Path, model_file: Path, tmp_path: Path, smiles: Detector
) -> None:
    index = build_index(
        [photos], tmp_path / "i", model=model_file, detector=smiles, thumbnails=True
    )
    for path in photos.iterdir():
        path.unlink()
    pictures = pictures_of(index, [0, 5])
    assert all(each is not None and each.shape == (32, 32, 3) for each in pictures)
    assert (index.folder / THUMBNAILS_FILE).stat().st_mode & 0o777 == 0o600
    content = bytearray((index.folder / THUMBNAILS_FILE).read_bytes())
    content[0] ^= 1
    (index.folder / THUMBNAILS_FILE).write_bytes(content)
    del index.__dict__["thumbnails"]
    with pytest.raises(MienError, match="another sha256"):
        pictures_of(index, [0])


@pytest.fixture
def of_dataset(write_model, tmp_path: Path) -> FaceIndex:  # type: ignore[no-untyped-def]
    from mien.schema import Preprocessing

    data = make_dataset(
        tmp_path / "data",
        [
            {"label": "happiness", "subject": f"s{n}", "split": "train" if n < 4 else "test"}
            for n in range(6)
        ],
    )
    model = write_model(_description(Preprocessing(size=16)), size=16)
    return build_index([data], tmp_path / "index", model=model, split="train")


def _description(preprocessing):  # type: ignore[no-untyped-def]
    from tiny_inference import description

    return description(
        preprocessing=preprocessing.model_dump(mode="json"), preprocessing_hash=preprocessing.hash
    )


def test_rows_of_a_dataset_bring_its_columns(of_dataset: FaceIndex, tmp_path: Path) -> None:
    assert len(of_dataset) == 4 and of_dataset.info.split == "train"
    row = of_dataset.row(2)
    assert (row["id"], row["label"], row["subject"], row["row"]) == ("face-2", "happiness", "s2", 2)
    crop = Dataset.open(tmp_path / "data").crops[2]
    assert (pictures_of(of_dataset, [2])[0] == crop).all()


def test_no_picture_of_another_dataset_of_that_name(of_dataset: FaceIndex, tmp_path: Path) -> None:
    import shutil

    shutil.rmtree(tmp_path / "data")
    assert pictures_of(of_dataset, [0]) == [None]
    make_dataset(tmp_path / "data", [{"label": "anger"} for _ in range(6)])
    assert pictures_of(of_dataset, [0]) == [None]


def test_rows_and_columns_of_a_table(index: FaceIndex) -> None:
    answer = Answer("?", "similarity", [Match(1, 0.5), Match(0, 0.25)])
    rows = answer_rows(index, answer)
    assert [(row["rank"], row["similarity"]) for row in rows] == [(1, 0.5), (2, 0.25)]
    assert answer_schema(index, "similarity").names == list(rows[0])
    assert "digest" not in rows[0]


def test_crops_of_another_recipe_and_a_dataset_beside_photos_are_refused(
    of_dataset: FaceIndex, model_file: Path, photos: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with pytest.raises(MienError, match="prepare it again with --like"):
        build_index([data], tmp_path / "x", model=model_file)
    with pytest.raises(MienError, match="beside others"):
        build_index([data, photos], tmp_path / "x", model=model_file)
    with pytest.raises(MienError, match="expected photos or videos for --tight and --fps"):
        build_index([data], tmp_path / "x", model=model_file, tight=True, fps=2)
    with pytest.raises(MienError, match="name one of them"):
        build_index([data], tmp_path / "x", model=of_dataset.info.model.file, split="valid")
    assert not (tmp_path / "x").exists()
