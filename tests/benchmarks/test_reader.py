"""The figures of readers, and the data that one is trained on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from toy_corpora import VOTES, small_dataset

from mien.audit.clean import write_cleaned
from mien.data.targets import make_targets

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture
def reader() -> ModuleType:
    import reader

    return reader


@pytest.fixture
def reader_data() -> ModuleType:
    import reader_data

    return reader_data


def test_a_row_of_expressions(reader: ModuleType) -> None:
    targets = np.array([0, 0, 0, 1, -1])
    shares = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.5, 0.5]])
    accuracy, by_class, loss, error = reader.expression_row(targets, shares)
    assert accuracy.startswith("75.0 (")
    assert by_class.startswith("83.3 (")  # two of three, and one of one
    assert float(loss) == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.7]).mean(), abs=1e-3)
    assert float(error) == pytest.approx((0.1 + 0.2 + 0.6 + 0.3) / 4, abs=1e-3)


def test_a_mirror_averages_logits(reader: ModuleType) -> None:
    one = {"expression": np.array([[0.8, 0.2]]), "embedding": np.array([[1.0, 0.0]])}
    other = {"expression": np.array([[0.5, 0.5]]), "embedding": np.array([[0.0, 1.0]])}
    mean = reader._average(one, other)
    np.testing.assert_allclose(mean["expression"], [[2 / 3, 1 / 3]])  # odds of 4 and 1: 2
    np.testing.assert_allclose(mean["embedding"], [[0.5, 0.5]])


def test_the_gain_is_paired() -> None:
    import reader_choices

    targets = np.repeat([0, 1], [80, 20])
    before = np.zeros(100, int)
    after = np.where(np.arange(100) < 4, 1, np.where(np.arange(100) >= 90, 1, 0))
    # Ten of twenty gained and four of eighty lost: 22.5 points by class, six of a hundred rows.
    gain = reader_choices._gain(targets, before, after, 2)
    assert gain.startswith("class +22.50 (+")
    assert ", all +6.00 (" in gain
    same = reader_choices._gain(targets, after, after, 2)
    assert same == "class +0.00 (+0.00 to +0.00), all +0.00 (+0.00 to +0.00)"


def test_train_loses_what_an_audit_left_out(reader_data: ModuleType, tmp_path: Path) -> None:
    rows = [{"split": "valid" if number >= 4 else "train"} for number in range(6)]
    aligned = small_dataset(tmp_path / "aligned", rows)
    fixed = write_cleaned(aligned, tmp_path / "fixed", {1: "same pixels", 5: "same pixels"})
    assert len(fixed) == 4
    cleaned = reader_data.without_leaks(
        str(tmp_path / "fixed"), str(tmp_path / "aligned"), str(tmp_path / "out")
    )
    assert cleaned.column("id").tolist() == ["0", "2", "3", "4", "5"]  # valid stays whole
    np.testing.assert_array_equal(cleaned.crops[1], aligned.crops[2])


def test_rendered_faces_lose_their_names_only(reader_data: ModuleType, tmp_path: Path) -> None:
    votes = [6] + [0] * 9
    rows = [{"label": "anger", "votes": votes}, {"votes": votes, "split": "valid"}]
    named = small_dataset(tmp_path / "named", rows, vote_names=VOTES)
    unnamed = reader_data.without_names(str(tmp_path / "named"), str(tmp_path / "out"))
    assert (make_targets(unnamed, "distribution")["expression"] == -1).all()
    assert (make_targets(named, "distribution")["expression"] == 0).all()
    assert unnamed.column("split").tolist() == ["train", "valid"]
    np.testing.assert_array_equal(unnamed.crops[:], named.crops[:])
