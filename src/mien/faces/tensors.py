"""Crops -> the network's input. The only place where pixels are normalised."""

from __future__ import annotations

import functools

import numpy as np

from mien.schema import FloatArray, Preprocessing, UInt8Array


def to_tensor(crops: UInt8Array, preprocessing: Preprocessing) -> FloatArray:
    """``(B, S, S, 3)`` uint8 RGB crops as C-contiguous ``(B, 3, S, S)`` float32.

    A single ``(S, S, 3)`` crop gives ``B = 1``. Each value becomes ``(v / 255 - mean) / std``;
    with colour ``"bgr"`` the channels are reversed first, so ``mean`` and ``std`` always follow
    the tensor's channels. Each of the 256 values is computed once in float64 and rounded, so
    the result is exact and the same everywhere.

    Raises ``ValueError`` for another dtype or shape than ``preprocessing`` asks for.

    >>> to_tensor(np.zeros((112, 112, 3), np.uint8), Preprocessing()).shape
    (1, 3, 112, 112)
    """
    size = preprocessing.size
    batch = crops[None] if crops.ndim == 3 else crops
    if crops.dtype != np.uint8 or batch.shape[1:] != (size, size, 3):
        raise ValueError(
            f"expected uint8 crops of shape (B, {size}, {size}, 3), got {crops.dtype} {crops.shape}"
        )
    table = _table(preprocessing.mean, preprocessing.std)
    tensor = np.empty((len(batch), 3, size, size), np.float32)
    for channel in range(3):
        source = 2 - channel if preprocessing.colour == "bgr" else channel
        # mode="clip" writes straight into the output; no uint8 can be out of the table's range.
        np.take(table[channel], batch[..., source], out=tensor[:, channel], mode="clip")
    return tensor


@functools.cache
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> FloatArray:
    values = np.arange(256) / 255
    table = (values[None] - np.array(mean)[:, None]) / np.array(std)[:, None]
    return np.asarray(table, np.float32)
