"""Scales of scores."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mien.scales import SCALES, Scale


@pytest.mark.parametrize(
    ("scale", "score", "band"),
    [
        ("bdi-ii", 0, "minimal"),
        ("bdi-ii", 13.4, "minimal"),
        ("bdi-ii", 13.5, "mild"),
        ("bdi-ii", 28, "moderate"),
        ("bdi-ii", 63, "severe"),
        ("phq-8", 9, "mild"),
        ("phq-8", 10, "moderate"),
    ],
)
def test_a_score_lies_in_the_band_of_its_nearest_whole_number(scale, score, band):
    assert SCALES[scale].band(score) == band


@pytest.mark.parametrize("score", [-0.1, 63.1, float("nan")])
def test_a_score_outside_the_scale_has_no_band(score):
    with pytest.raises(ValueError, match=r"\[0, 63\]"):
        SCALES["bdi-ii"].band(score)


def test_a_scale_may_have_no_bands():
    assert Scale(name="ours", top=10).band(3) == ""


@pytest.mark.parametrize(
    "bands", [(("low", 1),), (("low", 0), ("high", 0)), (("low", 0), ("x", 9))]
)
def test_bands_ascend_from_zero_within_the_scale(bands):
    with pytest.raises(ValidationError, match="ascend"):
        Scale(name="ours", top=8, bands=bands)
