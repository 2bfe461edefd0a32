import numpy as np
import pytest

from mien.statistics.paired import crossed_differences
from mien.statistics.paired_recordings import paired_severity_differences


def test_one_run_each_is_paired_over_subjects() -> None:
    # Errors of a: 1, 1, 2, 4 (mean 2); of b: 3, 1, 2, 6 (mean 3).
    truth = np.array([10.0, 20, 30, 40])
    names = np.array(["p", "p", "q", "r"])
    found = paired_severity_differences(
        truth, truth + np.array([1, -1, 2, 4]), truth + np.array([3, -1, 2, -6]), names, draws=500
    )
    assert found["mae"].value == pytest.approx(-1)
    # Roots of (1 + 1 + 4 + 16) / 4 and (9 + 1 + 4 + 36) / 4.
    assert found["rmse"].value == pytest.approx(5.5**0.5 - 12.5**0.5)
    assert set(found) == {"mae", "rmse", "ccc"}
    assert found["mae"].reason == "one seed: its luck is not in the interval"
    # By subject the differences are -1 (two recordings), 0 and -2: no draw leaves [-2, 0].
    assert (found["mae"].low, found["mae"].high) == (-2, 0)


def test_what_both_models_share_cancels() -> None:
    rng = np.random.default_rng(0)
    truth, hard = rng.uniform(0, 60, 60), rng.gamma(1, 8, 60)
    names = np.arange(60).astype(str)
    found = paired_severity_differences(truth, truth + hard, truth + hard + 1, names)
    assert found["mae"].value == pytest.approx(-1)
    assert found["mae"].high - found["mae"].low < 1e-9


def test_seeds_and_subjects_are_crossed_as_for_faces() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 60, 80)
    a = truth + rng.normal(0, 5, (4, 80)) + rng.normal(0, 1, (4, 1))
    b = truth + rng.normal(0, 7, (4, 80)) + rng.normal(0, 1, (4, 1))
    found = paired_severity_differences(truth, a, b, np.arange(80).astype(str), draws=4000)["mae"]
    # With one recording a subject, a mean of absolute errors has a closed form.
    exact = crossed_differences(np.abs(a - truth), np.abs(b - truth))
    assert found.value == pytest.approx(exact.value)
    assert found.high - found.low == pytest.approx(exact.high - exact.low, rel=0.05)
    assert found.reason == ""
    # Runs are measured alone: fusing the seeds' predictions first would shrink every error.
    fused = paired_severity_differences(truth, a.mean(0), b.mean(0), np.arange(80).astype(str))
    assert abs(fused["mae"].value) < 0.8 * abs(found.value)


def test_luck_of_the_seeds_widens_the_interval() -> None:
    rng = np.random.default_rng(2)
    truth = rng.uniform(0, 60, 50)
    off = np.array([[1.0], [9.0], [2.0]])  # the same shift for every recording
    found = paired_severity_differences(
        truth, truth + off, truth + 3.0 + 0 * off, np.arange(50).astype(str), draws=200
    )["mae"]
    # Differences by seed -2, 6, -1: mean 1, standard error sqrt(19 / 3), t of 2 degrees 4.303.
    assert found.value == pytest.approx(1)
    assert found.high - found.value == pytest.approx(4.3027 * (19 / 3) ** 0.5, rel=1e-3)


def test_few_subjects_count_one_degree_of_freedom_less() -> None:
    # Four subjects of two recordings each, whose errors differ by 0, 1, 2 and 5 with every seed.
    gap = np.repeat([0.0, 1, 2, 5], 2)
    truth, names = np.arange(8.0), np.repeat(list("abcd"), 2)
    found = paired_severity_differences(
        truth, np.tile(truth + 1 + gap, (3, 1)), np.tile(truth + 1, (3, 1)), names, draws=20_000
    )["mae"]
    assert found.value == pytest.approx(2)
    # The bootstrap variance of a mean of four is 14 / 4 over 4; t of 3 degrees is 3.182, of 4
    # 2.776 and of 7, one less than the recordings, 2.365.
    assert found.high - found.value == pytest.approx(3.1824 * (14 / 16) ** 0.5, rel=0.02)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_subjects_not_recordings_are_drawn() -> None:
    rng = np.random.default_rng(3)
    truth, gap = rng.uniform(0, 60, 12), rng.normal(0, 4, (2, 12))
    names = np.arange(12).astype(str)
    once = paired_severity_differences(truth, truth + gap[0], truth + gap[1], names)["mae"]
    twice = paired_severity_differences(
        np.tile(truth, 2), np.tile(truth + gap[0], 2), np.tile(truth + gap[1], 2), np.tile(names, 2)
    )["mae"]
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize("wrong", [np.zeros(3), np.array([np.nan] * 4), np.zeros((2, 4))])
def test_what_does_not_fit_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        paired_severity_differences(np.zeros(4), wrong, np.zeros(4), np.array(list("abcd")))
