import doctest
from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from mien.metrics import geometry
from mien.metrics.geometry import (
    distance_ratio,
    distance_ratios,
    effective_rank,
    spread,
    unit_rows,
)


def naive_ratio(embeddings: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    rows = [row / np.linalg.norm(row) for row in np.asarray(embeddings, float)]
    sums = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for i, j in combinations(range(len(rows)), 2):
        weight = weights[i] * weights[j]
        kind = sums[bool(targets[i] == targets[j])]
        kind[0] += weight * ((rows[i] - rows[j]) ** 2).sum()
        kind[1] += weight
    return float(np.sqrt(sums[False][0] / sums[False][1] / (sums[True][0] / sums[True][1])))


def drawn(seed: int, n: int = 30, size: int = 5, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, n)
    means = rng.normal(size=(classes, size))
    return means[targets] + 0.5 * rng.normal(size=(n, size)), targets


@pytest.mark.parametrize("seed", range(8))
def test_ratio_and_spread_are_those_of_a_plain_loop(seed: int) -> None:
    embeddings, targets = drawn(seed)
    expected = naive_ratio(embeddings, targets, np.ones(30))
    assert distance_ratio(embeddings, targets) == pytest.approx(expected, rel=1e-6)
    squares = pdist(unit_rows(embeddings), "sqeuclidean")
    assert spread(embeddings) == pytest.approx(np.sqrt(squares.mean()), rel=1e-9)


def test_weights_are_numbers_of_times_that_a_row_was_drawn() -> None:
    embeddings, targets = drawn(0)
    weights = np.random.default_rng(1).integers(0, 4, (20, 30)).astype(float)
    found = distance_ratios(embeddings, targets)(weights)
    expected = [naive_ratio(embeddings, targets, row) for row in weights]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_tight_classes_keep_their_digits() -> None:
    embeddings, targets = drawn(0)
    centers = np.eye(5)[targets]
    tight = centers + 1e-4 * embeddings
    expected = naive_ratio(tight, targets, np.ones(30))
    assert expected > 1000
    assert distance_ratio(tight, targets) == pytest.approx(expected, rel=1e-4)


def test_only_directions_count() -> None:
    embeddings, targets = drawn(0)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    lengths = np.random.default_rng(1).uniform(0.1, 9, (30, 1))
    moved = lengths * embeddings @ rotation
    for measure in (spread, effective_rank, lambda rows: distance_ratio(rows, targets)):
        assert measure(moved) == pytest.approx(measure(embeddings), rel=1e-5)
    assert distance_ratio(embeddings, 7 - targets) == distance_ratio(embeddings, targets)


def test_effective_rank_is_the_entropy_of_the_covariance() -> None:
    embeddings, _ = drawn(0, n=50)
    rows = unit_rows(embeddings)
    shares = np.linalg.eigvalsh(np.cov(rows.T))
    shares /= shares.sum()
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert effective_rank(embeddings) == pytest.approx(expected, rel=1e-5)
    # More columns than rows, most of them empty: the same number.
    wide = np.hstack([embeddings, np.zeros((50, 200))])
    assert effective_rank(wide) == pytest.approx(expected, rel=1e-5)
    both = np.vstack([np.eye(8), -np.eye(8)])
    assert effective_rank(both) == pytest.approx(8)
    assert spread(both) == pytest.approx(np.sqrt(2 * 16 / 15))


def test_half_precision_is_enough_to_see_a_collapse() -> None:
    embeddings, targets = drawn(0, n=200)
    for dtype in (np.float16, np.float32):
        rows = embeddings.astype(dtype)
        assert spread(rows) == pytest.approx(spread(embeddings), rel=1e-2)
        assert distance_ratio(rows, targets) == pytest.approx(
            distance_ratio(embeddings, targets), rel=1e-2
        )


ALIKE = np.full((6, 3), 0.3, np.float32) * (1 + 1e-7 * np.arange(6)[:, None]).astype(np.float32)
CLASSES = np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("embeddings", "targets", "expected"),
    [
        (ALIKE, CLASSES, (np.nan, 0, 0)),
        (np.zeros((6, 3)), CLASSES, (np.nan, 0, 0)),
        (np.eye(2)[CLASSES], CLASSES, (np.inf, np.sqrt(1.2), 1)),  # 9 of 15 pairs at distance 2^.5
        (np.eye(6), np.zeros(6, int), (np.nan, np.sqrt(2), 5)),
        (np.eye(6), np.arange(6), (np.nan, np.sqrt(2), 5)),
        (np.ones((1, 3)), np.zeros(1, int), (np.nan, np.nan, 0)),
        (np.empty((0, 3)), np.zeros(0, int), (np.nan, np.nan, np.nan)),
    ],
)
def test_degenerate_rows(embeddings, targets, expected) -> None:
    found = distance_ratio(embeddings, targets), spread(embeddings), effective_rank(embeddings)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_zero_row_is_at_the_origin() -> None:
    rows = np.array([[0.0, 0], [2, 0], [0, 5]])
    np.testing.assert_array_equal(unit_rows(rows), [[0, 0], [1, 0], [0, 1]])
    assert spread(rows) == pytest.approx(np.sqrt((1 + 1 + 2) / 3))
    assert rows[1, 0] == 2, "the caller's array was changed"


@pytest.mark.parametrize("bad", [np.array([[np.nan, 1]]), np.array([[np.inf, 1]])])
def test_rows_that_are_not_finite(bad: np.ndarray) -> None:
    for measure in (spread, effective_rank, lambda rows: distance_ratio(rows, np.zeros(1, int))):
        with pytest.raises(ValueError, match="expected finite embeddings"):
            measure(bad)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(N, D\), got \(3,\)"):
        spread(np.ones(3))
    with pytest.raises(ValueError, match=r"expected targets \(3,\), got \(2,\)"):
        distance_ratio(np.eye(3), np.zeros(2, int))


def test_examples() -> None:
    result = doctest.testmod(geometry, extraglobs={"np": np})
    assert result.attempted and not result.failed
