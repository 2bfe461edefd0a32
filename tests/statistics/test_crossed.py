import numpy as np
import pytest
from scipy import stats

from mien.statistics.paired import crossed_differences, crossed_interval, seed_differences


def test_no_noise_of_the_rows_leaves_the_interval_of_the_seeds() -> None:
    a = np.repeat([[0.8], [0.9], [0.7]], 50, axis=1)
    b = np.full((3, 50), 0.5)
    crossed = crossed_differences(a, b)
    seeds = seed_differences([0.8, 0.9, 0.7], [0.5] * 3)
    assert crossed.value == pytest.approx(0.3)
    assert (crossed.low, crossed.high) == pytest.approx((seeds.low, seeds.high))


def test_no_noise_of_the_seeds_leaves_the_interval_of_the_rows() -> None:
    row = np.random.default_rng(0).random(400)
    crossed = crossed_differences(np.tile(row, (3, 1)), np.zeros((3, 400)))
    half = 1.966 * row.std(ddof=1) / 20  # t with 399 degrees of freedom
    assert crossed.high == pytest.approx(row.mean() + half, abs=1e-4)


def test_few_rows_count_one_degree_of_freedom_less() -> None:
    crossed = crossed_differences(np.tile([0.0, 1, 2, 5], (3, 1)), np.zeros((3, 4)))
    # Variance (4 + 1 + 0 + 9) / 3, over 4 rows; t of 3 degrees.
    half = 3.182446 * (14 / 12) ** 0.5
    assert (crossed.low, crossed.high) == pytest.approx((2 - half, 2 + half), rel=1e-6)


def test_seeds_and_rows_share_the_degrees_of_freedom_of_welch_and_satterthwaite() -> None:
    crossed = crossed_differences(np.array([[0.0, 1, 2], [2, 3, 7]]), np.zeros((2, 3)), 0.9)
    # Means of the seeds 1 and 4: variance 4.5 over 2. Of the rows 1, 2 and 4.5: 3.25 over 3.
    seeds, rows = 4.5 / 2, 3.25 / 3
    freedom = (seeds + rows) ** 2 / (seeds**2 / 1 + rows**2 / 2)
    half = stats.t.isf(0.05, freedom) * (seeds + rows) ** 0.5
    assert crossed.value == pytest.approx(2.5)
    assert (crossed.low, crossed.high) == pytest.approx((2.5 - half, 2.5 + half))


def test_one_part_alone_keeps_its_own_degrees_of_freedom() -> None:
    found = crossed_interval(1.0, [(4.0, 5)])
    # t of 5 degrees, times the root of 4.
    assert (found.low, found.high) == pytest.approx((1 - 2 * 2.570582, 1 + 2 * 2.570582))


def test_it_covers_other_seeds_and_other_faces() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        of_seeds = generator.normal(0, 0.02, (5, 1))
        of_rows = generator.normal(0, 0.4, (1, 300))
        a = 0.01 + of_seeds + of_rows + generator.normal(0, 0.3, (5, 300))
        found = crossed_differences(a, np.zeros((5, 300)))
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.01 <= found.high
    # Never much below the nominal 95 %, and not uselessly wide.
    assert 0.93 <= covered / 400 <= 0.995


def test_one_seed_says_so_and_equal_models_give_zero() -> None:
    a = np.random.default_rng(2).integers(0, 2, (1, 100)).astype(float)
    assert "luck" in crossed_differences(a, np.zeros((1, 100))).reason
    same = crossed_differences(a, a)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    for wrong in (np.zeros((2, 3)), np.zeros(3), np.full((1, 100), np.nan)):
        with pytest.raises(ValueError, match="expected"):
            crossed_differences(a, wrong)
