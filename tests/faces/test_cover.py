import cv2
import numpy as np
import pytest

from mien.faces.cover import is_mouth_covered, mouth_edges
from mien.schema import Face, UInt8Array

JAW = [93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323]


def masked(image: UInt8Array, face: Face, color: tuple[int, int, int]) -> UInt8Array:
    assert face.landmarks is not None
    corners = face.landmarks[[*JAW, 425, 195, 205]].round().astype(np.int32)
    return np.asarray(cv2.fillPoly(image.copy(), [corners], color), np.uint8)


@pytest.mark.parametrize("color", [(120, 160, 220), (30, 30, 35), (190, 150, 130)])
def test_a_mask_is_noticed(astronaut: UInt8Array, face: Face, color: tuple[int, int, int]) -> None:
    assert face.landmarks is not None
    assert not is_mouth_covered(astronaut, face.landmarks)
    assert is_mouth_covered(masked(astronaut, face, color), face.landmarks)


@pytest.mark.parametrize("scale", [0.4, 3.0])
def test_size_and_turn_hardly_matter(astronaut: UInt8Array, face: Face, scale: float) -> None:
    matrix = cv2.getRotationMatrix2D((225, 125), 25, scale)
    matrix[:, 2] += 250 * scale - np.array([225, 125])
    side = round(500 * scale)
    turned = np.asarray(cv2.warpAffine(astronaut, matrix, (side, side)), np.uint8)
    assert face.landmarks is not None
    landmarks = (face.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    expected = mouth_edges(astronaut, face.landmarks)
    assert mouth_edges(turned, landmarks) == pytest.approx(expected, rel=0.35)


def test_landmarks_without_extent_and_beyond_the_image_are_taken() -> None:
    image = np.full((20, 30, 3), 90, np.uint8)
    assert mouth_edges(image, np.zeros((478, 2), np.float32)) == 0
    assert (
        mouth_edges(image, np.random.default_rng(0).uniform(900, 999, (478, 2)).astype("f4")) >= 0
    )
