import doctest

import numpy as np
import pytest
from scipy import stats

from mien.metrics import classification as metrics
from mien.statistics import paired as module
from mien.statistics.bootstrap import Bootstrap, Interval, bootstrap, bootstrap_intervals
from mien.statistics.paired import (
    NOTHING_SHOWN,
    combined,
    holm,
    mcnemar,
    paired_differences,
    seed_differences,
    seed_test,
    verdict,
)


def draws_of(right: np.ndarray, **options) -> Bootstrap:
    values = right.astype(float)
    return bootstrap(
        lambda w: {"accuracy": metrics.weighted_means(w, values)}, right.size, **options
    )


def two_models(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    hard = rng.random(n)
    return hard + 0.1 * rng.normal(size=n) < 0.7, hard + 0.1 * rng.normal(size=n) < 0.6


@pytest.mark.parametrize("clusters", [None, np.arange(120) // 3])
def test_paired_differences_are_those_of_a_plain_loop(clusters: np.ndarray | None) -> None:
    a, b = two_models()
    options = {"draws": 200, "seed": 3, "clusters": clusters}
    found = paired_differences(draws_of(a, **options), draws_of(b, **options))["accuracy"]
    loop = np.random.default_rng(3)
    units = 120 if clusters is None else 40
    values = []
    for _ in range(200):
        taken = loop.integers(0, units, units)
        rows = taken if clusters is None else np.flatnonzero(clusters == taken[:, None])
        rows = rows if clusters is None else rows % 120
        values.append(a[rows].mean() - b[rows].mean())
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_pairing_takes_out_what_the_models_share() -> None:
    a, b = two_models()
    paired = paired_differences(draws_of(a), draws_of(b))["accuracy"]
    alone = [
        bootstrap_intervals(lambda w, r=r: {"x": metrics.weighted_means(w, r * 1.0)}, 120)["x"]
        for r in (a, b)
    ]
    assert paired.high - paired.low < 0.8 * sum(one.high - one.low for one in alone) / 2**0.5


def test_a_model_does_not_differ_from_itself() -> None:
    a, _ = two_models()
    found = paired_differences(draws_of(a), draws_of(a))["accuracy"]
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert "same in every draw" in found.reason
    assert verdict([found], 1.0) == NOTHING_SHOWN


def test_the_mean_over_runs_is_drawn_as_one() -> None:
    a, b = two_models()
    both = combined([draws_of(a), draws_of(b)])
    values = (a * 1.0 + b) / 2
    np.testing.assert_allclose(both.drawn["accuracy"], draws_of(values).drawn["accuracy"])
    assert both.values["accuracy"] == pytest.approx(values.mean())


def test_only_what_both_have_is_compared_and_only_on_the_same_draws() -> None:
    a, b = two_models()
    more = bootstrap(lambda w: {"accuracy": w[:, 0], "nll": w[:, 1]}, 120)
    assert paired_differences(draws_of(a), more).keys() == {"accuracy"}
    for other in (draws_of(b, seed=1), draws_of(b, draws=10), draws_of(b[1:])):
        with pytest.raises(ValueError, match="bootstraps of one design"):
            paired_differences(draws_of(a), other)


def test_undefined_statistics_have_no_difference() -> None:
    endless = bootstrap(lambda w: {"x": np.full(len(w), np.inf)}, 5)
    found = paired_differences(endless, endless)["x"]
    assert found.value is None and found.low is None and found.reason
    row = draws_of(np.ones(1))
    assert paired_differences(row, row)["accuracy"].reason.startswith("there is one row")


@pytest.mark.parametrize("n", [2, 3, 8])
def test_seed_differences_are_scipys_paired_t(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.random((2, n))
    found = seed_differences(list(a), list(b), level=0.9)
    twin = stats.ttest_rel(a, b)
    interval = twin.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.value == pytest.approx((a - b).mean())
    assert seed_test(list(a), list(b)) == pytest.approx(twin.pvalue)


def test_coverage_over_seeds() -> None:
    # A seed's luck is shared by both recipes; the difference is 0.02 with luck of its own.
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        luck = 0.05 * rng.normal(size=4)
        a, b = 0.82 + luck + 0.01 * rng.normal(size=4), 0.80 + luck + 0.01 * rng.normal(size=4)
        found = seed_differences(a, b)
        covered += found.low <= 0.02 <= found.high
    # 950 with a standard deviation of 7; a normal interval in place of the t would cover 860.
    assert 929 <= covered <= 971


def test_seeds_that_say_nothing() -> None:
    one = seed_differences([0.8], [0.7])
    assert one.value == pytest.approx(0.1) and one.low is None and "luck" in one.reason
    assert seed_test([0.8], [0.7]) is None
    alike = seed_differences([0.8, 0.9], [0.7, 0.8])
    assert alike.low == alike.high == pytest.approx(0.1) and "every seed" in alike.reason
    assert seed_test([0.8, 0.9], [0.7, 0.8]) is None
    assert seed_test([0.8, 0.9], [0.8, 0.9]) == 1
    for bad in (([0.1], [0.1, 0.2]), ([], []), ([np.nan, 1], [0, 1])):
        with pytest.raises(ValueError, match="expected"):
            seed_differences(*bad)
    with pytest.raises(ValueError, match="level"):
        seed_differences([0.1, 0.2], [0.1, 0.3], level=95)


def test_mcnemar_is_the_sign_test_of_the_rows_that_differ() -> None:
    a, b = two_models()
    found = mcnemar(a, b)
    pairs = sum(1 for x, y in zip(a, b, strict=True) if x and not y)
    assert found.only_a == pairs and found.only_b == int((~a & b).sum())
    tail = stats.binom.cdf(min(found.only_a, found.only_b), found.only_a + found.only_b, 0.5)
    assert found.p == pytest.approx(min(1, 2 * tail))
    swapped = mcnemar(b, a)
    assert (swapped.only_a, swapped.only_b, swapped.p) == (found.only_b, found.only_a, found.p)
    assert mcnemar(a, a).p == 1
    assert mcnemar(np.zeros(0, bool), np.zeros(0, bool)).p == 1
    for bad in (np.ones(3), np.ones(4, bool), np.ones((3, 1), bool)):
        with pytest.raises(ValueError, match="boolean"):
            mcnemar(np.ones(3, bool), bad)


def test_mcnemar_is_rarely_wrong_about_equal_models() -> None:
    rng = np.random.default_rng(0)
    wrong = sum(mcnemar(*(rng.random((2, 60)) < 0.7)).p < 0.05 for _ in range(500))
    assert 0 < wrong <= 25 + 3 * 5


def naive_holm(p: list[float]) -> list[float]:
    """The smallest level at which the step-down procedure rejects each, by its definition."""
    m, order = len(p), sorted(range(len(p)), key=lambda index: p[index])
    return [
        min(1, max((m - step) * p[order[step]] for step in range(order.index(index) + 1)))
        for index in range(m)
    ]


@pytest.mark.parametrize("p", [[], [0.04], [0.01, 0.04, 0.03, 0.005], [0.5, 0.9], [0.02, 0.02, 1]])
def test_holm_is_its_definition(p: list[float]) -> None:
    assert holm(p) == pytest.approx(naive_holm(p))


def test_holm_rejects_what_is_no_p() -> None:
    for bad in ([1.2], [np.nan], [-0.1]):
        with pytest.raises(ValueError, match="p values"):
            holm(bad)


UP, DOWN, ACROSS = Interval(2, 1, 3), Interval(-2, -3, -1), Interval(0.5, -1, 2)


@pytest.mark.parametrize(
    ("evidence", "p", "word"),
    [
        ([UP], 0.01, "better"),
        ([DOWN], 0.01, "worse"),
        ([UP, UP], 0.01, "better"),
        ([UP, DOWN], 0.01, NOTHING_SHOWN),
        ([UP, ACROSS], 0.01, NOTHING_SHOWN),
        ([ACROSS], 0.01, NOTHING_SHOWN),
        ([UP], 0.05, NOTHING_SHOWN),
        ([UP], None, NOTHING_SHOWN),
        ([], 0.01, NOTHING_SHOWN),
        ([Interval(2, reason="one subject")], 0.01, NOTHING_SHOWN),
    ],
)
def test_the_word_needs_all_evidence(evidence: list, p: float | None, word: str) -> None:
    assert verdict(evidence, p) == word


def test_examples() -> None:
    result = doctest.testmod(module, extraglobs={"np": np})
    assert result.attempted and not result.failed
