from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mien.inference.drawing.placement import place_cards, place_in_margin
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


@given(st.lists(_boxes, min_size=1, max_size=12), st.floats(20, 900), st.floats(20, 700))
def test_cards_lie_inside_the_canvas_and_hide_nothing(
    faces: list[Box], width: float, height: float
) -> None:
    cards = place_cards(faces, [(width, height)] * len(faces), CANVAS, gap=8)
    assert len(cards) == len(faces)
    placed = [card for card in cards if card is not None]
    for number, card in enumerate(placed):
        assert (card.width, card.height) == (width, height)
        assert card.left >= 5 and card.left + width <= 995 + 1e-6
        assert card.top >= 5 and card.top + height <= 695 + 1e-6
        assert not any(_touch(card, other) for other in (*faces, *placed[:number]))


def test_beside_right_then_left_then_below() -> None:
    card = (200.0, 50.0)
    [right] = place_cards([Box(100, 100, 80, 80)], [card], CANVAS, 8)
    [left] = place_cards([Box(900, 100, 80, 80)], [card], CANVAS, 8)
    [below] = place_cards([Box(10, 100, 980, 80)], [card], CANVAS, 8)
    assert right and (right.left, right.top) == (188, 100)
    assert left and (left.left, left.top) == (692, 100)
    assert below and (below.left, below.top) == (10, 188)


def test_a_face_that_fills_the_picture_leaves_no_room() -> None:
    assert place_cards([Box(0, 0, 1000, 700)], [(100, 50)], CANVAS, 8) == [None]
    assert place_cards([Box(0, 0, 10, 10)], [(2000, 50)], CANVAS, 8) == [None]


@given(st.lists(st.tuples(st.floats(10, 200), st.floats(10, 300)), min_size=1, max_size=40))
def test_cards_in_the_margin_lie_beside_the_picture_and_apart(
    sizes: list[tuple[float, float]],
) -> None:
    placed = place_in_margin(sizes, 1000, 700, 8)
    for number, card in enumerate(placed):
        assert card.left >= 1000 and card.top >= 0
        assert card.top + card.height <= 700 or card.top == 8
        assert not any(_touch(card, other) for other in placed[:number])
