import doctest

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

import mien.metrics
from mien.heads import HEADS
from mien.metrics import catalog, multilabel
from mien.metrics.catalog import by_name

GROUPS = {
    "expression": (*catalog.EXPRESSION, *catalog.VOTES, *catalog.EMBEDDING),
    "valence_arousal": catalog.VALENCE_AROUSAL,
    "action_units": (*multilabel.ACTION_UNITS, *multilabel.UNIT_DECISIONS),
    "severity": catalog.SEVERITY,
}


def targets_and_predictions(group: str, noise: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By metric what it takes, from predictions that get worse with the noise."""
    rng = np.random.default_rng(0)
    if group == "severity":
        scores = rng.integers(0, 60, 80).astype(float)
        both = scores, scores + noise * rng.normal(0, 10, 80)
        return {metric.name: both for metric in GROUPS[group]}
    if group == "action_units":
        units = rng.integers(0, 2, (80, 12)).astype(float)
        probabilities = np.clip(units + noise * rng.normal(0, 0.4, (80, 12)), 0, 1)
        decisions = (probabilities >= 0.6).astype(float)
        return {metric.name: (units, probabilities) for metric in multilabel.ACTION_UNITS} | {
            metric.name: (units, decisions) for metric in multilabel.UNIT_DECISIONS
        }
    if group == "valence_arousal":
        values = rng.uniform(-1, 1, (80, 2))
        both = values, values + noise * rng.normal(0, 0.3, (80, 2))
        return {metric.name: both for metric in GROUPS[group]}
    classes = rng.integers(0, 4, 80)
    # Not sure enough: every class but the true one gets some of the probability.
    scores = np.eye(4)[classes] * 6 + noise * rng.gumbel(0, 2, (80, 4))
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    targets = dict.fromkeys(("accuracy", "mean_class_accuracy", "macro_f1", "ece", "nll"), classes)
    targets |= dict.fromkeys(("vote_agreement", "vote_kl"), 10 * np.eye(4)[classes])
    targets |= dict.fromkeys(("precision_at_1", "map_at_r", "distance_ratio"), classes)
    embedding = {"precision_at_1", "map_at_r", "distance_ratio"}
    return {
        name: (target, scores if name in embedding else probabilities)
        for name, target in targets.items()
    }


@pytest.mark.parametrize("group", GROUPS)
def test_greater_is_better_says_which_way_noise_moves_a_metric(group: str) -> None:
    good, bad = (targets_and_predictions(group, noise) for noise in (0.2, 3.0))
    for metric in GROUPS[group]:
        value, worse = (metric.function(*arrays[metric.name]) for arrays in (good, bad))
        assert np.isfinite([value, worse]).all(), metric.name
        assert metric.better(value, worse), metric.name
        assert metric.unit in ("%", "nats", "points", ""), metric.name
        assert metric.unit != "%" or 0 <= value <= 1, metric.name


def test_functions_are_those_of_the_names() -> None:
    arrays = targets_and_predictions("expression", 1.0)
    classes, probabilities = arrays["accuracy"]
    predictions = probabilities.argmax(1)
    values = {metric.name: metric.function for metric in GROUPS["expression"]}
    for name, expected in {
        "accuracy": sklearn_metrics.accuracy_score(classes, predictions),
        "mean_class_accuracy": sklearn_metrics.balanced_accuracy_score(classes, predictions),
        "macro_f1": sklearn_metrics.f1_score(classes, predictions, average="macro"),
        "nll": sklearn_metrics.log_loss(classes, probabilities, labels=range(4)),
    }.items():
        assert values[name](*arrays[name]) == pytest.approx(expected), name
    x, y = np.array([[0.0, 1], [2, 1]]), np.array([[0.0, 1], [4, 0]])
    by_metric = {metric.name: metric.function(y, x) for metric in catalog.VALENCE_AROUSAL}
    # Valence 2*2 / (1 + 4 + 1); a constant arousal has a concordance of 0.
    assert by_metric["ccc_valence"] == pytest.approx(2 / 3)
    assert (by_metric["ccc_arousal"], by_metric["mean_ccc"]) == (0, pytest.approx(1 / 3))
    assert (by_metric["mae_valence"], by_metric["mae_arousal"]) == (1, 0.5)
    assert by_metric["sagr_arousal"] == 1
    by_metric = {metric.name: metric.function(y[:, 0], x[:, 0]) for metric in catalog.SEVERITY}
    assert by_metric["rmse"] == pytest.approx(2**0.5) and by_metric["mae"] == 1


def test_heads_measure_metrics_of_the_catalog() -> None:
    for name, group in GROUPS.items():
        named = by_name(group)
        assert all(named[metric.name] is metric for metric in HEADS[name].metrics)
    with pytest.raises(ValueError, match="distinct names"):
        by_name(catalog.SEVERITY, catalog.SEVERITY[:1])


def test_public_functions() -> None:
    for name in mien.metrics.__all__:
        public = getattr(mien.metrics, name)
        assert public.__module__.startswith("mien.metrics.") and public.__doc__, name
    assert mien.metrics.__all__ == sorted(mien.metrics.__all__)
    assert doctest.testmod(catalog, extraglobs={"np": np}).failed == 0
