from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.inference.drawing import attention as module
from mien.inference.drawing.annotate import annotate
from mien.inference.drawing.attention import draw_attention
from mien.inference.predictor import Predictor
from mien.schema import FloatArray, Patch, Preprocessing, UInt8Array

from ..conftest import SIZE, OneFace, description, picture

WriteModel = Callable[..., Path]
YELLOW, BLUE = (253, 231, 37), (68, 1, 84)  # the ends of viridis
# A crop of 100 pixels a side, turned by a quarter: its x runs down from (60, 40), its y leftwards
# from (160, 40).
TURNED = Patch(np.array([[0.0, 0.01, -0.4], [-0.01, 0.0, 1.6]]))
WHOLE = Patch(np.array([[0.01, 0.0, -0.6], [0.0, 0.01, -0.4]]))


def one_hot(row: int, column: int, side: int = 5) -> FloatArray:
    weights = np.full((side, side), 0.2, np.float32)
    weights[row, column] = 0.7
    return weights


def drawn(
    weights: FloatArray, *patches: Patch, scale: float = 1, size: tuple[int, int] = (200, 180)
) -> UInt8Array:
    canvas = Image.new("RGB", size, (90, 60, 30))
    draw_attention(canvas, weights, patches, scale=scale)
    return np.asarray(canvas)


def changed(image: UInt8Array) -> np.ndarray:
    return (image != (90, 60, 30)).any(axis=2)


@pytest.mark.parametrize(
    ("patch", "scale", "place"),
    [
        (WHOLE, 1, (60 + 70, 40 + 30)),
        (TURNED, 1, (160 - 30, 40 + 70)),
        (WHOLE, 2, (2 * 130, 2 * 70)),
    ],
)
def test_the_largest_weight_is_yellow_at_its_place(
    patch: Patch, scale: float, place: tuple[int, int]
) -> None:
    image = drawn(one_hot(1, 3), patch, scale=scale, size=(400, 360))
    yellow = image[..., 1].astype(int) - image[..., 2]
    y, x = np.unravel_index(yellow.argmax(), yellow.shape)
    assert np.hypot(x - place[0], y - place[1]) < 8 * scale
    # Half of the color over half of the picture's luma.
    luma = 0.299 * 90 + 0.587 * 60 + 0.114 * 30
    expected = (np.array(YELLOW) + luma) / 2
    np.testing.assert_allclose(image[place[1], place[0]], expected, atol=6)
    least = image[int(75 * scale), int(80 * scale)] if scale == 1 else image[150, 160]
    np.testing.assert_allclose(least, (np.array(BLUE) + luma) / 2, atol=6)


def test_it_fades_at_the_edge_and_ends_there() -> None:
    image = drawn(one_hot(2, 2), WHOLE)
    inside = changed(image)
    assert not inside[:40].any() and not inside[140:].any()
    assert not inside[:, :60].any() and not inside[:, 160:].any()
    assert inside[60:120, 80:140].all()
    steps = np.abs(np.diff(image[90].astype(int), axis=0)).max()
    assert steps <= 20  # an edge without fading is a step of 45


def test_a_map_is_stretched_to_its_own_range_and_a_flat_one_is_not_drawn() -> None:
    weights = one_hot(2, 1)
    difference = drawn(weights, WHOLE).astype(int) - drawn(weights * 0.1 + 0.5, WHOLE)
    assert np.abs(difference).max() <= 1
    assert not changed(drawn(np.full((5, 5), 0.5, np.float32), WHOLE)).any()
    assert not changed(drawn(0.5 + weights / 1000, WHOLE)).any()


def test_what_lies_outside_the_picture_is_left_out() -> None:
    half = Patch(np.array([[0.01, 0.0, 0.5], [0.0, 0.01, 0.5]]))  # from (-50, -50)
    image = drawn(one_hot(3, 3), half)
    assert changed(image)[5:30, 5:30].all() and not changed(image)[50:].any()
    away = Patch(np.array([[0.01, 0.0, 9.0], [0.0, 0.01, 0.5]]))
    assert not changed(drawn(one_hot(3, 3), away)).any()


def test_tiles_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drawn(one_hot(1, 3), TURNED)
    monkeypatch.setattr(module, "_TILE", 13)
    np.testing.assert_array_equal(drawn(one_hot(1, 3), TURNED), whole)


def test_strips_that_overlap_are_no_thicker() -> None:
    # Both halves of the map on one place: the mean of their weights, in one layer.
    shift = np.array([[0, 0, 0], [0, 0, 0.5]])
    upper = Patch(WHOLE.matrix * [[1], [0.5]], 0, 0.5)
    lower = Patch(WHOLE.matrix * [[1], [0.5]] + shift, 0.5, 1)
    weights = np.repeat(np.float32([0.2, 0.8]), 3)[:, None].repeat(6, axis=1)
    both = drawn(weights, upper, lower)
    luma = 0.299 * 90 + 0.587 * 60 + 0.114 * 30
    middle = (np.array([33, 145, 140]) + luma) / 2  # viridis at a half
    np.testing.assert_allclose(both[90, 110], middle, atol=8)
    only = drawn(weights, upper)
    np.testing.assert_allclose(only[75, 110], (np.array(BLUE) + luma) / 2, atol=8)


def test_a_prediction_carries_where_its_map_lies(write_model: WriteModel) -> None:
    image = picture(height=700, width=700)
    with Predictor.load(write_model(attention=True), detector=OneFace(side=0.3)) as predictor:
        [face] = predictor(image)
        [tight] = predictor(image, tight=True)
    [patch], [flat] = face.patches, tight.patches
    corners = np.array([[0, 0], [1, 1]])
    back = np.linalg.solve(flat.matrix[:, :2], corners.T - flat.matrix[:, 2:]).T
    np.testing.assert_allclose(back, [[0, 0], [700, 700]], atol=1e-6)
    assert face.face is not None and face.face.landmarks is not None
    eyes = face.face.landmarks[:2] @ patch.matrix[:, :2].T + patch.matrix[:, 2]
    np.testing.assert_allclose(eyes[:, 1], 0.393, atol=0.03)
    np.testing.assert_allclose(eyes.mean(0)[0], 0.5, atol=0.01)

    with_map = annotate(image, [face])
    bare = Predictor.load(write_model(), detector=OneFace(side=0.3))(image)
    assert bare[0].patches == () and bare[0].attention is None
    differs = (with_map != annotate(image, bare)).any(axis=2)
    assert differs[330:370, 330:370].mean() > 0.9
    assert not differs[:200].any() and not differs[:, :200].any()


def test_a_stack_is_laid_back_strip_by_strip(write_model: WriteModel) -> None:
    recipe = Preprocessing(size=SIZE, partial_image="stack")
    metadata = description(
        preprocessing=recipe.model_dump(mode="json"), preprocessing_hash=recipe.hash, attention=True
    )
    model = write_model(metadata, attention=True)
    with Predictor.load(model, detector=OneFace(side=0.3)) as predictor:
        [face] = predictor(picture(height=700, width=700))
    assert [(round(one.top * SIZE), round(one.bottom * SIZE)) for one in face.patches] == [
        (0, 13),
        (13, 19),
        (19, 32),
    ]
