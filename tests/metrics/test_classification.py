import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from mien.metrics import classification as metrics
from mien.metrics.catalog import classification_metrics


def random_rows(seed: int, n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets that leave classes out at small n, and probabilities that often agree."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, n)
    scores = rng.gumbel(size=(n, classes)) + 2 * np.eye(classes)[targets]
    probabilities = np.exp(scores)
    return targets, probabilities / probabilities.sum(1, keepdims=True)


# Truth 0: right, right, read as 1. Truth 1: right, read as 0. Truth 2: absent. One 0 read as 2.
TARGETS = np.array([0, 0, 0, 0, 1, 1])
PREDICTIONS = np.array([0, 0, 1, 2, 1, 0])


def test_values_by_hand() -> None:
    matrix = metrics.confusion_matrix(TARGETS, PREDICTIONS, 3)
    assert matrix.tolist() == [[2, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert metrics.accuracy(matrix) == 3 / 6
    assert metrics.recall(matrix)[:2].tolist() == [2 / 4, 1 / 2]
    assert metrics.precision(matrix).tolist() == [2 / 3, 1 / 2, 0]
    assert metrics.f1(matrix).tolist() == [4 / 7, 2 / 4, 0]
    assert metrics.mean_class_accuracy(matrix) == (1 / 2 + 1 / 2) / 2
    assert metrics.macro_f1(matrix) == (4 / 7 + 2 / 4) / 2


def test_what_is_not_defined_is_nan_and_only_that() -> None:
    matrix = metrics.confusion_matrix(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    assert np.isnan(metrics.recall(matrix)).tolist() == [False, False, True]
    assert np.isnan(metrics.precision(matrix)).tolist() == [False, True, True]
    assert np.isnan(metrics.f1(matrix)).tolist() == [False, False, True]
    assert np.isnan(metrics.row_shares(matrix)).all(axis=1).tolist() == [False, False, True]
    assert metrics.f1(matrix)[1] == 0


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 9))
@settings(max_examples=40, deadline=None)
def test_agreement_with_scikit_learn(seed: int, n: int, classes: int) -> None:
    targets, probabilities = random_rows(seed, n, classes)
    predictions = probabilities.argmax(1)
    matrix = metrics.confusion_matrix(targets, predictions, classes)
    present = np.unique(targets)
    labels = range(classes)
    expected = reference.confusion_matrix(targets, predictions, labels=labels)
    np.testing.assert_array_equal(matrix, expected)
    values = classification_metrics(targets, probabilities)
    assert values["accuracy"] == pytest.approx(reference.accuracy_score(targets, predictions))
    recalls = reference.recall_score(targets, predictions, labels=present, average="macro")
    assert values["mean_class_accuracy"] == pytest.approx(recalls)
    f1 = reference.f1_score(targets, predictions, labels=present, average="macro")
    assert values["macro_f1"] == pytest.approx(f1)
    assert values["nll"] == pytest.approx(reference.log_loss(targets, probabilities, labels=labels))
    precision = reference.precision_score(
        targets, predictions, labels=labels, average=None, zero_division=np.nan
    )
    np.testing.assert_allclose(metrics.precision(matrix), precision)


def test_mean_class_accuracy_is_balanced_accuracy() -> None:
    targets, probabilities = random_rows(1, 300, 5)
    predictions = probabilities.argmax(1)
    value = classification_metrics(targets, probabilities)["mean_class_accuracy"]
    assert value == pytest.approx(reference.balanced_accuracy_score(targets, predictions))


def test_weights_are_repetitions() -> None:
    weights = np.array([[1, 1, 1, 1, 1, 1], [0, 2, 1, 0, 3, 0]])
    matrices = metrics.confusion_matrix(TARGETS, PREDICTIONS, 3, weights=weights.astype(float))
    for matrix, weight in zip(matrices, weights, strict=True):
        rows = np.repeat(np.arange(6), weight)
        repeated = metrics.confusion_matrix(TARGETS[rows], PREDICTIONS[rows], 3)
        np.testing.assert_array_equal(matrix, repeated)
    np.testing.assert_allclose(
        metrics.macro_f1(matrices), [metrics.macro_f1(matrix) for matrix in matrices]
    )


def test_calibration_error_by_hand() -> None:
    # Two rows at 0.9, one right: |0.5 - 0.9|; one at 0.6, right: |1 - 0.6|. All in 3 rows.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    bins = metrics.reliability(np.array([0, 1, 1]), probabilities, bins=10)
    assert bins.count.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 2, 0]
    assert bins.accuracy[[5, 8]].tolist() == [1.0, 0.5]
    assert bins.confidence[[5, 8]] == pytest.approx([0.6, 0.9])
    assert metrics.expected_calibration_error(bins) == pytest.approx(0.4)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("confidence", "place"), [(0.5, 2), (0.6, 2), (0.61, 3), (0.8, 3), (1, 4)])
def test_a_bin_holds_its_upper_edge(confidence: float, place: int, kind: type) -> None:
    row = np.array([[confidence, 1 - confidence]], dtype=kind)
    bins = metrics.reliability(np.array([0]), row, bins=5)
    assert bins.count.argmax() == place


def test_a_certain_mistake_costs_a_finite_amount() -> None:
    losses = metrics.negative_log_likelihoods(np.array([0, 1]), np.array([[0.0, 1], [0, 1]]))
    assert losses == pytest.approx([-np.log(1e-12), 0.0])


def test_vote_metrics_by_hand() -> None:
    votes = np.array([[6, 2, 2], [0, 10, 0]])
    probabilities = np.array([[0.6, 0.2, 0.2], [0.5, 0.5, 0.0]])
    agreements = metrics.vote_agreements(votes, np.array([0, 0]))
    assert agreements.tolist() == [0.6, 0.0]
    divergences = metrics.vote_divergences(votes, probabilities)
    assert divergences == pytest.approx([0.0, np.log(2)])
    with pytest.raises(ValueError, match="1 without"):
        metrics.vote_agreements(np.array([[0, 0], [1, 0]]), np.array([0, 0]))


def test_errors_say_what_was_wrong() -> None:
    with pytest.raises(ValueError, match=r"targets in \[0, 2\), got -1 to 1"):
        metrics.confusion_matrix(np.array([-1, 1]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match=r"predictions in \[0, 2\)"):
        metrics.confusion_matrix(np.array([0, 1]), np.array([0, 2]), 2)
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        metrics.confusion_matrix(np.array([0, 1]), np.array([0, 1, 1]), 2)
    with pytest.raises(ValueError, match="at least one row"):
        classification_metrics(np.empty(0, int), np.empty((0, 2)))
