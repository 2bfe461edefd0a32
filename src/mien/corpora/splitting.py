"""Splits for corpora without any, by a hash of names: the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


def rank(seed: int, name: str) -> int:
    """Hash a name to a number in [0, 2**64), whatever else is in the corpus."""
    digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


@dataclass(frozen=True)
class Cuts:
    """Thresholds of ranks: up to ``test`` test, then up to ``valid`` valid, beyond train."""

    test: int = -1
    valid: int = -1

    def split(self, rank: int) -> str:
        """Return the split of a rank."""
        if rank <= self.test:
            return "test"
        return "valid" if rank <= self.valid else "train"


def cut(ranks: Iterable[int], *, valid: float, test: float) -> Cuts:
    """Choose thresholds so that the fractions ``valid`` and ``test`` of ``ranks`` are cut off.

    Of three or more ranks, a fraction above zero gets at least one. Fewer all stay in train.
    """
    ordered = sorted(ranks)
    count = len(ordered)

    def number(fraction: float) -> int:
        if count < 3 or fraction == 0:
            return 0
        return max(1, round(fraction * count))

    tests, valids = number(test), number(valid)
    thresholds = [-1, *ordered]
    return Cuts(test=thresholds[tests], valid=thresholds[min(tests + valids, count)])
