import numpy as np
import pytest
from audited import pictures

from mien.audit.duplicates import confirmed_pairs, correlation, equal_groups, prints_of
from mien.audit.hashing import bit_distances, near_pairs


def pairs_of(crops: np.ndarray) -> set[tuple[int, int]]:
    prints = prints_of([crops])
    pairs, _ = confirmed_pairs(near_pairs(prints.hashes).pairs, lambda row: crops[row])
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


def test_a_mirror_image_is_near_as_such_only() -> None:
    crops = pictures(40)
    both = np.concatenate([crops, crops[:10, :, ::-1]])
    prints = prints_of([both])
    assert len(near_pairs(prints.hashes).pairs) == 0
    pairs = near_pairs(prints.hashes, prints.mirrored).pairs
    assert pairs.tolist() == [[number, number + 40] for number in range(10)]
    _, correlations = confirmed_pairs(pairs, lambda row: both[row], mirrored=True)
    assert len(correlations) == 10 and correlations.min() > 0.999
    assert len(confirmed_pairs(pairs, lambda row: both[row])[0]) == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_rows(count: int) -> None:
    prints = prints_of([pictures(count)] if count else [])
    assert near_pairs(prints.hashes).pairs.shape == (0, 2)
    assert equal_groups(prints.digests, prints.blank) == []
