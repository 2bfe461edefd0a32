from pathlib import Path

import numpy as np
import pytest
from toy_corpora import VOTES, small_dataset

from mien.data.dataset import ACTION_UNIT_FIELDS, VALENCE_AROUSAL_FIELDS
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"

#         neutral happiness surprise sadness anger disgust fear contempt unknown NF
ROWS = [
    [4, 0, 0, 1, 3, 2, 0, 0, 0, 0],  # a majority, not more than half
    [6, 0, 1, 1, 0, 0, 0, 0, 2, 0],  # 6 of 8 once single votes are dropped
    [0, 5, 5, 0, 0, 0, 0, 0, 0, 0],  # a tie
    [3, 2, 0, 0, 0, 0, 0, 0, 2, 1],  # as many unknown and NF together as the first
    [1, 1, 1, 1, 1, 1, 1, 1, 0, 0],  # nothing but single votes
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],  # no face
]


@pytest.fixture
def voted(tmp_path):
    rows = [{"votes": votes} for votes in ROWS]
    rows += [{"label": "fear"}, {}]
    return small_dataset(tmp_path / "toy", rows, vote_names=VOTES)


def test_majority(voted):
    targets = make_targets(voted, "majority")
    assert targets["expression"].tolist() == [0, 0, 1, -1, 0, -1, 6, -1]
    assert targets["expression"].dtype == np.int64
    assert targets.left_out == {
        "no expression has more votes than unknown and no face": 2,
        "no label": 1,
    }
    np.testing.assert_array_equal(
        targets["expression_distribution"].argmax(axis=1)[[0, 2, 6]], [0, 1, 6]
    )


def test_ferplus(voted):
    targets = make_targets(voted, "ferplus")
    assert targets["expression"].tolist() == [-1, 0, -1, -1, -1, -1, 6, -1]
    assert sum(targets.left_out.values()) == 6


def test_distribution(voted):
    targets = make_targets(voted, "distribution")
    assert targets["expression"].tolist() == make_targets(voted, "majority")["expression"].tolist()
    expected = np.zeros((8, 8), dtype=np.float32)
    expected[0, [0, 4, 5]] = np.array([4, 3, 2]) / 9
    expected[1, 0] = 1
    expected[2, [1, 2]] = 0.5
    expected[4] = 1 / 8
    expected[6, 6] = 1
    np.testing.assert_allclose(targets["expression_distribution"], expected, rtol=1e-6)
    assert targets["expression_distribution"].dtype == np.float32


@pytest.mark.parametrize("rule", ["majority", "ferplus", "distribution"])
def test_rows_sum_to_one_or_are_left_out(voted, rule):
    targets = make_targets(voted, rule)
    np.testing.assert_allclose(
        targets["expression_distribution"].sum(axis=1), targets["expression"] >= 0, rtol=1e-6
    )
    assert sum(targets.left_out.values()) == np.sum(targets["expression"] < 0)


def test_unknown_rule_and_label(tmp_path, voted):
    with pytest.raises(MienError, match=r"majority, ferplus, distribution\), got 'mode'"):
        make_targets(voted, "mode")
    with pytest.raises(MienError, match="got 'boredom'"):
        small_dataset(tmp_path / "odd", [{"label": "boredom"}])


def test_valence_and_arousal_go_beside_the_expression(tmp_path):
    rows = [
        {"label": "fear", "valence": -0.5, "arousal": 1.0},
        {"label": "fear"},
        {"valence": 0.25, "arousal": 0.0},
        {},
    ]
    dataset = small_dataset(tmp_path / "affect", rows, fields=VALENCE_AROUSAL_FIELDS)
    targets = make_targets(dataset, "majority")
    assert targets["expression"].tolist() == [6, 6, -1, -1]
    np.testing.assert_array_equal(
        targets["valence_arousal"], np.float32([[-0.5, 1], [np.nan] * 2, [0.25, 0], [np.nan] * 2])
    )
    assert targets["valence_arousal"].dtype == np.float32
    assert targets.labeled("expression").tolist() == [True, True, False, False]
    assert targets.labeled("valence_arousal").tolist() == [True, False, True, False]
    assert targets.left_out == {"no label": 2}
    assert dataset.info["counts"] == {"train": {"fear": 2, "other labels only": 1, "no label": 1}}


def test_a_dataset_without_valence_and_arousal(voted):
    targets = make_targets(voted, "majority")
    assert set(targets.values) == {"expression", "expression_distribution"}
    assert not targets.labeled("valence_arousal").any() and len(targets) == 8
    some = targets.take(np.array([6, 1]))
    assert some["expression"].tolist() == [6, 0] and some.left_out == targets.left_out


@pytest.mark.parametrize("row", [{"valence": 0.5}, {"valence": 1.5, "arousal": 0.0}])
def test_odd_valence_and_arousal_of_a_dataset(tmp_path, row):
    with pytest.raises(MienError, match=r"valence and arousal in \[-1, 1\], or neither"):
        small_dataset(tmp_path / "odd", [row], fields=VALENCE_AROUSAL_FIELDS)


@pytest.mark.slow
def test_the_published_counts(tmp_path):
    if not (SHARED / "ferplus-train.parquet").exists():
        pytest.skip("the FER+ files are not next to this checkout")
    result = prepare("ferplus", SHARED, tmp_path / "fer", preprocessing=Preprocessing(size=16))
    assert result.left_out == {}
    for rule, counts in {
        "majority": (28_147, 3_526),
        "distribution": (28_147, 3_526),
        "ferplus": (25_045, 3_191),
    }.items():
        labeled = make_targets(result.dataset, rule).labeled("expression")
        splits = [result.dataset.split_indices(name) for name in ("train", "valid")]
        assert tuple(int(labeled[rows].sum()) for rows in splits) == counts


def test_action_units_are_labeled_where_any_unit_was_annotated(tmp_path):
    rows = [{"au01": 1.0}, {}, {"label": "fear", "au01": 0.0, "au26": 0.4}]
    dataset = small_dataset(tmp_path / "units", rows, fields=ACTION_UNIT_FIELDS)
    targets = make_targets(dataset, "majority")
    assert targets["action_units"].shape == (3, 12)
    assert targets.labeled("action_units").tolist() == [True, False, True]
    assert dataset.info["counts"] == {"train": {"fear": 1, "other labels only": 1, "no label": 1}}
