import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import f1_score

from mien.metrics import classification as metrics
from mien.statistics.bootstrap import Interval, bootstrap_intervals
from mien.statistics.calibration import temperature_scale


def mean_of(values: np.ndarray):
    return lambda weights: {"mean": metrics.weighted_means(weights, values)}


def test_draws_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    targets, predictions = rng.integers(0, 3, (2, 50))

    def macro_f1(weights):
        return {
            "f1": metrics.macro_f1(
                metrics.confusion_matrix(targets, predictions, 3, weights=weights)
            )
        }

    interval = bootstrap_intervals(macro_f1, 50, draws=200, seed=4)["f1"]
    draws, loop = [], np.random.default_rng(4)
    for _ in range(200):
        rows = loop.integers(0, 50, 50)
        present = np.unique(targets[rows])
        draws.append(f1_score(targets[rows], predictions[rows], labels=present, average="macro"))
    assert (interval.low, interval.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_blocks_of_draws_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(40)
    whole = bootstrap_intervals(mean_of(values), 40, draws=101)["mean"]
    monkeypatch.setattr("mien.statistics.bootstrap._WEIGHTS_AT_ONCE", 80)
    blocks = bootstrap_intervals(mean_of(values), 40, draws=101)["mean"]
    assert (blocks.low, blocks.high) == pytest.approx((whole.low, whole.high), rel=1e-12)


def test_same_seed_same_interval_and_no_global_generator() -> None:
    values = np.random.default_rng(0).random(40)
    before = np.random.get_state()[1].copy()
    first = bootstrap_intervals(mean_of(values), 40, seed=1)
    assert bootstrap_intervals(mean_of(values), 40, seed=1) == first
    assert bootstrap_intervals(mean_of(values), 40, seed=2) != first
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_level_widens_the_interval() -> None:
    values = np.random.default_rng(0).random(40)
    narrow = bootstrap_intervals(mean_of(values), 40, level=0.5)["mean"]
    wide = bootstrap_intervals(mean_of(values), 40, level=0.99)["mean"]
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@pytest.mark.parametrize("size", [1, 10])
def test_coverage(size: int) -> None:
    # 60 subjects with a skill of their own and `size` rows each; the mean skill is 0.7.
    rng = np.random.default_rng(0)
    covered, ignored = 0, 0
    for trial in range(200):
        skill = rng.beta(3.5, 1.5, 60)
        right = (rng.random((60, size)) < skill[:, None]).ravel().astype(float)
        subjects = np.repeat(np.arange(60), size)
        kwargs = {"draws": 200, "seed": trial}
        own = bootstrap_intervals(mean_of(right), right.size, clusters=subjects, **kwargs)["mean"]
        rows = bootstrap_intervals(mean_of(right), right.size, **kwargs)["mean"]
        covered += own.low <= 0.7 <= own.high
        ignored += rows.low <= 0.7 <= rows.high
    # 95 % give 190 of 200 with a standard deviation of 3; the percentile bootstrap is a bit short.
    assert 178 <= covered <= 199
    if size > 1:
        assert ignored < 170, "rows of a subject passed for independent ones"


def test_clusters_of_one_row_are_rows() -> None:
    values = np.random.default_rng(0).random(30)
    alone = bootstrap_intervals(mean_of(values), 30, clusters=np.arange(30))["mean"]
    rows = bootstrap_intervals(mean_of(values), 30)["mean"]
    assert (alone.low, alone.high) == pytest.approx((rows.low, rows.high), rel=1e-12)


def test_names_of_clusters_do_not_matter() -> None:
    values = np.random.default_rng(0).random(30)
    numbers = np.repeat(np.arange(10), 3)
    names = np.array([f"subject {number}" for number in numbers])
    by_name = bootstrap_intervals(mean_of(values), 30, clusters=names)
    assert by_name == bootstrap_intervals(mean_of(values), 30, clusters=numbers)


def test_nothing_to_resample() -> None:
    row = bootstrap_intervals(mean_of(np.array([0.5])), 1)["mean"]
    assert row == Interval(0.5, reason="there is one row, so nothing to resample")
    cluster = bootstrap_intervals(mean_of(np.arange(4.0)), 4, clusters=np.zeros(4))["mean"]
    assert cluster == Interval(1.5, reason="there is one subject, so nothing to resample")


def test_draws_that_are_all_alike_say_so() -> None:
    interval = bootstrap_intervals(mean_of(np.ones(5)), 5)["mean"]
    assert (interval.value, interval.low, interval.high) == (1, 1, 1)
    assert "same in every draw" in interval.reason
    assert interval.as_dict().keys() == {"value", "low", "high", "reason"}


@pytest.mark.parametrize(("carriers", "has_interval"), [(0, False), (1, False), (8, True)])
def test_a_rare_class_gets_an_interval_only_when_most_draws_hold_it(carriers, has_interval) -> None:
    targets = np.r_[np.ones(carriers, int), np.zeros(50, int)]
    predictions = np.where(np.arange(targets.size) % 2, targets, 0)

    def recall(weights):
        matrix = metrics.confusion_matrix(targets, predictions, 2, weights=weights)
        return {"recall": metrics.recall(matrix)[:, 1]}

    interval = bootstrap_intervals(recall, targets.size)["recall"]
    assert (interval.value is not None) == (carriers > 0)
    assert (interval.low is not None) == has_interval
    assert bool(interval.reason) != has_interval


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        bootstrap_intervals(mean_of(np.empty(0)), 0)
    with pytest.raises(ValueError, match=r"level in \(0, 1\)"):
        bootstrap_intervals(mean_of(np.ones(2)), 2, level=95)
    with pytest.raises(ValueError, match=r"clusters of shape \(2,\), got \(3,\)"):
        bootstrap_intervals(mean_of(np.ones(2)), 2, clusters=np.zeros(3))


def overconfident(temperature: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 5)) * 2
    cumulative = softmax(logits, axis=1).cumsum(1)
    targets = (rng.random((n, 1)) > cumulative).sum(1).clip(max=4)
    return logits * temperature, targets


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_temperature_is_found_again(temperature: float) -> None:
    logits, targets = overconfident(temperature)
    assert temperature_scale(logits, targets) == pytest.approx(temperature, rel=0.06)


