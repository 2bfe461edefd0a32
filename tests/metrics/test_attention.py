import numpy as np
import pytest

from mien.metrics.attention import MapSums


def drawn(seed: int = 0, n: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    maps = rng.uniform(size=(n, 4, 4)).astype(np.float32)
    return maps, rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8), rng.integers(-1, 2, n)


def test_means_by_class_whatever_the_batches() -> None:
    maps, crops, targets = drawn()
    sums = MapSums(3)
    for rows in (slice(0, 7), slice(7, 8), slice(8, 50), slice(50, 50)):
        sums.add(maps[rows], crops[rows], targets[rows])
    means = sums.means()
    assert means is not None
    assert means.counts.tolist() == [(targets == 0).sum(), (targets == 1).sum(), 0]
    for index in (0, 1):
        np.testing.assert_allclose(means.maps[index], maps[targets == index].mean(0), rtol=1e-5)
        np.testing.assert_allclose(means.crops[index], crops[targets == index].mean(0))
    assert not means.maps[2].any() and np.isfinite(means.crops).all()


def test_without_maps_or_classes_there_are_no_means() -> None:
    assert MapSums(3).means() is None
    maps, crops, targets = drawn()
    sums = MapSums(3)
    sums.add(maps, crops, np.full_like(targets, -1))
    assert sums.means() is None
    with pytest.raises(ValueError, match="got 50, 49 and 50"):
        sums.add(maps, crops[1:], targets)


def test_gray_crops_are_shown_gray() -> None:
    maps, crops, targets = drawn()
    sums = MapSums(3)
    sums.add(maps, crops[..., :1], targets)
    means = sums.means()
    assert means is not None and means.crops.shape == (3, 8, 8, 3)
    assert (means.crops == means.crops[..., :1]).all()
