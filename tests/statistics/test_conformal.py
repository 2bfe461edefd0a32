import doctest

import numpy as np
import pytest

from mien.statistics import conformal
from mien.statistics.conformal import calibrate, conformal_half_width, fewest_subjects


def of_people(count: int, each: int = 1) -> dict:
    """The entry for subjects with errors of up to 4, growing with the subject."""
    subjects = np.repeat(np.arange(count), each)
    errors = 4.0 * (subjects + 1) / count
    return calibrate(np.full(len(subjects), 20.0), 20 + errors, subjects.astype(str))


def test_each_subject_carries_one_share_of_the_errors() -> None:
    # Three subjects, coverage 1/2: each has mass 1/4. Errors 1, 2 of the first (1/8 each), 3 of
    # the second, 10 of the third: 1/8, 2/8, 4/8 is reached at 3. By recording it were 2 or 3 of 4.
    errors = np.array([1.0, 2, 3, 10])
    names = np.array(["a", "a", "b", "c"])
    assert conformal_half_width(errors, np.zeros(4), names, coverage=0.5) == 3
    # Nine recordings of the first weigh no more than one.
    many = np.array([1.0] * 9 + [3, 10])
    names = np.array(["a"] * 9 + ["b", "c"])
    assert conformal_half_width(many, np.zeros(11), names, coverage=0.5) == 3
    assert conformal_half_width(many, np.zeros(11), names, coverage=0.25) == 1


def test_too_few_subjects_give_no_interval() -> None:
    assert [fewest_subjects(coverage) for coverage in (0.5, 0.8, 0.9, 0.99)] == [1, 4, 9, 99]
    assert of_people(9)["half_width"] == pytest.approx(4)
    found = of_people(8, each=5)
    assert found["half_width"] is None
    assert found["reason"] == "8 subjects of valid cannot give an interval of 90 %: it takes 9"


def test_the_interval_covers_new_subjects_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    inside, at_once = [], []
    for _ in range(1500):
        # Errors that are much alike within a person, and differ between people.
        each = rng.integers(1, 6, 20)
        size = np.repeat(rng.gamma(1.5, 2, 20), each)
        errors = size * rng.uniform(0.8, 1.2, size.size)
        names = np.repeat(np.arange(20), each).astype(str)
        old, new = names != "19", np.flatnonzero(names == "19")
        width = conformal_half_width(errors[old], np.zeros(old.sum()), names[old])
        inside.append((errors[new] <= width).mean())
        at_once.append((errors[new] <= width * 0.8).mean())
    # 1,500 draws: a standard error of 0.008. At most 1/20 more is promised.
    assert 0.9 - 0.02 < np.mean(inside) < 0.95 + 0.02
    assert np.mean(at_once) < 0.88


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(conformal, extraglobs={"np": np}).failed == 0
