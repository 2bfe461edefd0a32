import tracemalloc

import numpy as np
import pytest

from mien.audit.hashing import (
    MOST_BITS,
    MOST_PARTNERS,
    bit_distances,
    near_pairs,
    perceptual_hashes,
)


def flipped(hashes: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    """The hashes with so many different bits the other way round."""
    places = rng.random((len(hashes), 64)).argsort(axis=1)[:, :bits].astype(np.uint64)
    return hashes ^ (np.uint64(1) << places).sum(axis=1, dtype=np.uint64)


def every_pair(first: np.ndarray, second: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of near hashes by comparing all."""
    pairs = set()
    for row, value in enumerate(first):
        near = bit_distances(np.full(len(second), value), second) <= MOST_BITS
        others = np.flatnonzero(near).tolist()
        pairs |= {(min(row, each), max(row, each)) for each in others if each != row}
    return pairs


def test_hashes_ignore_brightness_and_contrast_and_unlike_pictures_are_far() -> None:
    small = np.random.default_rng(0).uniform(0, 200, (400, 32, 32)).astype(np.float32)
    hashes = perceptual_hashes(small)
    assert (perceptual_hashes(0.5 * small + 30) == hashes).mean() > 0.9
    distances = bit_distances(hashes[:-1], hashes[1:])
    assert 30 < distances.mean() < 34 and distances.min() > MOST_BITS


def test_distances_count_bits() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 50, dtype=np.uint64)
    for bits in (0, 1, 17, 64):
        assert (bit_distances(hashes, flipped(hashes, bits, rng)) == bits).all()


def test_the_search_is_exact() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 1500, dtype=np.uint64)
    for number, bits in enumerate((3, 9, 10, 11)):
        hashes[200 * (number + 1) :][:200] = flipped(hashes[:200], bits, rng)
    near = near_pairs(hashes)
    assert set(map(tuple, near.pairs.tolist())) == every_pair(hashes, hashes)
    assert len(near.pairs) >= 600 and len(near.crowded) == 0
    others = rng.permutation(hashes)
    mirrored = near_pairs(hashes, others)
    assert set(map(tuple, mirrored.pairs.tolist())) == every_pair(hashes, others)


def test_unwanted_pairs_crowd_nobody_out() -> None:
    hashes = np.zeros(200, np.uint64)
    parts = np.arange(200) < 150
    across = near_pairs(hashes, kind_of=lambda one, two: (parts[one] != parts[two]) - 1)
    assert len(across.crowded) == 200
    # However many are alike, each has a partner in the other part.
    assert len(np.unique(across.pairs)) == 200
    assert (parts[across.pairs[:, 0]] != parts[across.pairs[:, 1]]).all()


def test_pairs_of_one_kind_crowd_out_none_of_the_other() -> None:
    hashes = np.zeros(200, np.uint64)
    parts = np.arange(200) < 150

    def is_across(pairs: np.ndarray) -> np.ndarray:
        return parts[pairs[:, 0]] != parts[pairs[:, 1]]

    both = near_pairs(hashes, kind_of=lambda one, two: (parts[one] != parts[two]) * 1).pairs
    across = near_pairs(hashes, kind_of=lambda one, two: (parts[one] != parts[two]) - 1).pairs
    assert (both[is_across(both)] == across).all()
    assert len(np.unique(both[~is_across(both)])) == 200


@pytest.mark.slow
def test_memory_does_not_grow_with_the_square() -> None:
    # All hashes are alike: the worst case, in which every pair is near.
    peaks = []
    for count in (5_000, 20_000):
        hashes = np.arange(count, dtype=np.uint64) % np.uint64(8)
        tracemalloc.start()
        near = near_pairs(hashes)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(near.crowded) == count and len(near.pairs) <= MOST_PARTNERS * count
    assert peaks[1] < 6 * peaks[0]
