"""Perceptual hashes of crops, and an exact search for those that differ in few bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Wanted = Callable[[IntArray, IntArray], NDArray[np.bool_]]
"""Whether each first and second row may be a pair, ``(n,)``."""

SIDE = 32
"""Pixels of a picture that is hashed."""
MOST_BITS = 10
"""The most bits of 64 in which the hashes of near duplicates differ (our choice)."""
MOST_PARTNERS = 32
"""Of how many other rows a row is listed as a near duplicate (our choice)."""

_BITS, _PIECES = 64, 4
_PIECE_BITS = _BITS // _PIECES
_AT_ONCE = 1 << 20  # candidates that are compared in one step
_FIRST = 256  # of the rows with one piece, how many are looked at first


class NearPairs(NamedTuple):
    """Pairs of rows with near hashes ``(M, 2)``, first before second, and rows with more of them.

    ``crowded`` are the rows that have reached :data:`MOST_PARTNERS`; every other row has all of
    its pairs.
    """

    pairs: IntArray
    crowded: IntArray


def perceptual_hashes(pictures: NDArray[np.float32]) -> Hashes:
    """A hash of each gray picture ``(N, 32, 32)``, ``(N,)``.

    The 64 lowest frequencies of the cosine transform but the mean, each as whether it is above
    the median of them all, so that neither brightness nor contrast counts.
    """
    places = sorted(np.ndindex(11, 11), key=lambda place: (sum(place), place))[1 : _BITS + 1]
    waves = _cosines(11, SIDE)
    spectra = waves @ pictures @ waves.T
    values = np.stack([spectra[:, row, column] for row, column in places], axis=1)
    bits = values > np.median(values, axis=1, keepdims=True)
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)[:, 0]


def near_pairs(
    hashes: Hashes,
    others: Hashes | None = None,
    *,
    most: int = MOST_BITS,
    wanted: Wanted | None = None,
) -> NearPairs:
    """Every pair of rows whose hashes differ in at most ``most`` bits.

    ``others`` ``(N,)`` are second hashes of the same rows, such as those of their mirror images;
    then a row's hash and another row's second hash are compared. ``wanted`` says which pairs
    count. The search is exact: a hash is cut into four pieces of 16 bits, and two hashes that
    differ in at most ``4 a + b`` bits differ in at most ``a`` bits of one of the first ``b + 1``
    pieces, or in fewer of another (multi-index hashing, Norouzi et al., 2012). Only rows with such
    a piece are compared, of which there are some hundred times fewer than pairs. Memory grows with
    the rows: a row that has :data:`MOST_PARTNERS` pairs is not compared further.
    """
    count = len(hashes)
    first_pieces = _pieces(hashes)
    second_pieces = first_pieces if others is None else _pieces(others)
    second = hashes if others is None else others
    partners = np.zeros(count, np.int64)
    keys: list[IntArray] = []
    limits = [most // _PIECES - (piece > most % _PIECES) for piece in range(_PIECES)]
    for piece, limit in enumerate(limits):
        order = np.argsort(second_pieces[piece], kind="stable").astype(np.int64)
        starts = np.searchsorted(
            second_pieces[piece], np.arange(2**_PIECE_BITS + 1), sorter=order
        ).astype(np.int64)
        for row, other in _candidates(first_pieces[piece], order, starts, limit, partners):
            near = bit_distances(hashes[row], second[other]) <= most
            near &= row != other
            row, other = row[near], other[near]
            fresh = np.ones(len(row), np.bool_)
            # A pair that an earlier piece has shown is listed already.
            for earlier in range(piece):
                apart = first_pieces[earlier][row] ^ second_pieces[earlier][other]
                fresh &= _SET_BITS[apart] > limits[earlier]
            if wanted is not None:
                fresh &= wanted(row, other)
            row, other = row[fresh], other[fresh]
            listed = partners[row] + _rank_in_group(row) < MOST_PARTNERS
            row, other = row[listed], other[listed]
            partners += np.bincount(row, minlength=count)
            keys.append(np.minimum(row, other) * count + np.maximum(row, other))
    pairs = np.unique(np.concatenate(keys)) if keys else np.zeros(0, np.int64)
    return NearPairs(
        np.stack(np.divmod(pairs, max(count, 1)), axis=1),
        np.flatnonzero(partners >= MOST_PARTNERS).astype(np.int64),
    )


def bit_distances(first: Hashes, second: Hashes) -> IntArray:
    """In how many bits each hash differs from the other, ``(N,)``."""
    apart = np.ascontiguousarray(first ^ second).view(np.uint16).reshape(-1, _PIECES)
    counts = sum(_SET_BITS[apart[:, piece]] for piece in range(_PIECES))
    return np.asarray(counts, np.int64)


def _pieces(hashes: Hashes) -> list[NDArray[np.int64]]:
    """Every fourth bit of each hash, in four numbers: neighboring frequencies go together."""
    bits = np.unpackbits(np.ascontiguousarray(hashes)[:, None].view(np.uint8), axis=1)
    weights = 1 << np.arange(_PIECE_BITS)
    return [bits[:, piece::_PIECES].astype(np.int64) @ weights for piece in range(_PIECES)]


def _changes(most: int) -> Iterator[int]:
    """Every number of 16 bits of which at most ``most`` are set, those with few first."""
    for number in np.argsort(_SET_BITS, kind="stable").tolist():
        if _SET_BITS[number] > most:
            return
        yield number


def _candidates(
    pieces: IntArray, order: IntArray, starts: IntArray, limit: int, partners: IntArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows and others whose pieces differ in at most ``limit`` bits, in steps of bounded size.

    ``order`` are the others by piece, and those with piece ``p`` begin at ``starts[p]``. Of many
    with one piece the first come first, so that rows in a crowd are soon done: the caller counts
    ``partners``.
    """
    for change in _changes(limit):
        done, size = 0, _FIRST
        while True:
            rows = np.flatnonzero(partners < MOST_PARTNERS)
            places = pieces[rows] ^ change
            begins = starts[places] + done
            ends = np.minimum(starts[places + 1], begins + size)
            left = begins < ends
            if not left.any():
                break
            yield from _members(rows[left], begins[left], ends[left], order)
            done, size = done + size, 4 * size


def _members(
    rows: IntArray, starts: IntArray, ends: IntArray, order: IntArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Each row with each of ``order[start:end]``, in steps of bounded size."""
    sizes = ends - starts
    totals = np.cumsum(sizes)
    begin = 0
    while begin < len(rows):
        done = totals[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(totals, done + _AT_ONCE, side="right")))
        part = sizes[begin:end]
        offsets = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
        yield np.repeat(rows[begin:end], part), order[np.repeat(starts[begin:end], part) + offsets]
        begin = end


def _rank_in_group(rows: IntArray) -> IntArray:
    """The number of equal values directly before each of ``rows``, which are in order."""
    places = np.arange(len(rows))
    begins = np.concatenate([[True], rows[1:] != rows[:-1]]) if len(rows) else np.zeros(0, bool)
    return places - np.maximum.accumulate(np.where(begins, places, 0))


def _cosines(waves: int, side: int) -> NDArray[np.float32]:
    """The first rows of the cosine transform, ``(waves, side)``, without their scale."""
    points = (np.arange(side) + 0.5) / side
    return np.cos(np.pi * np.arange(waves)[:, None] * points).astype(np.float32)


_SET_BITS = np.array([number.bit_count() for number in range(2**_PIECE_BITS)], np.uint8)
