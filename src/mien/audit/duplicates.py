"""Crops that are there twice: the same pixels, and pictures that hardly differ.

A near duplicate is looked for by a perceptual hash, and confirmed by the pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.audit.hashing import SIDE, Hashes, IntArray, perceptual_hashes
from mien.schema import UInt8Array

LEAST_CORRELATION = 0.97
"""The least correlation of the pixels of near duplicates (our choice)."""

_COMPARED, _SHIFT = 64, 4  # pixels of a picture that is compared, and how far it may be moved
_BLANK = 2.0  # gray levels of standard deviation


class Prints(NamedTuple):
    """What is kept of ``N`` crops to find those that are alike.

    ``digests`` ``(N,)`` are equal for equal pixels only, but for chance (one in 10**8 among a
    million crops); ``hashes`` ``(N,)`` differ in few bits where pictures hardly differ, and
    ``mirrored`` ``(N,)`` are those of the mirror images; ``blank`` ``(N,)`` marks crops of one
    gray level, which show nothing.
    """

    digests: Hashes
    hashes: Hashes
    mirrored: Hashes
    blank: NDArray[np.bool_]


def prints_of(chunks: Iterable[UInt8Array]) -> Prints:
    """The prints of crops that come in chunks ``(n, S, S, 3)``; 25 bytes of each are kept."""
    digests: list[Hashes] = []
    hashes: list[Hashes] = []
    mirrored: list[Hashes] = []
    blank: list[NDArray[np.bool_]] = []
    for crops in chunks:
        small = np.stack([gray_picture(crop, SIDE) for crop in crops]).astype(np.float32)
        digests.append(np.array([_digest(crop) for crop in crops], np.uint64))
        hashes.append(perceptual_hashes(small))
        mirrored.append(perceptual_hashes(small[:, :, ::-1]))
        blank.append(small.std(axis=(1, 2)) < _BLANK)
    if not digests:
        nothing = np.zeros(0, np.uint64)
        return Prints(nothing, nothing, nothing, np.zeros(0, np.bool_))
    return Prints(
        np.concatenate(digests),
        np.concatenate(hashes),
        np.concatenate(mirrored),
        np.concatenate(blank),
    )


def equal_groups(digests: Hashes, blank: NDArray[np.bool_]) -> list[IntArray]:
    """The rows of each picture that is there more than once, blank ones left out."""
    shown = np.flatnonzero(~blank)
    order = shown[np.argsort(digests[shown], kind="stable")]
    changes = np.flatnonzero(np.diff(digests[order])) + 1
    return [group.astype(np.int64) for group in np.split(order, changes) if len(group) > 1]


def confirmed_pairs(
    pairs: IntArray,
    crop_of: Callable[[int], UInt8Array],
    *,
    mirrored: bool = False,
    least: float = LEAST_CORRELATION,
) -> tuple[IntArray, NDArray[np.float64]]:
    """The pairs whose pixels correlate by at least ``least``, ``(K, 2)``, and by how much.

    With ``mirrored``, the second crop of each is compared as its mirror image.
    """
    step = -1 if mirrored else 1
    correlations = np.array(
        [
            correlation(crop_of(int(first)), crop_of(int(second))[:, ::step])
            for first, second in pairs
        ],
        np.float64,
    )
    alike = correlations >= least
    return pairs[alike], correlations[alike]


def correlation(first: UInt8Array, second: UInt8Array) -> float:
    """The correlation of two crops' gray pixels, the greatest over small shifts, in [-1, 1].

    Both are compared at 64 pixels; the middle of the first is moved over the second by up to 4.
    """
    inner = gray_picture(first, _COMPARED)[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    scores = cv2.matchTemplate(gray_picture(second, _COMPARED), inner, cv2.TM_CCOEFF_NORMED)
    return float(np.clip(np.max(scores), -1, 1))


def gray_picture(crop: UInt8Array, side: int) -> UInt8Array:
    """A crop ``(S, S, 3)`` in gray, ``(side, side)``."""
    gray = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    shrinks = gray.shape[0] > side
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, (side, side), interpolation=how), np.uint8)


def _digest(crop: UInt8Array) -> int:
    pixels = np.ascontiguousarray(crop).data
    return int.from_bytes(hashlib.blake2b(pixels, digest_size=8).digest(), "little")
