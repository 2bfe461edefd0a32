"""Severity: its scale and use, its interval by subject, and what it reads."""

import numpy as np
import pytest
from head_cases import CASES, LABELS, SCALE

from mien.errors import MienError
from mien.heads import Validation
from mien.heads.severity import Conformal, SeverityInfo, SeveritySettings
from mien.scales import RESEARCH_ONLY
from mien.statistics.conformal import calibrate

HEAD = CASES["severity"].head
INFO = SeverityInfo(scale=SCALE)


def arrays(targets: np.ndarray, predictions: np.ndarray, subjects: np.ndarray) -> Validation:
    heads = {"severity": predictions}
    return Validation({"severity": targets}, heads, heads, subjects)


def test_it_needs_a_scale_and_says_what_its_score_is_for() -> None:
    info = HEAD.describe(SeveritySettings(kind="score"), LABELS)
    assert info.scale == SCALE and not info.levels
    assert info.use.startswith(RESEARCH_ONLY) and info.use.endswith(LABELS.license_terms)
    with pytest.raises(MienError, match=r"with scores for the head severity, got a folder without"):
        HEAD.describe(SeveritySettings(), LABELS._replace(scale=None))


def test_a_score_has_no_distribution_over_levels() -> None:
    assert HEAD.outputs(INFO) == {"severity": (), "severity_levels": (25,)}
    assert HEAD.outputs(INFO.model_copy(update={"levels": False})) == {"severity": ()}


def test_metrics_are_in_points() -> None:
    targets, predictions = np.array([0.0, 10, 20]), np.array([1.0, 12, 16])
    values = {metric.name: metric.function(targets, predictions) for metric in HEAD.metrics}
    assert values["mae"] == pytest.approx(7 / 3)
    assert values["rmse"] == pytest.approx(7**0.5)
    assert values["pcc"] == pytest.approx(np.corrcoef(targets, predictions)[0, 1])
    spread = targets.var() + predictions.var() + (targets.mean() - predictions.mean()) ** 2
    covariance = np.cov(targets, predictions, bias=True)[0, 1]
    assert values["ccc"] == pytest.approx(2 * covariance / spread)
    constant = {metric.name: metric.function(targets, targets * 0) for metric in HEAD.metrics}
    assert constant["pcc"] == constant["ccc"] == 0


def test_its_interval_is_calibrated_by_subject() -> None:
    generator = np.random.default_rng(0)
    subjects = np.repeat([f"person {number}" for number in range(12)], 3)
    targets = generator.uniform(0, 24, 36).astype(np.float32)
    predictions = targets + generator.normal(0, 2, 36) + np.repeat(generator.normal(0, 2, 12), 3)
    info = HEAD.calibrate(INFO, arrays(targets, predictions, subjects))
    entry = calibrate(targets.astype(float), predictions, subjects)
    assert info.conformal.half_width == entry["half_width"] > 0
    assert (info.conformal.subjects, info.conformal.split) == (12, "valid")
    # As many rows of one person each would give another width.
    alone = HEAD.calibrate(INFO, arrays(targets, predictions, np.full(36, "")))
    assert alone.conformal.half_width != info.conformal.half_width
    few = HEAD.calibrate(INFO, arrays(targets[:9], predictions[:9], subjects[:9]))
    assert few.conformal.half_width is None and "it takes 9" in few.conformal.reason


def test_a_score_that_is_not_a_number_is_an_error_of_the_training() -> None:
    broken = arrays(np.array([1.0, 2.0]), np.array([1.0, np.nan]), np.array(["", ""]))
    with pytest.raises(FloatingPointError, match="became NaN"):
        HEAD.measured(broken)


@pytest.mark.parametrize(
    ("value", "severity", "low", "high", "band"),
    [(11.0, 11, 7, 15, "low"), (30.0, 24, 20, 24, "high"), (-2.0, 0, 0, 4, "low")],
)
def test_a_score_and_its_interval_lie_within_the_scale(
    value: float, severity: float, low: float, high: float, band: str
) -> None:
    info = INFO.model_copy(update={"conformal": Conformal(half_width=4.0)})
    read = HEAD.read(info, {"severity": np.float32([value])}, 0)
    assert (read["severity"], read["severity_low"], read["severity_high"]) == (severity, low, high)
    assert read["band"] == band and read["use"] == info.use == RESEARCH_ONLY
    bare = HEAD.read(INFO, {"severity": np.float32([value])}, 0)
    assert bare["severity_low"] is bare["severity_high"] is None


def test_a_clip_has_no_interval() -> None:
    info = INFO.model_copy(update={"conformal": Conformal(half_width=4.0)})
    assert HEAD.for_clip(info).conformal.half_width is None
    assert HEAD.for_clip(info).scale == SCALE
