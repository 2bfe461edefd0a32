"""The rows of each batch, as a function of (seed, epoch): same numbers, same batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def shuffled_batches(labels: IntArray, batch_size: int, *, seed: int, epoch: int) -> list[IntArray]:
    """Return batches of every row once, in random order; an incomplete last batch is dropped.

    A set smaller than one batch gives a single batch of all rows.

    >>> [len(batch) for batch in shuffled_batches(np.zeros(10, np.int64), 4, seed=0, epoch=0)]
    [4, 4]
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(labels)).astype(np.int64)
    if len(order) <= batch_size:
        return [order]
    return np.split(order[: len(order) // batch_size * batch_size], len(order) // batch_size)


def class_balanced_batches(
    labels: IntArray, classes: int, samples: int, *, seed: int, epoch: int
) -> list[IntArray]:
    """Return P x K batches: ``classes`` (P) distinct classes with ``samples`` (K) rows each.

    ``labels`` is ``(N,)`` int64. An epoch has as many batches as with shuffled batches of P x K
    rows. Classes are used about equally often. Rows of a class repeat only after all were used, so
    a class with fewer than K rows repeats rows within a batch. Raises ``ValueError`` for fewer
    than P classes.
    """
    present = np.unique(labels)
    if len(present) < classes:
        raise ValueError(
            f"expected at least {classes} classes in the training rows, got {len(present)}"
        )
    generator = np.random.default_rng((seed, epoch))
    rows = {int(label): _endlessly(np.flatnonzero(labels == label), generator) for label in present}
    turn = _endlessly(present, generator)
    batches = []
    for _ in range(max(1, len(labels) // (classes * samples))):
        chosen: list[int] = []
        while len(chosen) < classes:
            label = next(turn)
            if label not in chosen:
                chosen.append(label)
        batches.append(
            np.array([next(rows[label]) for label in chosen for _ in range(samples)], np.int64)
        )
    return batches


def _endlessly(values: IntArray, generator: np.random.Generator) -> Iterator[int]:
    while True:
        for value in generator.permutation(values):
            yield int(value)
