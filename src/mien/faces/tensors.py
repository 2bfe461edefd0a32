"""Crops -> the network's input: the only place where pixels are normalized."""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np

from mien.schema import FloatArray, Preprocessing, UInt8Array


def to_tensor(
    crops: UInt8Array, preprocessing: Preprocessing, *, channels_last: bool = False
) -> FloatArray:
    """Convert ``(B, S, S, 3)`` uint8 RGB crops to ``(B, 3, S, S)`` float32, C-contiguous.

    A single ``(S, S, 3)`` crop gives ``B = 1``. Each value becomes ``(v / 255 - mean) / std``;
    with color ``"bgr"`` the channels are reversed first, so ``mean`` and ``std`` always follow
    the tensor's channels. Each of the 256 values is computed once in float64 and rounded, so
    the result is the same on every machine. ``channels_last`` gives the same values with the
    channels adjacent in memory, which torch prefers on CPUs.

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
    reverse = preprocessing.color == "bgr"
    if channels_last and len(batch):
        pixels: Any = np.ascontiguousarray(batch).reshape(-1, size, 3)
        if reverse:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        values = np.asarray(cv2.LUT(pixels, np.ascontiguousarray(table.T)[None]), np.float32)
        return values.reshape(batch.shape).transpose(0, 3, 1, 2)
    tensor = np.empty((len(batch), 3, size, size), np.float32)
    for crop, planes in zip(batch, tensor, strict=True):
        colors = cv2.split(crop)
        for channel, color in enumerate(colors[::-1] if reverse else colors):
            cv2.LUT(color, table[channel], dst=planes[channel])
    return tensor


@functools.cache
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> FloatArray:
    values = np.arange(256) / 255
    table = (values[None] - np.array(mean)[:, None]) / np.array(std)[:, None]
    return np.asarray(table, np.float32)
