from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.errors import MienError
from mien.heads.wording import percent, signed
from mien.inference.drawing.annotate import annotate, annotate_file
from mien.inference.drawing.cards import Card, card_of, draw_card
from mien.inference.drawing.colors import COLORS, color_of
from mien.inference.drawing.shapes import GRAY
from mien.labels import EXPRESSIONS
from mien.schema import Box, Face, Prediction, Status, UInt8Array


def _prediction(box: Box, expression: str = "happiness", *, abstained: bool = False) -> Prediction:
    rest = dict.fromkeys(EXPRESSIONS, 0.02)
    return Prediction(
        Status.ABSTAINED if abstained else Status.OK,
        reason="face is 18 pixels wide; at least 24 are needed" if abstained else "",
        face=Face(box, 0.9),
        expression=expression,
        confidence=0.86,
        probabilities=rest | {expression: 0.86},
    )


def _has(picture: UInt8Array, color: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - color).max(axis=2) <= 2).sum())


def _gray(height: int, width: int) -> UInt8Array:
    return np.full((height, width, 3), 100, np.uint8)


@pytest.mark.parametrize("size", [(2, 3), (48, 48), (64, 640), (700, 900), (3000, 4000)])
def test_any_size(size: tuple[int, int]) -> None:
    height, width = size
    image = _gray(height, width)
    side = min(size) / 3
    box = Box(width / 3, height / 3, side, side)
    drawn = annotate(image, [_prediction(box)])
    factor = max(1, round(drawn.shape[0] / height))
    assert drawn.dtype == np.uint8
    assert drawn.shape[0] == factor * height
    assert factor == 1 or min(size) < 640
    assert _has(drawn, COLORS["happiness"]) > 100
    assert (image == 100).all()


def test_valence_and_arousal_are_a_dot_in_the_circumplex() -> None:
    def dot(valence: float, arousal: float) -> tuple[float, float]:
        one = _prediction(Box(300, 100, 160, 200), "anger")
        drawn = annotate(_gray(900, 900), [replace(one, valence=valence, arousal=arousal)])
        rows, columns = np.nonzero(
            np.abs(drawn[335:, 480:].astype(int) - COLORS["anger"]).max(axis=2) <= 2
        )
        assert 100 < rows.size < 2000
        return float(columns.mean()), float(rows.mean())

    middle, right, top, beyond = dot(0, 0), dot(1, 0), dot(0, 1), dot(3, 0)
    assert right[0] - middle[0] == pytest.approx(middle[1] - top[1], abs=1) and top[1] < middle[1]
    assert right[1] == pytest.approx(middle[1], abs=1) and top[0] == pytest.approx(middle[0], abs=1)
    assert beyond == right  # at the rim, so that the dot stays on the card


def test_numbers_have_their_sign() -> None:
    assert [signed(value) for value in (0.415, -0.1, 0.0)] == ["+0.41", "-0.10", "+0.00"]


def test_the_face_itself_stays_visible() -> None:
    box = Box(300, 200, 160, 200)
    drawn = annotate(_gray(700, 900), [_prediction(box)])
    assert (drawn[230:370, 330:430] == 100).all()
    assert (drawn[:, :250] == 100).all()  # the card is on the right


def test_a_face_that_fills_the_picture_gets_a_margin() -> None:
    drawn = annotate(_gray(700, 700), [_prediction(Box(0, 0, 700, 700))])
    assert drawn.shape[0] == 700 and drawn.shape[1] > 850
    assert (drawn[100:600, 100:600] == 100).all()
    assert _has(drawn[:, 700:], COLORS["happiness"]) > 100


