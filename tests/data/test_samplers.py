import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.samplers import class_balanced_batches, shuffled_batches

LABELS = np.array([0] * 50 + [1] * 7 + [2] * 3 + [5] * 20, np.int64)


def test_shuffled_batches_use_every_row_at_most_once() -> None:
    batches = shuffled_batches(LABELS, 16, seed=1, epoch=2)
    rows = np.concatenate(batches)
    assert [len(batch) for batch in batches] == [16] * 5
    assert len(np.unique(rows)) == 80


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    assert [len(batch) for batch in shuffled_batches(LABELS[:5], 16, seed=0, epoch=0)] == [5]


@pytest.mark.parametrize("make", ["shuffled", "balanced"])
def test_streams_are_a_function_of_seed_and_epoch(make: str) -> None:
    def stream(seed: int, epoch: int) -> list[int]:
        batches = (
            shuffled_batches(LABELS, 8, seed=seed, epoch=epoch)
            if make == "shuffled"
            else class_balanced_batches(LABELS, 3, 4, seed=seed, epoch=epoch)
        )
        return [int(row) for batch in batches for row in batch]

    assert stream(3, 4) == stream(3, 4)
    assert stream(3, 4) != stream(3, 5)
    assert stream(3, 4) != stream(4, 4)


@given(st.integers(0, 1000), st.integers(2, 4), st.integers(1, 6))
def test_balanced_batches_hold_p_classes_with_k_rows(seed: int, classes: int, samples: int) -> None:
    for batch in class_balanced_batches(LABELS, classes, samples, seed=seed, epoch=0):
        values, counts = np.unique(LABELS[batch], return_counts=True)
        assert len(values) == classes
        assert set(counts) == {samples}


def test_balanced_batches_use_classes_evenly_and_rows_before_repeats() -> None:
    batches = class_balanced_batches(LABELS, 2, 2, seed=0, epoch=0)
    used = np.bincount([int(LABELS[row]) for batch in batches for row in batch], minlength=6)
    present = used[[0, 1, 2, 5]]
    assert present.max() - present.min() <= 2 * 2
    first_class_rows = [int(r) for batch in batches for r in batch if LABELS[r] == 0]
    assert len(set(first_class_rows)) == len(first_class_rows) <= 50


def test_more_classes_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 5 classes"):
        class_balanced_batches(LABELS, 5, 2, seed=0, epoch=0)
