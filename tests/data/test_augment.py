import numpy as np
import pytest

from mien.data.augment import Augmentation, augment

NOTHING = Augmentation(flip=0, rotation=0, shift=0, scale=0, brightness=0, contrast=0, erase=0)
CROPS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
ROWS = np.arange(6, dtype=np.int64)


def test_all_zero_changes_nothing() -> None:
    np.testing.assert_array_equal(augment(CROPS, ROWS, NOTHING, seed=0, epoch=0), CROPS)


def test_a_certain_flip_mirrors() -> None:
    flipped = augment(CROPS, ROWS, NOTHING.model_copy(update={"flip": 1.0}), seed=0, epoch=0)
    np.testing.assert_array_equal(flipped, CROPS[:, :, ::-1])


def test_a_row_depends_on_seed_epoch_and_row_only() -> None:
    everything = Augmentation(erase=1.0)
    together = augment(CROPS, ROWS, everything, seed=5, epoch=3)
    alone = augment(CROPS[4:5], ROWS[4:5], everything, seed=5, epoch=3)
    np.testing.assert_array_equal(together[4:5], alone)
    assert (together != augment(CROPS, ROWS, everything, seed=5, epoch=4)).any()
    assert (together != augment(CROPS, ROWS, everything, seed=6, epoch=3)).any()


def test_one_gray_channel_gives_what_three_equal_ones_give() -> None:
    everything = Augmentation(erase=0.5)
    gray = np.ascontiguousarray(CROPS[..., :1])
    for epoch in range(5):
        one = augment(gray, ROWS, everything, seed=0, epoch=epoch)
        three = augment(gray.repeat(3, axis=-1), ROWS, everything, seed=0, epoch=epoch)
        np.testing.assert_array_equal(one.repeat(3, axis=-1), three)


def test_one_setting_does_not_shift_the_stream_of_another() -> None:
    without = augment(CROPS, ROWS, NOTHING.model_copy(update={"flip": 0.5}), seed=1, epoch=0)
    erased = augment(
        CROPS, ROWS, NOTHING.model_copy(update={"flip": 0.5, "erase": 1.0}), seed=1, epoch=0
    )
    # Most of a crop stays, so which rows were mirrored can be read off.
    assert (without == erased).mean() > 0.8


def test_rotation_turns_about_the_center() -> None:
    crop = np.zeros((1, 33, 33, 3), np.uint8)
    crop[0, 14:19, 14:19] = 255
    turned = augment(
        crop, ROWS[:1], NOTHING.model_copy(update={"rotation": 180.0}), seed=0, epoch=0
    )
    weights = turned[0, :, :, 0].astype(float)
    rows, columns = np.indices(weights.shape)
    assert (rows * weights).sum() / weights.sum() == pytest.approx(16, abs=0.1)
    assert (columns * weights).sum() / weights.sum() == pytest.approx(16, abs=0.1)


def test_shift_moves_by_at_most_the_given_share() -> None:
    crop = np.zeros((1, 41, 41, 3), np.uint8)
    crop[0, 20, 20] = 255
    for epoch in range(20):
        moved = augment(
            crop, ROWS[:1], NOTHING.model_copy(update={"shift": 0.2}), seed=0, epoch=epoch
        )
        y, x = np.unravel_index(moved[0, :, :, 0].argmax(), (41, 41))
        assert max(abs(int(y) - 20), abs(int(x) - 20)) <= 9


def test_the_input_is_left_as_it_was() -> None:
    before = CROPS.copy()
    augment(CROPS, ROWS, Augmentation(erase=1.0), seed=0, epoch=0)
    np.testing.assert_array_equal(CROPS, before)
