"""Smoothing over time, and readings relative to a person's own rest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mien.heads.expression import ExpressionInfo
from mien.heads.valence_arousal import ValenceArousalInfo
from mien.inference.frames import FaceOutput
from mien.inference.live import steady as module
from mien.inference.live.steady import Smoothing, Steady
from mien.inference.units import reading_of
from mien.labels import LABEL_SPACES
from mien.models import ModelInfo
from mien.schema import Box, Face, Prediction, Preprocessing, Status

SPACE = LABEL_SPACES["ferplus"]
PREPROCESSING = Preprocessing(size=32)
READING = reading_of(
    ModelInfo(
        name="tiny",
        heads={
            "expression": ExpressionInfo(label_space=SPACE, abstain_below=0.6),
            "valence_arousal": ValenceArousalInfo(),
        },
        preprocessing=PREPROCESSING,
        preprocessing_hash=PREPROCESSING.hash,
        license_terms="for tests",
    )
)
FACE = Face(Box(10, 10, 80, 80), 0.9)
UNITS = 17


def shares(**named: float) -> np.ndarray[Any, Any]:
    rest = (1 - sum(named.values())) / (len(SPACE.names) - len(named))
    return np.array([[named.get(name, rest) for name in SPACE.names]], np.float32)


def seen(
    time: float,
    expression: np.ndarray[Any, Any],
    affect: tuple[float, float] = (0.0, 0.0),
    unit: float = 0.0,
    *,
    track: int = 0,
    usable: bool = True,
) -> FaceOutput:
    prediction = Prediction(
        Status.ABSTAINED, "cam", "raw", frame=0, time=time, face=FACE, track=track, valence=9.0
    )
    outputs = {
        "expression": expression,
        "valence_arousal": np.array([affect], np.float32),
        "action_units": np.full((1, UNITS), unit, np.float32),
    }
    return FaceOutput(prediction, outputs if usable else None)


HAPPY, SAD = shares(happiness=0.9), shares(sadness=0.9)


def test_a_step_is_covered_as_the_time_constant_says() -> None:
    """Against the closed form, at uneven times."""
    smoothing = Smoothing(0.5)
    smoothing.add(1.0, {"x": np.zeros((1, 2), np.float32)})
    for time in (1.05, 1.3, 1.31, 2.0):
        smoothed = smoothing.add(time, {"x": np.ones((1, 2), np.float32)})["x"]
        expected = 1 - math.exp(-(time - 1.0) / 0.5)
        assert smoothed == pytest.approx(np.full((1, 2), expected), abs=1e-6)
        assert smoothed.dtype == np.float32


def test_a_steady_rise_is_followed_as_late_as_is_said() -> None:
    smoothing, step = Smoothing(0.5), 1 / 200
    for number in range(2000):
        time = number * step
        smoothed = float(smoothing.add(time, {"x": np.array([[time]])})["x"][0, 0])
    assert time - smoothed == pytest.approx(0.5, abs=step)


def test_zero_smooths_nothing() -> None:
    smoothing = Smoothing(0.0)
    for value in (0.3, 0.9):
        assert smoothing.add(0.0, {"x": np.array([[value]])})["x"] == value


def test_a_frame_without_an_output_has_none_and_spoils_no_mean() -> None:
    smoothing = Smoothing(1.0)
    smoothing.add(0.0, {"x": np.array([[0.0, 0.0]])})
    assert np.isnan(smoothing.add(0.5, {"x": np.array([[np.nan, np.nan]])})["x"]).all()
    later = smoothing.add(1.0, {"x": np.array([[1.0, 1.0]])})["x"]
    assert later == pytest.approx(np.full((1, 2), 1 - math.exp(-1)))


def test_probabilities_still_sum_to_one_and_decide() -> None:
    steady = Steady(READING, smooth=1.0, baseline=None)
    [first] = steady.read([seen(0.0, HAPPY, (0.8, 0.2), 0.6)])
    assert (first.status, first.expression) == (Status.OK, "happiness")
    [second] = steady.read([seen(0.3, SAD, (-0.8, 0.2), 0.0)])
    assert second.expression == "happiness"  # most of what was seen
    assert sum(second.probabilities.values()) == pytest.approx(1, abs=1e-6)
    share = 1 - math.exp(-0.3)
    assert second.valence == pytest.approx(0.8 - 1.6 * share, abs=1e-6)
    assert second.action_units["AU12"] == pytest.approx(0.6 * (1 - share), abs=1e-6)
    assert second.source == "cam" and second.time == 0.3 and second.reason == ""
    [third] = steady.read([seen(0.65, SAD)])
    assert third.status is Status.ABSTAINED and third.reason.startswith("not sure: ")
    [fourth] = steady.read([seen(9.0, SAD)])
    assert (fourth.status, fourth.expression) == (Status.OK, "sadness")


def test_persons_do_not_mix() -> None:
    steady = Steady(READING, smooth=5.0, baseline=None)
    steady.read([seen(0.0, HAPPY, track=0), seen(0.0, SAD, track=1)])
    one, two = steady.read([seen(0.1, HAPPY, track=0), seen(0.1, SAD, track=1)])
    assert one.probabilities["happiness"] == two.probabilities["sadness"] == pytest.approx(0.9)


def test_the_first_seconds_are_rest_and_the_others_relative_to_them() -> None:
    steady = Steady(READING, smooth=0.0, baseline=1.0)
    for time in (0.0, 0.5):
        [rest] = steady.read([seen(time, SAD, (-0.4, 0.1), 0.3)])
        assert rest.status is Status.ABSTAINED
        assert rest.reason == f"at rest: {time:.1f} of 1 s"
        assert rest.expression is None and rest.valence is None and not rest.action_units
        assert rest.face is FACE and rest.track == 0 and rest.time == time
    steady.read([seen(1.0, SAD, (-0.1, 0.1), 0.3)])
    [same] = steady.read([seen(1.1, SAD, (-0.4, 0.1), 0.3)])
    assert same.reason == "relative to the first 1 s"
    assert (same.status, same.expression) == (Status.OK, "neutral")
    assert same.probabilities["neutral"] == pytest.approx(0.9, abs=1e-6)
    assert same.valence == pytest.approx(-0.1, abs=1e-6)  # the mean of rest was -0.3
    assert same.arousal == pytest.approx(0, abs=1e-6)
    assert same.action_units["AU12"] == pytest.approx(0, abs=1e-6)
    [happy] = steady.read([seen(1.2, HAPPY, (0.9, -1.0), 0.1)])
    assert happy.expression == "happiness"
    assert happy.valence == 1.0 and happy.arousal == -1.0  # cut to what there is
    assert happy.action_units["AU12"] == 0.0
    [more] = steady.read([seen(1.3, HAPPY, unit=0.7)])
    assert more.action_units["AU12"] == pytest.approx(0.4, abs=1e-6)


def test_rest_is_the_mean_of_what_was_read_and_not_of_what_was_smoothed() -> None:
    steady, smoothing = Steady(READING, smooth=10.0, baseline=1.0), Smoothing(10.0)
    for time, valence in ((0.0, 0.0), (0.5, 0.9), (1.0, 0.9), (1.1, 0.9)):
        [prediction] = steady.read([seen(time, HAPPY, (valence, 0.0))])
        smoothed = float(smoothing.add(time, {"x": np.array([[valence]])})["x"][0, 0])
    assert prediction.valence == pytest.approx(smoothed - 0.6, abs=1e-6)


def test_rest_is_time_in_which_the_face_was_read() -> None:
    steady = Steady(READING, smooth=0.0, baseline=2.5)
    steady.read([seen(0.0, SAD)])
    [hidden] = steady.read([seen(0.5, SAD, usable=False)])
    assert hidden.reason == "raw" and hidden.valence is None
    for time, done in ((10.0, 1.0), (10.5, 1.5)):  # away for ten seconds, of which one counts
        [rest] = steady.read([seen(time, SAD)])
        assert rest.reason == f"at rest: {done:.1f} of 2.5 s"


def test_units_without_a_rest_of_their_own_are_not_given() -> None:
    steady = Steady(READING, smooth=0.0, baseline=0.5)
    for time in (0.0, 0.5, 0.6):
        unit = math.nan if time < 0.6 else 0.5
        [prediction] = steady.read([seen(time, HAPPY, unit=unit)])
    assert prediction.action_units == {} and "no action units" in prediction.reason
    assert prediction.expression is not None


def test_what_cannot_be_read_keeps_its_reason() -> None:
    steady = Steady(READING, smooth=1.0, baseline=None)
    [prediction] = steady.read([seen(0.0, HAPPY, usable=False)])
    assert prediction.status is Status.ABSTAINED and prediction.reason == "raw"


def test_who_is_long_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FORGET_SECONDS", 2.0)
    steady = Steady(READING, smooth=1.0, baseline=None)
    for number in range(50):
        steady.read([seen(float(number), HAPPY, track=number)])
    assert sorted(steady._persons) == [48, 49]
