import numpy as np
import pytest
from PIL import Image

from mien.faces.align import cut_face, landmarks_in_crop, landmarks_in_fixed_crop
from mien.faces.detection.detect import FaceDetector
from mien.faces.tight import find_tight_face
from mien.schema import Alignment, Box, Face, Preprocessing, UInt8Array


class Fake:
    """Reports faces whose five landmarks lie at fractions of what it is shown."""

    name = "fake"

    def __init__(self, *places: float | None) -> None:
        self.places = places
        self.view: UInt8Array

    def __call__(self, image: UInt8Array) -> list[Face]:
        self.view = image
        sides = np.float32([image.shape[1], image.shape[0]])
        return [
            Face(
                Box(0, 0, 9, 9),
                0.7,
                None if place is None else np.full((5, 2), place, np.float32) * sides,
            )
            for place in self.places
        ]

    def close(self) -> None: ...

    def __enter__(self) -> "Fake":
        return self

    def __exit__(self, *error: object) -> None: ...


@pytest.mark.parametrize(
    ("shape", "shown"),
    [((48, 48), (328, 328)), ((48, 60), (360, 408)), ((200, 300), (410, 510))],
)
def test_small_crops_are_enlarged_and_bordered(
    shape: tuple[int, int], shown: tuple[int, int]
) -> None:
    detector = Fake(0.5, 0.1)
    image = np.full((*shape, 3), 90, np.uint8)
    face = find_tight_face(image, detector)
    assert detector.view.shape == (*shown, 3)
    assert detector.view[0].max() == 0 and (detector.view[shown[0] // 2, shown[1] // 2] == 90).all()
    assert face is not None and face.landmarks is not None and face.score == pytest.approx(0.7)
    # The first is the largest; the middle of the view is the middle of the crop.
    np.testing.assert_allclose(face.landmarks, np.tile([shape[1] / 2, shape[0] / 2], (5, 1)))


def test_the_border_lies_outside_the_crop() -> None:
    face = find_tight_face(np.zeros((48, 48, 3), np.uint8), Fake(68 / 328))
    assert face is not None and face.landmarks is not None
    np.testing.assert_allclose(face.landmarks, 0, atol=1e-5)


def test_no_face_or_no_landmarks_is_none() -> None:
    image = np.zeros((48, 48, 3), np.uint8)
    assert find_tight_face(image, Fake()) is None
    assert find_tight_face(image, Fake(None)) is None
    assert find_tight_face(image, Fake(None, 0.5)) is not None


@pytest.mark.parametrize("shape", [(48, 48), (80, 50), (50, 81)])
@pytest.mark.parametrize("margin", [-0.1, 0.0, 0.25])
def test_landmarks_of_a_fixed_crop_lie_where_its_pixels_do(
    shape: tuple[int, int], margin: float
) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    row, column = shape[0] // 2 + 9, shape[1] // 2 - 6
    image[row, column] = 255
    preprocessing = Preprocessing(size=200, margin=margin, interpolation="linear")
    place = np.full((5, 2), (column + 0.5, row + 0.5), np.float32)
    cut = cut_face(image, Face(Box(0, 0, 9, 9), 1.0, place), preprocessing, tight=True)
    assert cut.alignment is Alignment.FIXED and cut.landmarks is not None
    light = cut.crop[..., 0].astype(float)
    center = [(light.sum(axis) @ (np.arange(200) + 0.5)) / light.sum() / 200 for axis in (0, 1)]
    np.testing.assert_allclose(cut.landmarks[0], center, atol=0.003)
    np.testing.assert_array_equal(
        cut.landmarks, landmarks_in_fixed_crop(place, image.shape, preprocessing)
    )


def test_a_face_is_needed_where_the_image_is_not_tight() -> None:
    with pytest.raises(ValueError, match="expected a face"):
        cut_face(np.zeros((48, 48, 3), np.uint8), None, Preprocessing())


def test_a_real_face_of_48_pixels(
    detector: FaceDetector, astronaut: UInt8Array, face: Face
) -> None:
    preprocessing = Preprocessing(size=48)
    whole = cut_face(astronaut, face, preprocessing)
    assert whole.landmarks is not None and whole.alignment is Alignment.SIMILARITY
    assert face.landmarks is not None
    np.testing.assert_array_equal(whole.landmarks, landmarks_in_crop(face.landmarks, preprocessing))
    detected = find_tight_face(whole.crop, detector)
    assert detected is not None and detected.landmarks is not None
    assert detected.landmarks.shape == (478, 2)
    # Within a pixel and a half of where they are in the photo, which has twice the resolution.
    assert np.abs(detected.landmarks / 48 - whole.landmarks).mean() < 0.03
    gray = np.asarray(Image.fromarray(whole.crop).convert("L").convert("RGB"))
    assert find_tight_face(gray, detector) is not None
