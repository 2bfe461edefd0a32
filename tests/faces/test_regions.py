import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.align import TEMPLATE, alignment_matrix, template_points
from mien.faces.regions import action_unit_boxes
from mien.schema import Box, Face, Preprocessing


def corners(box: Box) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([box.left, box.top, box.left + box.width, box.top + box.height])


def holds(box: Box, point: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    left, top, right, bottom = corners(box)
    return bool(left <= point[0] <= right and top <= point[1] <= bottom)


@settings(deadline=None)
@given(st.integers(16, 512), st.floats(-0.2, 1))
def test_fixed_boxes_hold_their_parts_and_lie_inside(size: int, margin: float) -> None:
    preprocessing = Preprocessing(size=size, margin=margin)
    boxes = action_unit_boxes(preprocessing)
    assert list(boxes) == ["brows-eyes", "nose", "mouth"]
    for box in boxes.values():
        assert (corners(box) >= 0).all() and (corners(box) <= size + 1e-9).all()
        assert box.left + box.width / 2 == pytest.approx(size / 2)
    right_eye, left_eye, right_corner, left_corner = template_points(TEMPLATE, preprocessing)
    assert holds(boxes["brows-eyes"], right_eye) and holds(boxes["brows-eyes"], left_eye)
    if margin > -0.1:
        assert holds(boxes["mouth"], right_corner) and holds(boxes["mouth"], left_corner)
    assert boxes["brows-eyes"].top < boxes["nose"].top < boxes["mouth"].top


def test_landmarks_of_a_real_face_give_nearly_the_fixed_boxes(face: Face) -> None:
    assert face.landmarks is not None
    preprocessing = Preprocessing(size=100)
    matrix = alignment_matrix(face.landmarks, preprocessing)
    landmarks = (face.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    outlined, fixed = action_unit_boxes(preprocessing, landmarks), action_unit_boxes(preprocessing)
    for name in outlined:
        assert np.abs(corners(outlined[name]) - corners(fixed[name])).max() < 10
    assert outlined["mouth"].width > fixed["mouth"].width  # she smiles
    mouth = landmarks[[61, 291, 0, 17]]
    assert outlined["mouth"].width == pytest.approx(1.15 * np.ptp(mouth[:, 0]), rel=0.02)
    assert outlined["mouth"].height == pytest.approx(1.15 * np.ptp(mouth[:, 1]), rel=0.1)


def test_landmarks_without_outlines_or_outside_fall_back_to_the_fixed_boxes() -> None:
    preprocessing = Preprocessing(size=64)
    fixed = action_unit_boxes(preprocessing)
    assert action_unit_boxes(preprocessing, np.zeros((5, 2), np.float32)) == fixed
    for value in (-500, 500, np.nan):
        landmarks = np.full((478, 2), value, np.float32)
        assert action_unit_boxes(preprocessing, landmarks) == fixed
    with pytest.raises(ValueError, match=r"\(478, 2\) or \(5, 2\)"):
        action_unit_boxes(preprocessing, np.zeros((68, 2), np.float32))
