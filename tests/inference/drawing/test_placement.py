from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mien.inference.drawing.placement import place_cards
from mien.schema import Box

CANVAS = Box(5, 5, 990, 690)
_boxes = st.builds(
    Box, st.floats(0, 950), st.floats(0, 650), st.floats(10, 400), st.floats(10, 400)
)


def _touch(one: Box, two: Box) -> bool:
    return (
        min(one.left + one.width, two.left + two.width) - max(one.left, two.left) > 1e-6
        and min(one.top + one.height, two.top + two.height) - max(one.top, two.top) > 1e-6
    )


@given(st.lists(_boxes, min_size=1, max_size=12), st.floats(20, 300), st.floats(20, 300))
def test_inside_the_canvas_and_free_when_said(
    faces: list[Box], width: float, height: float
) -> None:
    cards, free = place_cards(faces, [(width, height)] * len(faces), CANVAS, gap=8)
    assert len(cards) == len(faces)
    for card in cards:
        assert (card.width, card.height) == (width, height)
        assert card.left >= 5 and card.left + width <= 995 + 1e-6
        assert card.top >= 5 and card.top + height <= 695 + 1e-6
    if free:
        for number, card in enumerate(cards):
            assert not any(_touch(card, other) for other in (*faces, *cards[:number]))


def test_beside_right_then_left_then_below() -> None:
    card = (200.0, 50.0)
    [right], _ = place_cards([Box(100, 100, 80, 80)], [card], CANVAS, 8)
    [left], _ = place_cards([Box(900, 100, 80, 80)], [card], CANVAS, 8)
    [below], _ = place_cards([Box(10, 100, 980, 80)], [card], CANVAS, 8)
    assert (right.left, right.top) == (188, 100)
    assert (left.left, left.top) == (692, 100)
    assert (below.left, below.top) == (10, 188)


def test_a_face_that_fills_the_picture_leaves_no_room() -> None:
    assert not place_cards([Box(0, 0, 1000, 700)], [(100, 50)], CANVAS, 8)[1]
