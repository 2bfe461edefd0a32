"""Large JPEGs, which are decoded at the size that their faces need."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.faces.images import load_image, reduction
from mien.inference.inputs.sources import Source
from mien.inference.photos import PhotoReader, Reading
from mien.inference.predictor import Predictor
from mien.schema import Face, Prediction, Status, UInt8Array

from .conftest import OneFace, picture


class Watching(OneFace):
    """Remembers the sizes of what it was shown."""

    def __init__(self, side: float = 0.5) -> None:
        super().__init__(side=side)
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, image: UInt8Array) -> list[Face]:
        self.shapes.append(image.shape[:2])
        return super().__call__(image)


def read(model_file: Path, path: Path, detector: OneFace, *, whole: bool = False) -> Prediction:
    with (
        Predictor.load(model_file, detector=detector, threads=1) as predictor,
        PhotoReader(predictor, Reading(whole=whole, threads=1)) as reader,
    ):
        [(_, [prediction])] = reader.predict([(None, Source(str(path)))])
    return prediction


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    Image.fromarray(picture(3, 3001, 4003)).save(path, quality=90)
    return path


def test_a_large_face_is_read_from_a_quarter(model_file: Path, large: Path) -> None:
    quick, slow = Watching(), Watching()
    one, other = read(model_file, large, quick), read(model_file, large, slow, whole=True)
    assert (quick.shapes, slow.shapes) == ([(751, 1001)], [(3001, 4003)])
    assert one.face and other.face and one.face.landmarks is not None
    for side in ("left", "top", "width", "height"):
        assert getattr(one.face.box, side) == pytest.approx(getattr(other.face.box, side), abs=8)
    np.testing.assert_allclose(one.face.landmarks, other.face.landmarks, atol=8)
    assert one.crop is not None and other.crop is not None
    assert np.abs(one.crop.astype(int) - other.crop.astype(int)).max() < 12
    assert one.probabilities == pytest.approx(other.probabilities, abs=0.02)


@pytest.mark.parametrize(
    ("side", "shapes"),
    [(0.03, [(751, 1001), (1501, 2002)]), (0.005, [(751, 1001), (3001, 4003)])],
)
def test_a_small_face_is_read_finer(
    model_file: Path, large: Path, side: float, shapes: list[tuple[int, ...]]
) -> None:
    detector = Watching(side)
    read(model_file, large, detector)
    assert detector.shapes == shapes


def test_a_photo_in_which_nothing_is_seen_is_looked_at_as_a_whole(
    model_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "black.jpg"
    Image.new("RGB", (2400, 1600)).save(path)
    detector = Watching()
    prediction = read(model_file, path, detector)
    assert prediction.status is Status.NO_FACE and "2400 x 1600" in prediction.reason
    assert detector.shapes == [(800, 1200), (1600, 2400)]


def test_others_are_read_in_full(model_file: Path, tmp_path: Path) -> None:
    for name, size in (("a.png", (2000, 1500)), ("b.jpg", (1600, 1200)), ("c.jpg", (400, 9000))):
        path, detector = tmp_path / name, Watching(0.9)
        Image.fromarray(picture(1, size[1], size[0])).save(path)
        read(model_file, path, detector)
        assert detector.shapes == [(size[1], size[0])], name


def test_an_upright_picture_stays_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(2, 1200, 1600)).save(path, exif=exif)
    factor = reduction(path, least_pixels=100_000, least_side=100)
    assert factor == 4
    whole, small = load_image(path), load_image(path, reduced_by=factor)
    assert whole.shape[:2] == (1600, 1200) and small.shape[:2] == (400, 300)
    mean = whole.reshape(400, 4, 300, 4, 3).mean(axis=(1, 3))
    assert np.abs(mean - small).mean() < 2


def test_a_damaged_picture_is_reduced_as_well(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(picture(2, 1200, 1600)).save(file, "JPEG")
    path = tmp_path / "without-end.jpg"
    path.write_bytes(file.getvalue()[:-2])
    assert load_image(path, reduced_by=2).shape[:2] == (600, 800)
