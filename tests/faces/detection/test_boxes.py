import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.detection.boxes import box_of, distinct, largest_first, overlap
from mien.schema import Box, Face

BOXES = st.builds(Box, *[st.floats(-50, 50)] * 2, *[st.floats(0.5, 60)] * 2)


@settings(deadline=None)
@given(BOXES, BOXES)
def test_overlap_is_symmetric_bounded_and_one_with_itself(one: Box, two: Box) -> None:
    assert overlap(one, two) == pytest.approx(overlap(two, one))
    assert 0 <= overlap(one, two) <= 1 + 1e-9
    assert overlap(one, one) == pytest.approx(1)


def test_a_single_point_has_a_box() -> None:
    assert box_of(np.array([[3, 4]], np.float32)) == Box(3, 4, 1e-3, 1e-3)


def test_the_better_scored_of_two_on_one_another_stays() -> None:
    near, same, far = Box(0, 0, 10, 10), Box(1, 1, 10, 10), Box(50, 0, 30, 30)
    faces = [Face(near, 0.6), Face(same, 0.9), Face(far, 0.5)]
    assert [face.score for face in distinct(faces)] == [0.9, 0.5]
    assert [face.score for face in largest_first(faces)] == [0.5, 0.6, 0.9]
