import doctest

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mien.heads.action_units import ActionUnitHead
from mien.metrics import multilabel
from mien.metrics.multilabel import ACTION_UNITS, binary_metrics, mean_over_units, presence
from mien.statistics.bootstrap import bootstrap_intervals


def rows(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Presence and probabilities in steps of a tenth, so that some are tied."""
    rng = np.random.default_rng(0)
    present = rng.random(n) < 0.3
    probabilities = np.round(np.clip(0.3 * present + rng.random(n) * 0.7, 0, 1), 1)
    return present, probabilities


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_they_are_scikit_learns(threshold: float) -> None:
    present, probabilities = rows()
    weights = np.random.default_rng(1).integers(0, 4, (5, 60)).astype(float)
    together = binary_metrics(present, probabilities, threshold=threshold, weights=weights)
    plain = binary_metrics(present, probabilities, threshold=threshold)
    predicted = probabilities >= threshold
    for draw, w in enumerate([None, *weights]):
        values = plain if w is None else {name: of[draw - 1] for name, of in together.items()}
        for name, function, prediction in (
            ("auc", sklearn_metrics.roc_auc_score, probabilities),
            ("f1", sklearn_metrics.f1_score, predicted),
            ("accuracy", sklearn_metrics.accuracy_score, predicted),
        ):
            expected = function(present, prediction, sample_weight=w)
            assert values[name] == pytest.approx(expected), name


def test_what_is_always_or_never_present_has_no_value() -> None:
    for present in (np.zeros(4, bool), np.ones(4, bool), np.zeros(0, bool)):
        values = binary_metrics(present, np.linspace(0, 1, present.size))
        assert all(np.isnan(value) for value in values.values())
    present = np.array([True, False, False])
    assert binary_metrics(present, np.zeros(3))["f1"] == 0
    weights = np.array([[0.0, 1, 1], [1, 1, 0]])
    values = binary_metrics(present, np.array([0.9, 0.1, 0.2]), weights=weights)
    assert np.isnan(values["f1"][0]) and values["f1"][1] == 1


def test_means_are_over_units_with_a_value() -> None:
    values = np.array([[0.5, np.nan], [1.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(mean_over_units(values), [0.75, np.nan])


def test_a_unit_is_present_from_two_of_five() -> None:
    annotated, present = presence(np.array([[0.0, 0.2, 0.4, 1.0, np.nan]]))
    assert annotated.tolist() == [[True, True, True, True, False]]
    assert present.tolist() == [[False, False, True, True, False]]


def test_the_head_measures_means_over_units() -> None:
    rng = np.random.default_rng(3)
    targets = rng.choice([0.0, 0.2, 0.4, 1.0], (50, 12))
    targets[:, 0], targets[::3, 1], targets[:, 2] = 0.0, np.nan, np.nan
    probabilities = np.clip(0.5 * np.nan_to_num(targets) + rng.normal(0.2, 0.2, (50, 12)), 0, 1)
    f1, auc = [], []
    for unit in [1, *range(3, 12)]:
        annotated = ~np.isnan(targets[:, unit])
        present, values = targets[annotated, unit] >= 0.4, probabilities[annotated, unit]
        f1.append(sklearn_metrics.f1_score(present, values >= 0.5))
        auc.append(sklearn_metrics.roc_auc_score(present, values))
    assert ActionUnitHead.metrics is ACTION_UNITS
    measured = {metric.name: metric.function(targets, probabilities) for metric in ACTION_UNITS}
    assert measured["mean_unit_f1"] == pytest.approx(np.mean(f1))
    assert measured["mean_unit_auc"] == pytest.approx(np.mean(auc))
    never = (targets[:, :1], probabilities[:, :1])
    assert all(metric.function(*never) == 0 for metric in ACTION_UNITS)


def test_intervals_hold_the_value() -> None:
    present, probabilities = rows(200)
    intervals = bootstrap_intervals(
        lambda weights: binary_metrics(present, probabilities, weights=weights), 200, draws=200
    )
    for name, value in binary_metrics(present, probabilities).items():
        assert intervals[name].value == pytest.approx(value)
        assert intervals[name].low < value < intervals[name].high


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(multilabel, extraglobs={"np": np}).failed == 0