def test_crowds_get_smaller_cards_and_every_face_a_frame() -> None:
    boxes = [Box(20 + 150 * x, 20 + 110 * y, 50, 60) for x in range(6) for y in range(6)]
    names = [EXPRESSIONS[number % 8] for number in range(36)]
    drawn = annotate(
        _gray(700, 900), [_prediction(b, n) for b, n in zip(boxes, names, strict=True)]
    )
    assert drawn.shape == (700, 900, 3)
    for box, name in zip(boxes, names, strict=True):
        x, y = int(box.left), int(box.top)
        assert _has(drawn[y - 3 : y + 64, x - 3 : x + 54], COLORS[name]) > 50
        assert (drawn[y + 20 : y + 40, x + 15 : x + 35] == 100).all()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.builds(
            Box, st.floats(-30, 620), st.floats(-30, 460), st.floats(14, 300), st.floats(14, 300)
        ),
        min_size=1,
        max_size=14,
    ),
    st.booleans(),
)
def test_no_layout_hides_a_face(boxes: list[Box], tracked: bool) -> None:
    image = _gray(640, 700)
    faces = [
        replace(
            _prediction(box, EXPRESSIONS[n % 8], abstained=n % 2 == 1), track=n if tracked else None
        )
        for n, box in enumerate(boxes)
    ]
    hidden: list[Box] = []

    def note(picture: Image.Image, place: Box, card: Card, unit: float) -> None:
        inside = _shared(place, Box(0, 0, 700, 640)) > 0
        hidden.extend(box for box in boxes if inside and _shared(box, place) > 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mien.inference.drawing.annotate.draw_card", note)
        drawn = annotate(image, faces)
    assert hidden == []
    assert drawn.shape[0] >= 640 and (not tracked or drawn.shape == (640, 700, 3))


def test_a_number_lies_on_no_other_face() -> None:
    # The second face is below the first, so that there is no room above it.
    boxes = [Box(300, 100, 100, 120), Box(300, 222, 100, 120)]
    faces = [replace(_prediction(box, abstained=n == 0), track=n) for n, box in enumerate(boxes)]
    drawn = annotate(_gray(700, 900), faces)
    assert (drawn[112:205, 312:388] == 100).all()
    assert (drawn[236:330, 312:388] == 100).all()


def _shared(one: Box, two: Box) -> float:
    width = min(one.left + one.width, two.left + two.width) - max(one.left, two.left)
    height = min(one.top + one.height, two.top + two.height) - max(one.top, two.top)
    return max(width, 0) * max(height, 0)


def test_a_crowd_without_room_has_numbered_cards_in_the_margin() -> None:
    boxes = [Box(110 * x, 110 * y, 105, 105) for x in range(8) for y in range(6)]
    drawn = annotate(_gray(660, 880), [_prediction(box) for box in boxes])
    assert drawn.shape[1] > 880 + 100
    assert (drawn[30:80, 40:80] == 100).all()
    assert _has(drawn[:, 880:], COLORS["happiness"]) > 48 * 20


@pytest.mark.parametrize("value", [0.999, 1.0, 0.5])
def test_numbers_do_not_touch_their_bars(value: float) -> None:
    one = replace(_prediction(Box(0, 0, 9, 9)), probabilities={"anger": value, "fear": 1 - value})
    picture = Image.new("RGB", (400, 300))
    card = card_of(one, 8)
    draw_card(picture, Box(0, 0, card.width * 30, card.height * 30), card, 30)
    row = np.asarray(picture).astype(int)[round(2.36 * 30)]
    text = np.flatnonzero(np.abs(row - GRAY).max(axis=1) < 12)
    bar = np.flatnonzero(np.abs(row - COLORS["anger"]).max(axis=1) < 12)
    assert text.size and bar.size and bar.max() + 6 < text[text > 200].min()


def test_only_what_matters_is_listed_and_a_tie_is_one() -> None:
    one = _prediction(Box(0, 0, 9, 9))
    shares = {"anger": 0.47, "fear": 0.45, "sadness": 0.06, "neutral": 0.01, "disgust": 0.01}
    card = card_of(replace(one, expression="anger", probabilities=shares), 8)
    assert [bar.name for bar in card.bars] == ["anger", "fear", "sadness"]
    assert card.title == "anger or fear"
    sure = card_of(
        replace(one, expression="anger", probabilities={"anger": 0.999, "fear": 0.001}), 8
    )
    assert len(sure.bars) == 2 and (sure.title, sure.value) == ("anger", ">99 %")


def test_text_scales_with_the_picture() -> None:
    def unit(factor: int) -> float:
        sizes: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "mien.inference.drawing.annotate.draw_card", lambda *given: sizes.append(given[3])
            )
            box = Box(300 * factor, 200 * factor, 160 * factor, 200 * factor)
            annotate(_gray(700 * factor, 900 * factor), [_prediction(box)])
        return sizes[0]

    assert unit(3) == pytest.approx(3 * unit(1))


