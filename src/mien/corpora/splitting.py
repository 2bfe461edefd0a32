"""Splits for a corpus that has none, by a hash of the names: the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


def rank(seed: int, name: str) -> int:
    """A number in [0, 2**64) that a name keeps whatever else is in the corpus."""
    digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


@dataclass(frozen=True)
class Cuts:
    """Ranks up to ``test`` are test, then up to ``valid`` are valid, the rest are train."""

    test: int = -1
    valid: int = -1

    def split(self, rank: int) -> str:
        """The split of a rank."""
        if rank <= self.test:
            return "test"
        return "valid" if rank <= self.valid else "train"


def cut(ranks: Iterable[int], *, valid: float, test: float) -> Cuts:
    """Where to cut so that the given fractions of ``ranks`` are valid and test.

    A fraction above zero gets at least one of three or more; fewer stay in train.
    """
    ordered = sorted(ranks)
    count = len(ordered)

    def share(fraction: float) -> int:
        if count < 3 or fraction == 0:
            return 0
        return max(1, round(fraction * count))

    tests, valids = share(test), share(valid)
    at = [-1, *ordered]
    return Cuts(test=at[tests], valid=at[min(tests + valids, count)])
