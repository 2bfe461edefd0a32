"""Reading a class off the embedding: nearest neighbors and class centroids, by cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import IntArray
from mien.metrics.geometry import unit_rows
from mien.metrics.retrieval import RESOLUTION

_CELLS_AT_ONCE = 4_000_000


def neighbor_predictions(
    reference: NDArray[np.floating[Any]],
    labels: IntArray,
    queries: NDArray[np.floating[Any]],
    *,
    k: int,
) -> NDArray[np.int64]:
    """The class that most of each query's ``k`` nearest reference rows have, ``(Q,)``.

    As scikit-learn's ``KNeighborsClassifier(k, metric="cosine", algorithm="brute")``, except that
    ties do not hang on the order of the rows: cosines are compared in steps of a millionth, rows
    at one cosine come by class, and of classes with equally many votes the one with the larger sum
    of cosines wins, then the first.

    Parameters
    ----------
    reference, labels
        ``(M, D)`` finite rows of any length, and their classes ``(M,)``, 0 or more.
    queries
        ``(Q, D)``.
    k
        In [1, M].

    Notes
    -----
    Works in blocks of queries: memory is that of the rows plus about 0.2 GB.
    """
    known, asked = _checked(reference, labels, queries)
    if not 1 <= k <= len(known):
        raise ValueError(f"expected k in [1, {len(known)}], got {k}")
    classes = int(labels.max()) + 1
    # Cosine and class in one integer: rows that are equal in it are equal in all that counts.
    later = classes - 1 - labels.astype(np.int64)
    found = np.empty(len(asked), np.int64)
    block = max(1, _CELLS_AT_ONCE // len(known))
    for start in range(0, len(asked), block):
        cosines = asked[start : start + block] @ known.T
        keys = np.rint(cosines / np.float32(RESOLUTION)).astype(np.int64) * classes + later
        keys = np.partition(keys, len(known) - k, axis=1)[:, len(known) - k :]
        voted, steps = classes - 1 - keys % classes, keys // classes
        rows = np.arange(len(keys))[:, None]
        votes = np.zeros((len(keys), classes), np.int64)
        np.add.at(votes, (rows, voted), 1)
        sums = np.zeros_like(votes)
        np.add.at(sums, (rows, voted), steps)
        # Only among the classes with most votes does the sum of cosines count.
        most = votes == votes.max(1, keepdims=True)
        found[start : start + block] = np.where(most, sums, np.iinfo(np.int64).min).argmax(1)
    return found


def centroid_predictions(
    reference: NDArray[np.floating[Any]], labels: IntArray, queries: NDArray[np.floating[Any]]
) -> NDArray[np.int64]:
    """The class whose centroid has the largest cosine with each query, ``(Q,)``.

    A centroid is the mean of a class's unit rows. scikit-learn's ``NearestCentroid`` compares
    distances, by which a class that is spread out (a short mean) attracts rows that are far from
    everything; the cosine, by which the embedding was trained, does not. Of classes whose cosines
    differ by less than a millionth the first wins, so a centroid of zero reads as any cosine of 0.

    ``reference`` ``(M, D)``, ``labels`` ``(M,)`` and ``queries`` ``(Q, D)`` are those of
    :func:`neighbor_predictions`.
    """
    known, asked = _checked(reference, labels, queries)
    classes = np.unique(labels).astype(np.int64)
    means = np.stack([known[labels == index].mean(0, dtype=np.float64) for index in classes])
    # What rounding leaves of rows that cancel is no direction.
    means[np.linalg.norm(means, axis=1) < RESOLUTION] = 0
    cosines = asked @ unit_rows(means).astype(np.float32).T
    nearest = np.rint(cosines / np.float32(RESOLUTION)).argmax(1)
    predictions: NDArray[np.int64] = classes[nearest]
    return predictions


def _checked(
    reference: NDArray[np.floating[Any]], labels: IntArray, queries: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both as unit rows in float32."""
    known, asked = unit_rows(reference), unit_rows(queries)
    if known.shape[1] != asked.shape[1]:
        raise ValueError(f"expected queries (Q, {known.shape[1]}), got {asked.shape}")
    if labels.shape != known.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"expected integer labels ({len(known)},), got {labels.dtype} {labels.shape}"
        )
    if len(known) == 0 or labels.min() < 0:
        raise ValueError("expected at least one reference row, all with a class of 0 or more")
    return known.astype(np.float32), asked.astype(np.float32)
