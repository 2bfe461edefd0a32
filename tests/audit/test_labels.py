import numpy as np
import pytest

from mien.audit.labels import doubtful_rows, mixed_up_classes
from mien.labels import LABEL_SPACES

NAMES = LABEL_SPACES["ferplus"].names
COUNTS = (1300, 900, 450, 400, 320, 60, 70, 60)


def labels_and_preds(seed: int, accuracy: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Labels as uneven as FER+'s, and a model that is right in most rows of each class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(8), COUNTS)
    wrong = rng.choice(8, len(labels), p=np.array(COUNTS) / sum(COUNTS))
    return labels, np.where(rng.random(len(labels)) < accuracy, labels, wrong)


@pytest.mark.parametrize("seed", range(20))
def test_swapped_classes_are_named(seed: int) -> None:
    labels, preds = labels_and_preds(seed)
    first, second = np.random.default_rng(seed).choice(8, 2, replace=False)
    order = np.arange(8)
    order[[first, second]] = second, first
    assert mixed_up_classes(labels, preds, NAMES) == []
    (mixed,) = mixed_up_classes(order[labels], preds, NAMES)
    assert set(mixed.names) == {NAMES[first], NAMES[second]}
    assert f"{mixed.names[0]} and {mixed.names[1]} swapped" in mixed.sentence


def test_a_ring_of_three_is_named_in_its_direction() -> None:
    labels, preds = labels_and_preds(0)
    order = np.arange(8)
    order[[1, 2, 3]] = 2, 3, 1  # faces of class 1 are labeled 2, and so on
    (mixed,) = mixed_up_classes(order[labels], preds, NAMES)
    assert mixed.sentence.startswith(
        "this fits better with happiness read as sadness, sadness read as surprise, "
        "surprise read as happiness"
    )


def test_a_weak_model_is_no_evidence() -> None:
    labels, _ = labels_and_preds(0)
    for seed in range(20):
        preds = np.random.default_rng(seed).permutation(labels)
        assert mixed_up_classes(labels, preds, NAMES) == []
    assert mixed_up_classes(labels, np.zeros_like(labels), NAMES) == []
    assert mixed_up_classes(np.full(5, -1), np.zeros(5, np.int64), NAMES) == []


def test_doubtful_rows_are_ordered_by_confident_disagreement() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.99, 0.01], [0.0, 1.0]])
    targets = np.array([1, 1, 1, 1, -1])
    assert doubtful_rows(targets, probabilities).tolist() == [3, 0, 2]
