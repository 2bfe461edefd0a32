"""Thresholds below which a model abstains: the bound by its definition, and what it promises."""

import numpy as np
import pytest
from scipy.stats import binom

from mien.statistics.selective import answer_threshold, fewest_answers, least_accuracy


def sample(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences in (0.3, 1), too high by a tenth: right as often as 0.9 of the confidence."""
    confidences = generator.uniform(0.3, 1, n)
    return confidences, generator.random(n) < 0.9 * confidences + 0.1 * confidences**8


def true_accuracy(threshold: float) -> float:
    """Of what is answered from a threshold on, by the definition of :func:`sample`."""
    grid = np.linspace(max(threshold, 0.3), 1, 1001)
    return float((0.9 * grid + 0.1 * grid**8).mean())


@pytest.mark.parametrize(("right", "answered"), [(1, 5), (40, 50), (181, 200), (50, 50)])
def test_as_many_hits_are_just_likely_enough_at_the_bound(right: int, answered: int) -> None:
    bound = least_accuracy(right, answered, level=0.95)
    assert binom.sf(right - 1, answered, bound) == pytest.approx(0.05)


def test_without_a_hit_nothing_is_shown() -> None:
    assert least_accuracy(0, 0) == least_accuracy(0, 10) == 0
    assert least_accuracy(28, 28) < 0.9 < least_accuracy(fewest_answers(0.9), fewest_answers(0.9))
    for right, answered in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="right <= answered"):
            least_accuracy(right, answered)


def test_it_counts_what_it_answers() -> None:
    confidences, right = sample(np.random.default_rng(0), 3000)
    chosen = answer_threshold(confidences, right, accuracy=0.8)
    assert chosen is not None
    answered = confidences >= chosen.confidence
    assert (chosen.rows, chosen.answered) == (3000, answered.sum())
    assert chosen.right == right[answered].sum()
    assert chosen.least_accuracy >= 0.8
    below = confidences >= chosen.confidence - 0.01
    assert least_accuracy(int(right[below].sum()), int(below.sum())) < 0.8


def test_what_it_answers_is_right_as_often_as_stated_in_all_but_one_of_twenty() -> None:
    generator = np.random.default_rng(1)
    broken, naive = 0, 0
    for _ in range(100):
        confidences, right = sample(generator, 300)
        chosen = answer_threshold(confidences, right, accuracy=0.8)
        broken += chosen is not None and true_accuracy(chosen.confidence) < 0.8
        order = np.argsort(-confidences)
        shares = np.cumsum(right[order]) / np.arange(1, 301)
        naive += true_accuracy(confidences[order][shares >= 0.8][-1]) < 0.8
    # One in twenty is 5; to trust the share that was observed is wrong most of the time.
    assert broken <= 10
    assert naive > 50


def test_where_nothing_can_be_shown_there_is_no_threshold() -> None:
    sure, wrong = np.full(500, 0.99), np.zeros(500, bool)
    assert answer_threshold(sure, wrong) is None
    assert answer_threshold(sure[:28], ~wrong[:28]) is None
    assert answer_threshold(sure[:0], wrong[:0]) is None
    chosen = answer_threshold(sure, ~wrong)
    assert chosen is not None and chosen.confidence == 0


def test_a_failure_above_ends_the_search() -> None:
    # The surest are wrong; that all together would do must not be looked at.
    confidences = np.r_[np.full(500, 0.95), np.full(5000, 0.5)]
    right = np.r_[np.zeros(500, bool), np.ones(5000, bool)]
    assert answer_threshold(confidences, right) is None


def test_arrays_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N,\)"):
        answer_threshold(np.zeros(3), np.zeros(4, bool))
