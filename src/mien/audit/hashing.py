"""Perceptual hashes of crops, and an exact search for those that differ in few bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Hashes = NDArray[np.uint64]
KindOf = Callable[[IntArray, IntArray], IntArray]
"""Of which kind a pair of each first and second row is, 0 or 1, and -1 for none, ``(n,)``."""

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
_KINDS = 2


class NearPairs(NamedTuple):
    """Pairs of rows with near hashes ``(M, 2)``, first before second, and rows with more of them.

    ``crowded`` are the rows that have reached :data:`MOST_PARTNERS` of a kind; every other row has
    all of its pairs.
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
    kind_of: KindOf | None = None,
) -> NearPairs:
    """Every pair of rows whose hashes differ in at most ``most`` bits.

    ``others`` ``(N,)`` are second hashes of the same rows, such as those of their mirror images;
    then a row's hash and another row's second hash are compared. Without ``kind_of``, all pairs
    are of one kind. The search is exact: a hash is cut into four pieces of 16 bits, and two hashes
    that differ in at most ``4 a + b`` bits differ in at most ``a`` bits of one of the first
    ``b + 1`` pieces, or in fewer of another (multi-index hashing, Norouzi et al., 2012). Only rows
    with such a piece are compared, of which there are some hundred times fewer than pairs. Memory
    grows with the rows: a row that has :data:`MOST_PARTNERS` pairs of each kind is not compared
    further.
    """
    count = len(hashes)
    first_pieces = _pieces(hashes)
    second_pieces = first_pieces if others is None else _pieces(others)
    second = hashes if others is None else others
    partners = np.zeros((_KINDS, count), np.int64)
    if kind_of is None:
        partners[1:] = MOST_PARTNERS
    keys: list[IntArray] = []
    limits = [most // _PIECES - (piece > most % _PIECES) for piece in range(_PIECES)]
    for piece, limit in enumerate(limits):
        order = np.argsort(second_pieces[piece], kind="stable").astype(np.int64)
        starts = np.searchsorted(
            second_pieces[piece], np.arange(2**_PIECE_BITS + 1), sorter=order
        ).astype(np.int64)
        near = _near(hashes, second[order], first_pieces[piece], starts, limit, most, partners)
        for row, place in near:
            other = order[place]
            kinds = np.zeros(len(row), np.int64) if kind_of is None else kind_of(row, other)
            fresh = (row != other) & (kinds >= 0)
            # A pair that an earlier piece has shown is listed already.
            for earlier in range(piece):
                apart = first_pieces[earlier][row] ^ second_pieces[earlier][other]
                fresh &= _SET_BITS[apart] > limits[earlier]
            row, other, kinds = row[fresh], other[fresh], kinds[fresh]
            by_kind = np.lexsort((kinds, row))
            row, other, kinds = row[by_kind], other[by_kind], kinds[by_kind]
            rank = _rank_in_group(row * _KINDS + kinds)
            listed = partners[kinds, row] + rank < MOST_PARTNERS
            row, other, kinds = row[listed], other[listed], kinds[listed]
            np.add.at(partners, (kinds, row), 1)
            keys.append(np.minimum(row, other) * count + np.maximum(row, other))
    pairs = np.unique(np.concatenate(keys)) if keys else np.zeros(0, np.int64)
    if kind_of is None:
        partners = partners[:1]
    return NearPairs(
        np.stack(np.divmod(pairs, max(count, 1)), axis=1),
        np.flatnonzero((partners >= MOST_PARTNERS).any(axis=0)).astype(np.int64),
    )


def bit_distances(first: Hashes, second: Hashes) -> IntArray:
    """In how many bits each hash differs from the other, ``(N,)``."""
    return _count_bits(first ^ second).astype(np.int64)


def _count_bits(hashes: Hashes) -> NDArray[np.uint8]:
    if hasattr(np, "bitwise_count"):  # since NumPy 2
        return np.asarray(np.bitwise_count(hashes), np.uint8)
    pieces = np.ascontiguousarray(hashes).view(np.uint16).reshape(-1, _PIECES)
    return np.asarray(_SET_BITS[pieces].sum(axis=1), np.uint8)


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


def _near(
    hashes: Hashes,
    others: Hashes,
    pieces: IntArray,
    starts: IntArray,
    limit: int,
    most: int,
    partners: IntArray,
) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows and places of others that differ in ``limit`` bits of a piece and ``most`` in all.

    ``others`` are in the order of their pieces, and those with piece ``p`` begin at ``starts[p]``.
    Of many with one piece the first come first, so that rows in a crowd are soon done: the caller
    counts ``partners``.
    """
    for change in _changes(limit):
        done, size, left = 0, _FIRST, True
        while left:
            rows = np.flatnonzero((partners < MOST_PARTNERS).any(axis=0))
            places = pieces[rows] ^ change
            begins, stops = starts[places] + done, starts[places + 1]
            ends = np.minimum(stops, begins + size)
            some = begins < ends
            for row, place in _members(rows[some], begins[some], ends[some]):
                near = np.flatnonzero(_count_bits(hashes[row] ^ others[place]) <= most)
                if len(near):
                    yield row[near], place[near]
            left = bool((stops > ends).any())
            done, size = done + size, 4 * size


def _members(
    rows: IntArray, starts: IntArray, ends: IntArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Each row with each number from its start to its end, in steps of bounded size."""
    sizes = ends - starts
    totals = np.cumsum(sizes)
    begin = 0
    while begin < len(rows):
        done = totals[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(totals, done + _AT_ONCE, side="right")))
        part = sizes[begin:end]
        before = starts[begin:end] - (totals[begin:end] - part - done)
        yield np.repeat(rows[begin:end], part), np.repeat(before, part) + np.arange(part.sum())
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
