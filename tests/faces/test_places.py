"""Where a crop's pixels come from: matrices and patches are checked on lights in a dark image."""

import numpy as np
import pytest

from mien.faces.align import anchor_points, cut_face, template_points
from mien.faces.partial_image import compose_partial_image, patches_of
from mien.faces.regions import REGIONS, action_unit_boxes
from mien.schema import Box, Face, FloatArray, Preprocessing, UInt8Array

FIVE = np.float32([[120, 95], [178, 118], [146, 140], [112, 150], [152, 168]])


def light(place: tuple[float, float]) -> UInt8Array:
    """A dark image with a soft light at a place of it."""
    y, x = np.mgrid[:260, :300] + 0.5
    glow = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 8)
    return np.repeat((255 * glow)[..., None], 3, axis=2).astype(np.uint8)


def center(crop: UInt8Array) -> list[float]:
    """The place of the light in fractions of the crop, x before y."""
    gray = crop[..., 0].astype(float)
    size = len(crop)
    return [(gray.sum(axis) @ (np.arange(size) + 0.5)) / gray.sum() / size for axis in (0, 1)]


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


@pytest.mark.parametrize("landmarks", [FIVE, None])
@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_the_matrix_takes_the_image_to_its_crop(
    landmarks: FloatArray | None, tight: bool, margin: float
) -> None:
    face = Face(Box(90, 60, 110, 120), 0.9, landmarks)
    recipe = Preprocessing(size=200, margin=margin, interpolation="linear")
    for place in ((150.0, 120.0), (131.0, 147.0)):
        cut = cut_face(light(place), face, recipe, tight=tight)
        expected = moved(cut.matrix, np.array(place))
        np.testing.assert_allclose(center(cut.crop), expected, atol=0.004)
    if landmarks is not None:
        assert cut.landmarks is not None
        np.testing.assert_allclose(moved(cut.matrix, landmarks), cut.landmarks, atol=1e-6)


def test_the_template_taken_back_lies_on_eyes_and_mouth() -> None:
    # Four points that a similarity can hit exactly: the template turned, enlarged and shifted.
    recipe = Preprocessing(size=96)
    corners = np.array([[0.315, 0.393], [0.685, 0.393], [0.349, 0.771], [0.651, 0.771]])
    turned = corners @ [[80, 30], [-30, 80]] + [100, 60]
    five = np.insert(turned, 2, turned.mean(0), axis=0).astype(np.float32)
    matrix = cut_face(light((150, 120)), Face(Box(0, 0, 9, 9), 0.9, five), recipe).matrix
    places = template_points(corners, recipe) / 96
    back = np.linalg.solve(matrix[:, :2], places.T - matrix[:, 2:]).T
    np.testing.assert_allclose(back, anchor_points(five), atol=1e-4)


@pytest.mark.parametrize("mode", ["full", "mask"])
def test_what_stays_at_its_place_is_one_patch(mode: str) -> None:
    recipe = Preprocessing(size=96, partial_image=mode)
    matrix = np.array([[0.01, 0.002, -0.5], [-0.002, 0.01, -0.4]])
    [patch] = patches_of(matrix, recipe)
    assert patch.matrix is matrix and (patch.top, patch.bottom) == (0, 1)


@pytest.mark.parametrize("mode", ["stack", "stack-eyes-mouth"])
@pytest.mark.parametrize("found", [False, True])
def test_each_strip_of_a_stack_is_taken_back_to_its_region(mode: str, found: bool) -> None:
    recipe = Preprocessing(size=192, partial_image=mode, interpolation="linear")
    face = Face(Box(90, 60, 110, 120), 0.9)
    mesh = None
    if found:
        # Regions of the person's own, far from the fixed ones and from each other.
        random = np.random.default_rng(3)
        mesh = (random.uniform(0.2, 0.7, (478, 2)) * 192).astype(np.float32)
    boxes = action_unit_boxes(recipe, mesh)
    matrix = cut_face(light((0, 0)), face, recipe).matrix
    patches = patches_of(matrix, recipe, mesh)
    names = [name for name in REGIONS if mode == "stack" or name != "nose"]
    assert len(patches) == len(names)
    assert patches[0].top == 0 and patches[-1].bottom == 1
    for name, patch in zip(names, patches, strict=True):
        box = boxes[name]
        inside = np.array([box.left + 0.4 * box.width, box.top + 0.6 * box.height]) / 192
        place = np.linalg.solve(matrix[:, :2], inside - matrix[:, 2])
        stack = compose_partial_image(
            cut_face(light(tuple(place)), face, recipe).crop, recipe, mesh
        )
        rows = slice(round(patch.top * 192), round(patch.bottom * 192))
        # Regions overlap, so the light may be in another strip as well.
        alone = np.zeros_like(stack)
        alone[rows] = stack[rows]
        np.testing.assert_allclose(center(alone), moved(patch.matrix, place), atol=0.012)
