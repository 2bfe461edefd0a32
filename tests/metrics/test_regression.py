import doctest

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from mien.metrics import regression
from mien.statistics.bootstrap import bootstrap_intervals

NAMES = ("ccc", "pcc", "rmse", "mae", "sagr")


def pairs(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets (n, 2); targets in steps of a tenth, so that some are zero."""
    rng = np.random.default_rng(seed)
    targets = np.round(rng.uniform(-1, 1, (n, 2)), 1)
    return 0.6 * targets + 0.1 + rng.normal(0, 0.2, (n, 2)), targets


def naive(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Loops in plain Python."""
    n = len(x)
    mx, my = sum(x) / n, sum(y) / n
    sx = sum((a - mx) ** 2 for a in x) / n
    sy = sum((b - my) ** 2 for b in y) / n
    sxy = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / n
    signs = [(a > 0) == (b > 0) and a != 0 for a, b in zip(x, y, strict=True) if b != 0]
    return {
        "ccc": 2 * sxy / (sx + sy + (mx - my) ** 2),
        "pcc": sxy / (sx * sy) ** 0.5,
        "rmse": (sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / n) ** 0.5,
        "mae": sum(abs(a - b) for a, b in zip(x, y, strict=True)) / n,
        "sagr": sum(signs) / len(signs),
    }


def test_every_metric_is_its_naive_twin_and_the_libraries() -> None:
    x, y = pairs()
    assert (y == 0).any()
    found = regression.valence_arousal_metrics(x, y)
    for index, name in enumerate(regression.DIMENSIONS):
        for metric, value in naive(x[:, index], y[:, index]).items():
            assert found[f"{metric}_{name}"] == pytest.approx(value, abs=1e-12), metric
        pearson = stats.pearsonr(x[:, index], y[:, index]).statistic
        assert found[f"pcc_{name}"] == pytest.approx(pearson, abs=1e-12)
        rmse = root_mean_squared_error(y[:, index], x[:, index])
        assert found[f"rmse_{name}"] == pytest.approx(rmse, abs=1e-12)
        mae = mean_absolute_error(y[:, index], x[:, index])
        assert found[f"mae_{name}"] == pytest.approx(mae, abs=1e-12)
    mean = (found["ccc_valence"] + found["ccc_arousal"]) / 2
    assert found["mean_ccc"] == mean


def test_weights_are_repeated_rows() -> None:
    x, y = pairs(20)
    counts = np.random.default_rng(1).integers(0, 3, (7, 20)).astype(float)
    together = regression.valence_arousal_metrics(x, y, weights=counts)
    for draw, row in enumerate(counts):
        taken = np.repeat(np.arange(20), row.astype(int))
        for key, value in regression.valence_arousal_metrics(x[taken], y[taken]).items():
            assert together[key].shape == (7,)
            assert together[key][draw] == pytest.approx(value, abs=1e-12), key


def test_the_whole_set_is_not_the_mean_of_batches() -> None:
    x, y = pairs(60)
    order = np.argsort(y[:, 0])
    x, y = x[order], y[order]
    whole = regression.valence_arousal_metrics(x, y)["ccc_valence"]
    batches = [regression.valence_arousal_metrics(a, b)["ccc_valence"] for a, b in
               zip(np.split(x, 6), np.split(y, 6), strict=True)]  # fmt: skip
    assert whole > np.mean(batches) + 0.2


def test_agreement_is_perfect_or_reversed() -> None:
    _, y = pairs()
    y -= y.mean(0)
    same, mirrored = (
        regression.valence_arousal_metrics(y, y),
        regression.valence_arousal_metrics(-y, y),
    )
    for name in regression.DIMENSIONS:
        assert (same[f"ccc_{name}"], same[f"pcc_{name}"]) == pytest.approx((1, 1))
        assert (mirrored[f"ccc_{name}"], mirrored[f"pcc_{name}"]) == pytest.approx((-1, -1))
        assert (same[f"sagr_{name}"], mirrored[f"sagr_{name}"]) == (1, 0)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1 / 3])
def test_constants(constant: float) -> None:
    _, y = pairs(50)
    flat = np.full(50, constant)
    ones = np.ones((3, 50))
    for weights in (None, ones):
        predicted = regression.moments(flat, y[:, 0], weights=weights)
        target = regression.moments(y[:, 0], flat, weights=weights)
        both = regression.moments(flat, flat, weights=weights)
        apart = regression.moments(flat, flat + 0.5, weights=weights)
        for constant_in in (predicted, target, apart):
            assert np.all(regression.concordance(constant_in) == 0)
        assert np.isnan(regression.concordance(both)).all()
        for any_constant in (predicted, target, both, apart):
            assert np.isnan(regression.correlation(any_constant)).all()


