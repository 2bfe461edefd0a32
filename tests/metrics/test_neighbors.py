import numpy as np
import pytest

from mien.metrics.neighbors import centroid_predictions, neighbor_predictions


def drawn(m: int = 200, q: int = 57) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, m)
    means = rng.normal(size=(5, 8))
    reference = means[labels] + rng.normal(size=(m, 8))
    queries = means[rng.integers(0, 5, q)] + rng.normal(size=(q, 8))
    return reference.astype(np.float32), labels, queries.astype(np.float32)


@pytest.mark.parametrize("k", [1, 3, 5, 200])
def test_neighbors_are_those_of_a_plain_search(k: int) -> None:
    reference, labels, queries = drawn()
    # float64, one query at a time; the drawn cosines have no ties.
    unit = reference / np.linalg.norm(reference.astype(np.float64), axis=1, keepdims=True)
    expected = []
    for query in queries.astype(np.float64):
        nearest = np.argsort(-(unit @ query))[:k]
        expected.append(np.bincount(labels[nearest], minlength=5).argmax())
    predictions = neighbor_predictions(reference, labels, queries, k=k)
    np.testing.assert_array_equal(predictions, expected)
    scaled = reference * np.random.default_rng(0).uniform(0.1, 9, (200, 1))
    np.testing.assert_array_equal(
        neighbor_predictions(scaled, labels, 3 * queries, k=k), predictions
    )


def at(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def test_ties() -> None:
    # Two votes each: the first class, however near its rows are.
    labels = np.array([0, 0, 2, 2])
    assert neighbor_predictions(at(10, 20, -5, -8), labels, at(0), k=4) == [0]
    assert neighbor_predictions(at(10, 20, -5, -8), 2 - labels, at(0), k=4) == [0]
    # A zero query is at cosine 0 to all; both rows vote.
    assert neighbor_predictions(at(1, 90), np.array([4, 2]), np.zeros((1, 2)), k=2) == [2]


def test_votes_come_before_distance() -> None:
    found = neighbor_predictions(at(0.1, 30, 31), np.array([0, 1, 1]), at(0), k=3)
    assert found == [1]


def test_centroids_are_means_of_unit_rows() -> None:
    reference, labels, queries = drawn()
    unit = reference / np.linalg.norm(reference, axis=1, keepdims=True)
    best = []
    for query in queries:
        cosines = []
        for index in range(5):
            mean = unit[labels == index].mean(0)
            cosines.append(query @ mean / np.linalg.norm(mean))
        best.append(int(np.argmax(cosines)))
    np.testing.assert_array_equal(centroid_predictions(reference, labels, queries), best)
    scaled = reference * np.random.default_rng(0).uniform(0.1, 9, (200, 1))
    np.testing.assert_array_equal(centroid_predictions(scaled, labels, 3 * queries), best)


def test_classes_without_reference_rows_are_never_read() -> None:
    reference, queries = at(0, 90), at(80, 10)
    labels = np.array([6, 2])
    np.testing.assert_array_equal(centroid_predictions(reference, labels, queries), [2, 6])
    np.testing.assert_array_equal(neighbor_predictions(reference, labels, queries, k=1), [2, 6])


def test_opposite_rows_make_a_centroid_of_zero() -> None:
    labels = np.array([0, 0, 1])
    np.testing.assert_array_equal(
        centroid_predictions(at(0, 180, 90), labels, at(80, -90, 0)), [1, 0, 0]
    )


def test_no_queries() -> None:
    none = np.empty((0, 2))
    assert neighbor_predictions(at(0), np.zeros(1, int), none, k=1).shape == (0,)
    assert centroid_predictions(at(0), np.zeros(1, int), none).shape == (0,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, r"k in \[1, 3\], got 0"),
        ({"k": 4}, r"k in \[1, 3\], got 4"),
        ({"labels": np.array([0, 1])}, r"integer labels \(3,\)"),
        ({"labels": np.zeros(3)}, "integer labels"),
        ({"labels": np.array([0, 1, -1])}, "class of 0 or more"),
        ({"queries": np.eye(3)}, r"queries \(Q, 2\)"),
        ({"queries": np.array([[np.nan, 0]])}, "finite"),
        ({"reference": np.empty((0, 2)), "labels": np.zeros(0, int)}, "at least one"),
    ],
)
def test_wrong_use(changes: dict, message: str) -> None:
    given = {"reference": at(0, 1, 2), "labels": np.array([0, 1, 1]), "queries": at(3), "k": 1}
    with pytest.raises(ValueError, match=message):
        neighbor_predictions(**(given | changes))
    if "k" not in changes:
        rest = {name: value for name, value in (given | changes).items() if name != "k"}
        with pytest.raises(ValueError, match=message):
            centroid_predictions(**rest)
