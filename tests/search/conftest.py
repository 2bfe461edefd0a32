"""A tiny model, photos in which it always sees one face, and an index of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_model import tiny_inference

from mien.faces.detection.detect import Detector
from mien.search.build import build_index
from mien.search.index import FaceIndex

tiny = tiny_inference()
write_model = tiny.write_model


@pytest.fixture
def model_file(write_model: Callable[[], Path]) -> Path:
    """A file of its own for each test, which may change it."""
    return write_model()


SMILES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


class Smiles(tiny.OneFace):
    """Sees one face, whose mouth smiles as much as its place among the pictures says."""

    def __call__(self, image):  # type: ignore[no-untyped-def]
        faces = super().__call__(image)
        level = SMILES[int(image[0, 0, 0]) // 40] if faces else 0.0
        marked = {"mouthSmileLeft": level, "mouthSmileRight": level, "jawOpen": level / 3}
        return [replace(face, blendshapes=face.blendshapes | marked) for face in faces]


def write_photos(folder: Path) -> Path:
    """``0.png`` to ``5.png`` with a face each, whose smiles grow, and ``black.png`` without."""
    folder.mkdir(parents=True)
    for number in range(len(SMILES)):
        pixels = tiny.picture(number).copy()
        pixels[:4, :4] = 40 * number
        Image.fromarray(pixels).save(folder / f"{number}.png")
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(folder / "black.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


@pytest.fixture
def smiles() -> Detector:
    return Smiles()


@pytest.fixture
def index(photos: Path, model_file: Path, tmp_path: Path, smiles: Detector) -> FaceIndex:
    return build_index([photos], tmp_path / "index", model=model_file, detector=smiles, threads=1)
