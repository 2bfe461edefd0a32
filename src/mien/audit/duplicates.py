"""Crops that are there twice: the same pixels, and pictures that hardly differ.

A near duplicate is looked for by a perceptual hash, and confirmed by the pixels. No step compares
all pairs, so time and memory grow with the number of crops and not with its square.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema import UInt8Array

IntArray = NDArray[np.int64]
Hashes = NDArray[np.uint64]

MOST_BITS = 10
"""The most bits of 64 in which the hashes of near duplicates differ (our choice)."""
LEAST_CORRELATION = 0.97
"""The least correlation of the pixels of near duplicates (our choice)."""

_BITS = 64
_SIDE = 32  # pixels of a picture that is hashed
_COMPARED, _SHIFT = 64, 4  # pixels of a picture that is compared, and how far it may be moved
_ORDERS, _NEIGHBORS = 16, 8
_BLANK = 2.0  # gray levels of standard deviation


class Prints(NamedTuple):
    """What is kept of ``N`` crops to find those that are alike.

    ``digests`` ``(N,)`` are equal for equal pixels only, but for chance (one in 10**8 among a
    million crops); ``hashes`` ``(N,)`` differ in few bits where pictures hardly differ; ``blank``
    ``(N,)`` marks crops of one gray level, which show nothing.
    """

    digests: Hashes
    hashes: Hashes
    blank: NDArray[np.bool_]


def prints_of(chunks: Iterable[UInt8Array]) -> Prints:
    """The prints of crops that come in chunks ``(n, S, S, 3)``; 17 bytes of each are kept."""
    digests: list[Hashes] = []
    hashes: list[Hashes] = []
    blank: list[NDArray[np.bool_]] = []
    for crops in chunks:
        small = np.stack([_gray(crop, _SIDE) for crop in crops]).astype(np.float32)
        digests.append(np.array([_digest(crop) for crop in crops], np.uint64))
        hashes.append(perceptual_hashes(small))
        blank.append(small.std(axis=(1, 2)) < _BLANK)
    if not digests:
        nothing = np.zeros(0, np.uint64)
        return Prints(nothing, nothing, np.zeros(0, np.bool_))
    return Prints(np.concatenate(digests), np.concatenate(hashes), np.concatenate(blank))


def perceptual_hashes(pictures: NDArray[np.float32]) -> Hashes:
    """A hash of each gray picture ``(N, 32, 32)``, ``(N,)``.

    The 64 lowest frequencies of the cosine transform but the mean, each as whether it is above
    the median of them all, so that neither brightness nor contrast counts.
    """
    places = sorted(np.ndindex(11, 11), key=lambda place: (sum(place), place))[1 : _BITS + 1]
    waves = _cosines(11, _SIDE)
    spectra = waves @ pictures @ waves.T
    values = np.stack([spectra[:, row, column] for row, column in places], axis=1)
    bits = values > np.median(values, axis=1, keepdims=True)
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)[:, 0]


def equal_groups(digests: Hashes, blank: NDArray[np.bool_]) -> list[IntArray]:
    """The rows of each picture that is there more than once, blank ones left out."""
    shown = np.flatnonzero(~blank)
    order = shown[np.argsort(digests[shown], kind="stable")]
    changes = np.flatnonzero(np.diff(digests[order])) + 1
    return [group.astype(np.int64) for group in np.split(order, changes) if len(group) > 1]


def near_pairs(hashes: Hashes, *, most: int = MOST_BITS) -> IntArray:
    """Pairs of rows whose hashes differ in at most ``most`` bits, ``(M, 2)``, first before second.

    The bits are put into 16 random orders; in each the rows are sorted, and each row is compared
    with the 8 that follow it. Two hashes that differ in few bits are neighbors in at least one of
    them, most of the time: a pair that is too far apart in all is missed.
    """
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1)
    rng = np.random.default_rng(0)
    count = len(hashes)
    keys = np.zeros(0, np.int64)
    for _ in range(_ORDERS):
        shuffled = np.ascontiguousarray(np.packbits(bits[:, rng.permutation(_BITS)], axis=1))
        order = np.argsort(shuffled.view(">u8")[:, 0], kind="stable").astype(np.int64)
        near_keys = [keys]
        for step in range(1, min(_NEIGHBORS, count - 1) + 1):
            first, second = order[:-step], order[step:]
            near = bit_distances(hashes[first], hashes[second]) <= most
            low = np.minimum(first[near], second[near])
            high = np.maximum(first[near], second[near])
            near_keys.append(low * count + high)
        keys = np.unique(np.concatenate(near_keys))
    return np.stack(np.divmod(keys, max(count, 1)), axis=1)


def bit_distances(first: Hashes, second: Hashes) -> IntArray:
    """In how many bits each hash differs from the other, ``(N,)``."""
    distances: IntArray = _SET_BITS[(first ^ second)[:, None].view(np.uint8)].sum(axis=1)
    return distances


def confirmed_pairs(
    pairs: IntArray, crop_of: Callable[[int], UInt8Array], *, least: float = LEAST_CORRELATION
) -> tuple[IntArray, NDArray[np.float64]]:
    """The pairs whose pixels correlate by at least ``least``, ``(K, 2)``, and by how much."""
    correlations = np.array(
        [correlation(crop_of(int(first)), crop_of(int(second))) for first, second in pairs],
        np.float64,
    )
    alike = correlations >= least
    return pairs[alike], correlations[alike]


def correlation(first: UInt8Array, second: UInt8Array) -> float:
    """The correlation of two crops' gray pixels, the greatest over small shifts, in [-1, 1].

    Both are compared at 64 pixels; the middle of the first is moved over the second by up to 4.
    """
    inner = _gray(first, _COMPARED)[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    scores = cv2.matchTemplate(_gray(second, _COMPARED), inner, cv2.TM_CCOEFF_NORMED)
    return float(np.clip(np.max(scores), -1, 1))


def _gray(crop: UInt8Array, side: int) -> UInt8Array:
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    shrinks = gray.shape[0] > side
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, (side, side), interpolation=how), np.uint8)


def _digest(crop: UInt8Array) -> int:
    pixels = np.ascontiguousarray(crop).data
    return int.from_bytes(hashlib.blake2b(pixels, digest_size=8).digest(), "little")


def _cosines(waves: int, side: int) -> NDArray[np.float32]:
    """The first rows of the cosine transform, ``(waves, side)``, without their scale."""
    points = (np.arange(side) + 0.5) / side
    return np.cos(np.pi * np.arange(waves)[:, None] * points).astype(np.float32)


_SET_BITS = np.array([number.bit_count() for number in range(256)], np.int64)
