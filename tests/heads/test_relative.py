"""What heads say relative to the same face at rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mien.heads import HEADS
from mien.heads.action_units import ActionUnitInfo
from mien.heads.expression import ExpressionInfo
from mien.heads.valence_arousal import ValenceArousalInfo
from mien.labels import LABEL_SPACES, LabelSpace

INFO = ExpressionInfo(label_space=LabelSpace(name="three", names=("anger", "neutral", "fear")))


def relative(now: list[float], rest: list[float], info: Any = INFO) -> list[float]:
    arrays = [{"expression": np.array([row], np.float32)} for row in (now, rest)]
    changed = HEADS["expression"].relative(info, *arrays)
    return [float(value) for value in changed["expression"][0]]


def test_a_face_at_rest_reads_as_neutral() -> None:
    assert relative([0.7, 0.2, 0.1], [0.7, 0.2, 0.1]) == pytest.approx([0.2, 0.7, 0.1])


def test_half_moves_where_rest_was_twice_as_much_like_it() -> None:
    now = relative([0.5, 0.1, 0.4], [0.6, 0.3, 0.1])
    assert now == pytest.approx([0.25, 0.35, 0.4])


def test_a_rest_that_is_neutral_changes_nothing() -> None:
    assert relative([0.5, 0.1, 0.4], [0.3, 0.5, 0.2]) == pytest.approx([0.5, 0.1, 0.4])


def test_a_rest_without_any_neutral_moves_all() -> None:
    assert relative([0.3, 0.0, 0.7], [1.0, 0.0, 0.0]) == pytest.approx([0, 0.3, 0.7])


def test_classes_without_neutral_stay() -> None:
    info = ExpressionInfo(label_space=LabelSpace(name="two", names=("anger", "fear")))
    arrays = {"expression": np.array([[0.9, 0.1]])}
    assert HEADS["expression"].relative(info, arrays, arrays) == {}
    assert "neutral" in LABEL_SPACES["ferplus"].names


@pytest.mark.parametrize(
    ("name", "info", "now", "rest", "expected"),
    [
        ("valence_arousal", ValenceArousalInfo(), [0.5, -0.9], [0.2, 0.6], [0.3, -1.0]),
        (
            "action_units",
            ActionUnitInfo(units=("AU1", "AU2"), thresholds=(0.5, 0.5)),
            [0.9, 0.1],
            [0.2, 0.3],
            [0.7, 0.0],
        ),
    ],
)
def test_numbers_are_differences_within_their_range(
    name: str, info: Any, now: list[float], rest: list[float], expected: list[float]
) -> None:
    arrays = [{name: np.array([row], np.float32)} for row in (now, rest)]
    changed = HEADS[name].relative(info, *arrays)[name]
    assert changed.dtype == np.float32
    assert changed[0] == pytest.approx(expected, abs=1e-6)


def test_the_inputs_are_not_changed() -> None:
    now, rest = np.array([[0.5, 0.1, 0.4]]), np.array([[0.6, 0.3, 0.1]])
    copies = now.copy(), rest.copy()
    HEADS["expression"].relative(INFO, {"expression": now}, {"expression": rest})
    assert (now == copies[0]).all() and (rest == copies[1]).all()
