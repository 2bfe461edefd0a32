import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.tensors import to_tensor
from mien.schema import Preprocessing, UInt8Array


def crops(count: int, size: int, seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def naive(batch: UInt8Array, preprocessing: Preprocessing) -> np.ndarray[tuple[int, ...], np.dtype]:
    values = batch.astype(np.float64) / 255
    if preprocessing.color == "bgr":
        values = values[..., ::-1]
    values = (values - np.array(preprocessing.mean)) / np.array(preprocessing.std)
    return values.transpose(0, 3, 1, 2).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 4),
    st.integers(16, 40),
    st.sampled_from(["rgb", "bgr", "gray"]),
    st.tuples(*[st.floats(-1, 1)] * 3),
    st.tuples(*[st.floats(0.01, 2)] * 3),
)
def test_equals_the_plain_formula_bit_for_bit(
    count: int,
    size: int,
    color: str,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> None:
    preprocessing = Preprocessing(size=size, color=color, mean=mean, std=std)
    batch = crops(count, size)
    tensor = to_tensor(batch, preprocessing)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor, naive(batch, preprocessing))
    adjacent = to_tensor(batch, preprocessing, channels_last=True)
    assert adjacent.dtype == np.float32
    assert adjacent.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(adjacent, tensor)


def test_a_single_crop_is_a_batch_of_one() -> None:
    preprocessing = Preprocessing(size=32)
    batch = crops(3, 32)
    for index in range(3):
        np.testing.assert_array_equal(
            to_tensor(batch[index], preprocessing)[0], to_tensor(batch, preprocessing)[index]
        )


def test_any_memory_layout_gives_the_same() -> None:
    preprocessing = Preprocessing(size=32)
    batch = crops(2, 64)[:, ::2, ::-2]
    expected = to_tensor(np.ascontiguousarray(batch), preprocessing)
    np.testing.assert_array_equal(to_tensor(batch, preprocessing), expected)
    np.testing.assert_array_equal(to_tensor(batch, preprocessing, channels_last=True), expected)


def test_one_worked_number() -> None:
    preprocessing = Preprocessing(size=16, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1.0))
    crop = np.full((16, 16, 3), 255, np.uint8)
    assert to_tensor(crop, preprocessing)[0, :, 0, 0].tolist() == [2.0, 1.0, 0.5]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 33, 32, 3), np.uint8),
        np.zeros((2, 3, 32, 32), np.uint8),
        np.zeros((32, 32), np.uint8),
        np.zeros((32, 32, 3), np.float32),
    ],
)
def test_other_shapes_and_types_are_refused(wrong: UInt8Array) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 crops of shape \(B, 32, 32, 3\), got"):
        to_tensor(wrong, Preprocessing(size=32))
