"""Each change of a crop does what its title says, and the same every time."""

import numpy as np
import pytest

from mien.evaluation.changes import (
    CHANGES,
    Change,
    changes_for,
    mirror,
    move,
    scale_levels,
    swap_channels,
)
from mien.schema import Preprocessing

SIDE = 50


def noise(channels: int = 3) -> np.ndarray:
    crops = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, channels), dtype=np.uint8)
    return np.repeat(crops, 3 // channels, axis=-1)


def dot(row: int, column: int) -> np.ndarray:
    """A black crop with a white square of 5 pixels around a place."""
    crops = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    crops[:, row - 2 : row + 3, column - 2 : column + 3] = 255
    return crops


def place(crops: np.ndarray) -> tuple[float, float]:
    """Row and column of the center of what is white."""
    weights = crops[0, :, :, 0].astype(float)
    rows, columns = np.indices(weights.shape)
    return (weights * rows).sum() / weights.sum(), (weights * columns).sum() / weights.sum()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_is_deterministic_and_leaves_its_input(change: Change) -> None:
    crops = noise()
    before = crops.copy()
    changed = change.function(crops)
    assert changed.shape == crops.shape and changed.dtype == np.uint8
    assert (changed != crops).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(crops, before)
    np.testing.assert_array_equal(change.function(crops), changed)
    # One crop does not depend on those beside it.
    np.testing.assert_array_equal(change.function(crops[1:]), changed[1:])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_gray_stays_gray_and_only_changes_of_colors_leave_it(change: Change) -> None:
    crops = noise(channels=1)
    changed = change.function(crops)
    np.testing.assert_array_equal(changed, changed[..., :1].repeat(3, -1))
    assert np.array_equal(changed, crops) == change.of_colors


def test_what_moves_moves_by_the_stated_amount() -> None:
    assert place(move(dot(20, 20), right=0.06)) == pytest.approx((20, 23), abs=0.01)
    assert place(move(dot(20, 20), down=0.06)) == pytest.approx((23, 20), abs=0.01)
    center = (SIDE - 1) / 2
    row, column = place(move(dot(14, 24), scale=1.1))
    assert center - row == pytest.approx(1.1 * (center - 14), abs=0.1)
    assert column - center == pytest.approx(1.1 * (24 - center), abs=0.1)
    # Clockwise takes what is above the center to the right.
    assert place(move(dot(10, 24), degrees=10))[1] > 24 + 0.9 * 14.5 * np.sin(np.radians(10))


def test_channels_levels_and_sides() -> None:
    crops = noise()
    np.testing.assert_array_equal(swap_channels(crops)[..., 0], crops[..., 2])
    np.testing.assert_array_equal(mirror(mirror(crops)), crops)
    np.testing.assert_array_equal(mirror(crops)[:, :, 0], crops[:, :, -1])
    levels = np.array([0, 100, 200], np.uint8).reshape(1, 1, 1, 3)
    assert scale_levels(levels, gain=1.4).ravel().tolist() == [0, 140, 255]
    assert scale_levels(levels, gain=0.5, about=100).ravel().tolist() == [50, 100, 150]


def test_a_jpeg_keeps_its_colors() -> None:
    red = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    red[..., 0] = 200
    jpeg = next(change for change in CHANGES if change.name == "jpeg")
    assert np.abs(jpeg.function(red).astype(int) - red).max() <= 4


def test_what_cannot_be_changed_says_why() -> None:
    changes, left_out = changes_for(Preprocessing(color="gray"))
    assert set(left_out) == {"margin", "bgr", "gray"}
    assert {change.name for change in changes} | set(left_out) == {
        *(change.name for change in CHANGES),
        "margin",
    }
    changes, left_out = changes_for(Preprocessing(margin=0.25))
    assert left_out == {}
    [margin] = [change for change in changes if change.name == "margin"]
    # At a margin of a quarter, the half in the middle is the crop at margin 0.
    center = (SIDE - 1) / 2
    row, _ = place(margin.function(dot(18, 24)))
    assert center - row == pytest.approx(1.5 * (center - 18), abs=0.2)