def test_float32_and_one_row() -> None:
    x, y = pairs()
    single = regression.valence_arousal_metrics(x.astype(np.float32), y.astype(np.float32))
    for key, value in regression.valence_arousal_metrics(x, y).items():
        assert single[key] == pytest.approx(value, abs=2e-6 if not key.startswith("sagr") else 0)
    one = regression.valence_arousal_metrics(np.array([[0.5, 0.1]]), np.array([[0.5, 0.0]]))
    assert np.isnan(one["ccc_valence"]) and one["ccc_arousal"] == 0
    assert one["sagr_valence"] == 1 and np.isnan(one["sagr_arousal"])


def test_zero_signs() -> None:
    x, y = np.array([0.1, -0.1, 0.0, 0.5]), np.array([0.0, 0.0, 0.5, 0.5])
    assert regression.sign_agreement(x, y) == 0.5
    assert np.isnan(regression.sign_agreement(x[:2], y[:2]))
    weights = np.array([[1.0, 1, 0, 1], [1, 1, 0, 0]])
    np.testing.assert_array_equal(regression.sign_agreement(x, y, weights=weights), [1, np.nan])


def test_shapes_that_do_not_fit() -> None:
    for x, y in ((np.zeros(3), np.zeros(4)), (np.zeros((3, 2)),) * 2, (np.zeros(0),) * 2):
        with pytest.raises(ValueError, match=r"predictions and targets \(N,\)"):
            regression.moments(x, y)


def test_intervals_in_bulk_hold_the_value_and_shrink_with_rows() -> None:
    widths = {}
    for n in (40, 640):
        x, y = pairs(n)
        found = bootstrap_intervals(
            lambda weights, x=x, y=y: regression.valence_arousal_metrics(x, y, weights=weights),
            n,
            draws=300,
        )
        assert set(found) == {f"{m}_{d}" for d in regression.DIMENSIONS for m in NAMES} | {
            "mean_ccc"
        }
        for entry in found.values():
            assert entry.low <= entry.value <= entry.high
        widths[n] = {key: entry.high - entry.low for key, entry in found.items()}
    assert all(widths[640][key] < 0.6 * widths[40][key] for key in widths[40])


def test_the_agreement_of_a_whole_set_is_no_mean_of_parts() -> None:
    # Two halves, each of perfect order but shifted: the mean of their CCC is not that of all.
    x, y = np.array([0.0, 2, 10, 12]), np.array([1.0, 3, 9, 11])
    halves = [float(regression.agreement(x[rows], y[rows])["ccc"]) for rows in ([0, 1], [2, 3])]
    whole = float(regression.agreement(x, y)["ccc"])
    # Means 6 and 6, variances 26 and 17, covariance 21: 42 / 43.
    assert whole == pytest.approx(42 / 43)
    assert abs(whole - np.mean(halves)) > 0.2


def test_consistency_is_that_of_shrout_and_fleiss_s_table() -> None:
    """ICC(3,1) by the mean squares of a two-way analysis of variance."""
    generator = np.random.default_rng(0)
    one = generator.normal(size=50)
    two = 0.6 * one + generator.normal(size=50) + 3
    rows, grand = np.stack([one, two], 1).mean(1), np.mean([one, two])
    between = 2 * ((rows - grand) ** 2).sum() / 49
    raters = 50 * ((np.array([one.mean(), two.mean()]) - grand) ** 2).sum()
    total = ((np.stack([one, two]) - grand) ** 2).sum()
    residual = (total - 49 * between - raters) / 49
    expected = (between - residual) / (between + residual)
    assert regression.consistency(regression.moments(one, two)) == pytest.approx(expected)
    assert np.isnan(regression.consistency(regression.moments(np.ones(3), np.ones(3))))


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(regression, extraglobs={"np": np})
    assert result.attempted == 7 and result.failed == 0


def test_consistency_of_judges_by_the_analysis_of_variance() -> None:
    # Judges 3 and 4 of Table 2 of Shrout and Fleiss (1979), by the analysis of variance.
    third, fourth = np.array([5, 3, 6, 2, 6, 4.0]), np.array([8, 6, 4, 2, 9, 7.0])
    pairs = np.stack([third, fourth], 1)
    between = 2 * ((pairs.mean(1) - pairs.mean()) ** 2).sum() / 5
    judges = 6 * ((pairs.mean(0) - pairs.mean()) ** 2).sum()
    rest = (((pairs - pairs.mean()) ** 2).sum() - between * 5 - judges) / 5
    expected = (between - rest) / (between + rest)
    assert regression.consistency(regression.moments(fourth, third)) == pytest.approx(expected)
    # Judges may differ in level.
    assert regression.consistency(regression.moments(third + 3, third)) == pytest.approx(1)
    assert regression.consistency(regression.moments(-third, third)) == pytest.approx(-1)
