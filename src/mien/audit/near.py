"""Near duplicates of datasets: pictures that hardly differ, mirror images, and other crops."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.audit.duplicates import Prints, confirmed_pairs
from mien.audit.embedded import nearest_pairs, recropped_pairs
from mien.audit.hashing import IntArray, near_pairs
from mien.audit.rows import Rows

KINDS = ("near", "mirrored", "recropped")
"""How two crops are alike: they hardly differ, as they are or mirrored; or show one photo."""


class NearDuplicates(NamedTuple):
    """Confirmed pairs ``(M, 2)``, those in different parts first, the most alike first.

    ``correlations`` ``(M,)`` are those of the pixels; ``kinds`` ``(M,)`` are indices of
    :data:`KINDS`. ``crowded`` counts the rows with more pairs than are listed.
    """

    pairs: IntArray
    correlations: NDArray[np.float64]
    kinds: IntArray
    crowded: int

    def of_kind(self, kind: str) -> IntArray:
        """The pairs of one of :data:`KINDS`, ``(K, 2)``."""
        pairs: IntArray = self.pairs[self.kinds == KINDS.index(kind)]
        return pairs


def near_duplicates(
    rows: Rows, prints: Prints, embedded: tuple[IntArray, NDArray[Any]] | None = None
) -> NearDuplicates:
    """Pairs that hardly differ, but for equal pixels, blank crops and frames of one video.

    Of equal crops in one part, the first stands for all. Pairs in different parts and those in one
    are listed separately, so that none in different parts is missed for many in one. Other crops
    of one photo are looked for among the rows that are ``embedded``: their numbers ``(K,)`` and
    embeddings ``(K, D)``.
    """
    digests, shown = prints.digests, np.flatnonzero(~prints.blank)
    keys = np.stack([digests[shown], rows.parts[shown].astype(np.uint64)], axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    picked = shown[np.sort(first)]
    hashes, mirrored = prints.hashes[picked], prints.mirrored[picked]
    digests, parts = digests[picked], rows.parts[picked]
    _, videos = np.unique(rows.people("video")[picked].astype(str), return_inverse=True)
    named = rows.people("video")[picked] != ""

    lists: list[tuple[IntArray, NDArray[np.float64], int]] = []
    crowded: set[int] = set()
    listed = np.zeros(0, np.int64)

    def is_wanted(one: IntArray, two: IntArray) -> NDArray[np.bool_]:
        one_video = (videos[one] == videos[two]) & named[one]
        return np.asarray(~one_video & (digests[one] != digests[two]), np.bool_)

    def fresh(pairs: IntArray) -> IntArray:
        """Those that are not listed: a face may be its own mirror image, nearly."""
        return pairs[~np.isin(pairs[:, 0] * len(rows) + pairs[:, 1], listed)]

    def kind_of(one: IntArray, two: IntArray) -> IntArray:
        """Within a part or across two, so that none across is missed for many within."""
        return np.where(is_wanted(one, two), parts[one] != parts[two], -1)

    for kind, others in enumerate((None, mirrored)):
        near = near_pairs(hashes, others, kind_of=kind_of)
        crowded |= set(picked[near.crowded].tolist())
        pairs, correlations = confirmed_pairs(
            fresh(picked[near.pairs]), rows.crop, mirrored=KINDS[kind] == "mirrored"
        )
        lists.append((pairs, correlations, kind))
        listed = np.concatenate([listed, pairs[:, 0] * len(rows) + pairs[:, 1]])
    if embedded is not None:
        numbers, embeddings = embedded
        stays = np.isin(numbers, picked)
        numbers, embeddings = numbers[stays], embeddings[stays]
        places = np.searchsorted(picked, numbers)
        pairs = nearest_pairs(embeddings, parts[places])
        pairs = pairs[is_wanted(*places[pairs].T)]
        pairs, correlations = recropped_pairs(fresh(numbers[pairs]), rows.crop)
        lists.append((pairs, correlations, KINDS.index("recropped")))
    pairs = np.concatenate([each for each, _, _ in lists])
    correlations = np.concatenate([each for _, each, _ in lists])
    kinds = np.concatenate([np.full(len(each), kind, np.int64) for each, _, kind in lists])
    across_parts = rows.parts[pairs[:, 0]] != rows.parts[pairs[:, 1]]
    order = np.lexsort((-correlations, ~across_parts))
    return NearDuplicates(pairs[order], correlations[order], kinds[order], len(crowded))