def test_abstained_faces_are_dashed_and_gray() -> None:
    box = Box(300, 200, 160, 200)
    certain = annotate(_gray(700, 900), [_prediction(box)])
    doubtful = annotate(_gray(700, 900), [_prediction(box, abstained=True)])
    assert _has(doubtful, COLORS["happiness"]) == 0
    left_edge = doubtful[230:370, 298:303].astype(int)
    light = (left_edge.min(axis=2) > 150).any(axis=1)
    assert 0.3 < light.mean() < 0.8
    assert np.abs(certain[230:370, 298:303].astype(int) - COLORS["happiness"]).max(axis=2).min() < 3


def test_boxes_may_reach_over_the_edge() -> None:
    for box in (Box(-50, -60, 200, 200), Box(850, 650, 300, 300), Box(-500, 0, 100, 100)):
        assert annotate(_gray(700, 900), [_prediction(box)]).shape == (700, 900, 3)


def test_without_a_face_the_reason_is_written() -> None:
    nothing = Prediction(Status.NO_FACE, reason="no face found in 900 x 700 pixels")
    image = _gray(700, 900)
    assert not np.array_equal(annotate(image, [nothing]), image)
    assert np.array_equal(annotate(image, []), image)


def test_colors_are_fixed_and_distinct() -> None:
    assert set(EXPRESSIONS) < set(COLORS)
    assert len(set(COLORS.values())) == len(COLORS)
    names = ["pain", "no pain", "happiness"]
    assert color_of("happiness", names) == COLORS["happiness"]
    assert color_of("pain", names) != color_of("no pain", names)


def test_long_class_names_are_cut() -> None:
    long = "an expression with an uncommonly long name"
    one = Prediction(
        Status.OK,
        face=Face(Box(300, 200, 160, 200), 0.9),
        expression=long,
        confidence=0.9,
        probabilities={long: 0.9, "other": 0.1},
    )
    assert (annotate(_gray(700, 900), [one])[:, 800:] == 100).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".PNG"])
def test_files(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "new" / f"face{suffix}"
    annotate_file(_gray(700, 900), [_prediction(Box(300, 200, 160, 200))], out)
    with Image.open(out) as image:
        assert image.size == (900, 700)
    assert os.listdir(out.parent) == [out.name]


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"expected a picture named \.png"):
        annotate_file(_gray(70, 90), [], tmp_path / "face.bmp")
    (tmp_path / "face.png").mkdir()
    with pytest.raises(MienError, match="expected to write"):
        annotate_file(_gray(70, 90), [], tmp_path / "face.png")
    assert os.listdir(tmp_path) == ["face.png"]


def test_a_person_without_values_has_a_card_where_a_model_of_faces_has_seen_it() -> None:
    face = Face(Box(300, 200, 160, 200), 0.9)
    one = Prediction(Status.ABSTAINED, reason="at rest: 1.0 of 5 s", face=face, track=0)
    unread = annotate(_gray(700, 900), [one])
    read = annotate(_gray(700, 900), [replace(one, crop=_gray(32, 32))])
    beside = np.s_[200:400, 480:]
    assert (unread[beside] == 100).all() and (read[beside] != 100).sum() > 5_000


def test_a_card_lists_what_the_heads_list() -> None:
    one = _prediction(Box(300, 200, 160, 200))
    units = {"AU1": 0.2, "AU6": 0.9, "AU12": 0.8, "AU25": 0.1}
    both = card_of(replace(one, action_units=units, valence=0.1, arousal=0.2), 3)
    assert [bar.name for bar in both.bars[3:]] == ["AU6", "AU12", "AU1"]
    assert [bar.text for bar in both.bars[2:]] == ["2 %", "0.90", "0.80", "0.20"]
    assert (both.title, both.value, both.inset) == ("happiness", percent(0.86), True)
    bare = Prediction(Status.OK, face=one.face, action_units=units)
    assert (card_of(bare, 8).title, card_of(bare, 8).value) == ("AU6", "0.90")
    assert not card_of(replace(bare, valence=0.1, arousal=0.2), 0).inset
    affect = card_of(Prediction(Status.OK, face=one.face, valence=0.1, arousal=0.2), 8)
    assert affect.inset and not affect.bars and affect.height > 5
    for each in (bare, Prediction(Status.OK, face=one.face, valence=0.1, arousal=0.2)):
        drawn = annotate(_gray(700, 900), [each])
        assert (drawn[230:370, 330:430] == 100).all() and (drawn != 100).sum() > 10_000