def test_temperature_is_the_optimum_and_log_probabilities_do_as_well() -> None:
    logits, targets = overconfident(3.0, 500)
    found = temperature_scale(logits, targets)
    one_hot = np.eye(5)[targets]

    def loss(temperature: float) -> float:
        return -(one_hot * log_softmax(logits / temperature, axis=1)).sum(1).mean()

    assert loss(found) <= min(loss(found * 1.01), loss(found / 1.01))
    assert temperature_scale(log_softmax(logits, axis=1), targets) == pytest.approx(found, rel=1e-3)
    assert temperature_scale(logits, one_hot) == pytest.approx(found, rel=1e-6)


def test_soft_targets_want_their_own_softness() -> None:
    logits = np.random.default_rng(0).normal(size=(200, 4)) * 3
    assert temperature_scale(logits, softmax(logits / 2, axis=1)) == pytest.approx(2, rel=1e-3)


def test_the_temperature_of_clips_is_that_of_what_is_pooled() -> None:
    """A recording's answer is the mean of its clips' probabilities, not of their logits."""
    rng = np.random.default_rng(0)
    logits, targets = overconfident(2.0, 300)
    clips = np.repeat(logits, 3, axis=0) + rng.normal(size=(900, 5)) * 4

    def pool(values: np.ndarray) -> np.ndarray:
        return values.reshape(300, 3, 5).mean(1)

    def loss(temperature: float) -> float:
        return -np.log(pool(softmax(clips / temperature, axis=1))[np.arange(300), targets]).mean()

    best = temperature_scale(clips, targets, pool=pool)
    assert loss(best) <= min(loss(best * 1.02), loss(best / 1.02), loss(1.0))
    # Pooled probabilities are calmer by themselves, so pooled logits want another temperature.
    other = temperature_scale(pool(clips), targets)
    assert other > 1.1 * best and loss(other) > loss(best)
    with pytest.raises(ValueError, match="300 targets"):
        temperature_scale(clips, np.zeros(900, int), pool=pool)


def test_degenerate_temperatures() -> None:
    assert temperature_scale(np.zeros((3, 2)), np.array([0, 1, 1])) == 1
    assert temperature_scale(np.eye(3), np.arange(3)) == pytest.approx(1 / 50)
    assert temperature_scale(np.eye(3), np.array([1, 2, 0])) == pytest.approx(50)
    saturated = np.array([[0.0, -np.inf], [0.0, -np.inf], [0.0, -np.inf]])
    assert np.isfinite(temperature_scale(saturated, np.array([0, 0, 1])))


@pytest.mark.parametrize(
    ("logits", "targets"),
    [
        (np.array([[np.nan, 0]]), np.array([0])),
        (np.array([[np.inf, 0]]), np.array([0])),
        (np.empty((0, 2)), np.empty(0, int)),
        (np.zeros((1, 2)), np.array([2])),
        (np.zeros((1, 2)), np.array([[0.5, 0.4]])),
        (np.zeros((2, 2)), np.array([0])),
    ],
)
def test_temperature_rejects(logits: np.ndarray, targets: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        temperature_scale(logits, targets)
