import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.metrics.retrieval import retrieve


def naive(embeddings: np.ndarray, targets: np.ndarray) -> dict[int, tuple[float, float]]:
    """Precision@1 and average precision at R of each query, in plain loops."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    values = {}
    for query, target in enumerate(targets):
        others = [row for row in range(len(targets)) if row != query]
        relevant = sum(targets[row] == target for row in others)
        if not relevant:
            continue
        ranked = sorted(others, key=lambda row: -float(unit[query] @ unit[row]))
        right = [targets[row] == target for row in ranked[:relevant]]
        total = sum(sum(right[: k + 1]) / (k + 1) for k in range(relevant) if right[k])
        values[query] = (float(right[0]), total / relevant)
    return values


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 6), st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_agreement_with_plain_loops(seed: int, n: int, classes: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, n)
    embeddings = rng.normal(size=(n, width))
    found, expected = retrieve(embeddings, targets), naive(embeddings, targets)
    assert found.queries.tolist() == list(expected)
    assert found.singletons == n - len(expected)
    values = np.array(list(expected.values())).reshape(-1, 2)
    np.testing.assert_allclose(found.precision_at_1, values[:, 0])
    np.testing.assert_allclose(found.map_at_r, values[:, 1], atol=1e-6)


def test_value_by_hand() -> None:
    # Seen from row 0 at angle 0: right, wrong, right, and a fourth of its class out of reach.
    angles = np.deg2rad([0, 10, 20, 30, 40, 50])
    targets = np.array([0, 0, 1, 0, 1, 0])
    found = retrieve(np.c_[np.cos(angles), np.sin(angles)], targets)
    assert found.precision_at_1[0] == 1
    assert found.map_at_r[0] == pytest.approx((1 + 2 / 3) / 3)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    embeddings, targets = rng.normal(size=(50, 6)), rng.integers(0, 4, 50)
    whole = retrieve(embeddings, targets)
    monkeypatch.setattr("mien.metrics.retrieval._CELLS_AT_ONCE", 120)
    blocks = retrieve(embeddings, targets)
    np.testing.assert_array_equal(blocks.queries, whole.queries)
    np.testing.assert_array_equal(blocks.map_at_r, whole.map_at_r)
    np.testing.assert_array_equal(blocks.precision_at_1, whole.precision_at_1)


def test_length_and_rotation_and_label_names_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    embeddings, targets = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    rotation, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    changed = (embeddings * rng.uniform(0.1, 9, (40, 1))) @ rotation
    expected = retrieve(embeddings, targets).map_at_r
    np.testing.assert_allclose(retrieve(changed, 7 - targets).map_at_r, expected, atol=1e-6)


def test_perfect_and_collapsed_embeddings() -> None:
    targets = np.arange(30) % 3
    perfect = retrieve(np.eye(3)[targets], targets)
    assert perfect.precision_at_1.mean() == perfect.map_at_r.mean() == 1
    collapsed = retrieve(np.full((30, 64), 0.3, np.float32), targets)
    assert collapsed.precision_at_1.sum() == collapsed.map_at_r.sum() == 0


def test_zero_vectors_are_far_from_everything() -> None:
    embeddings = np.array([[1.0, 0], [0, 0], [1, 0.1], [0, 0]])
    found = retrieve(embeddings, np.array([0, 0, 1, 1]))
    assert np.isfinite(found.map_at_r).all()
    assert found.precision_at_1[0] == 0


@pytest.mark.parametrize("targets", [[0], [0, 1, 2]])
def test_no_query(targets: list[int]) -> None:
    found = retrieve(np.ones((len(targets), 2)), np.array(targets))
    assert found.queries.size == found.map_at_r.size == 0
    assert found.singletons == len(targets)


def test_one_class() -> None:
    found = retrieve(np.random.default_rng(0).normal(size=(9, 3)), np.zeros(9, int))
    assert found.map_at_r.tolist() == [1.0] * 9


def test_errors() -> None:
    with pytest.raises(ValueError, match="finite"):
        retrieve(np.array([[np.nan, 0.0]]), np.array([0]))
    with pytest.raises(ValueError, match=r"\(2, 2\), \(3,\)"):
        retrieve(np.ones((2, 2)), np.zeros(3, int))
