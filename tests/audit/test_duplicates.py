import tracemalloc

import numpy as np
import pytest
from audited import pictures

from mien.audit.duplicates import (
    MOST_BITS,
    bit_distances,
    confirmed_pairs,
    correlation,
    equal_groups,
    near_pairs,
    perceptual_hashes,
    prints_of,
)


def pairs_of(crops: np.ndarray) -> set[tuple[int, int]]:
    prints = prints_of([crops])
    pairs, _ = confirmed_pairs(near_pairs(prints.hashes), lambda row: crops[row])
    return {(int(first), int(second)) for first, second in pairs}


def shifted(crops: np.ndarray) -> np.ndarray:
    padded = np.pad(crops, ((0, 0), (1, 0), (1, 0), (0, 0)), mode="edge")
    return padded[:, :-1, :-1]


def changed(crops: np.ndarray, how: str) -> np.ndarray:
    if how == "shifted":
        return shifted(crops)
    if how == "brighter":
        return crops + np.uint8(40)
    if how == "flatter":
        return (0.7 * crops + 20).astype(np.uint8)
    noise = np.random.default_rng(1).normal(0, 6, crops.shape)
    return np.clip(crops + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("how", "least"), [("shifted", 40), ("brighter", 48), ("flatter", 48), ("noisy", 48)]
)
def test_near_duplicates_are_found_and_nothing_else(how: str, least: int) -> None:
    crops = pictures(300)
    pairs = pairs_of(np.concatenate([crops, changed(crops[:50], how)]))
    planted = {(number, 300 + number) for number in range(50)}
    assert pairs <= planted
    assert len(pairs) >= least


def test_equal_pixels_are_grouped_and_blank_crops_are_not() -> None:
    crops = pictures(20)
    crops[[4, 9, 17]] = crops[3]
    crops[[6, 7]] = 90
    prints = prints_of([crops[:5], crops[5:]])
    groups = equal_groups(prints.digests, prints.blank)
    assert [group.tolist() for group in groups] == [[3, 4, 9, 17]]
    assert np.flatnonzero(prints.blank).tolist() == [6, 7]


def test_a_changed_pixel_is_not_equal() -> None:
    crops = pictures(2)
    crops[1] = crops[0]
    crops[1, 5, 5, 0] += 1
    prints = prints_of([crops])
    assert prints.digests[0] != prints.digests[1]
    assert bit_distances(prints.hashes[:1], prints.hashes[1:])[0] <= 1
    assert correlation(crops[0], crops[1]) > 0.999


def test_hashes_ignore_brightness_and_contrast_and_unlike_pictures_are_far() -> None:
    small = np.random.default_rng(0).uniform(0, 200, (400, 32, 32)).astype(np.float32)
    hashes = perceptual_hashes(small)
    assert (perceptual_hashes(0.5 * small + 30) == hashes).mean() > 0.9
    distances = bit_distances(hashes[:-1], hashes[1:])
    assert 30 < distances.mean() < 34 and distances.min() > MOST_BITS


def test_near_hashes_are_found_among_many() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 20_000, dtype=np.uint64)
    bits = np.zeros(1000, np.uint64)
    for _ in range(3):
        bits |= np.uint64(1) << rng.integers(0, 64, 1000).astype(np.uint64)
    hashes[10_000:11_000] = hashes[:1000] ^ bits
    pairs = set(map(tuple, near_pairs(hashes).tolist()))
    planted = {(n, n + 10_000) for n in range(1000)}
    assert len(pairs & planted) > 990
    # Of 200 million other pairs, a few are as near by chance.
    assert len(pairs - planted) < 20


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_rows(count: int) -> None:
    prints = prints_of([pictures(count)] if count else [])
    assert near_pairs(prints.hashes).shape == (0, 2)
    assert equal_groups(prints.digests, prints.blank) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_square() -> None:
    # All hashes are alike: the worst case, in which every neighbor is near.
    peaks = []
    for count in (5_000, 20_000):
        hashes = np.arange(count, dtype=np.uint64) % np.uint64(8)
        tracemalloc.start()
        pairs = near_pairs(hashes)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(pairs) <= 128 * count
    assert peaks[1] < 6 * peaks[0]
