"""Reading a class off the embedding: nearest neighbors and class centroids, by cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import IntArray
from mien.metrics.geometry import unit_rows
from mien.metrics.retrieval import RESOLUTION


def neighbor_predictions(
    reference: NDArray[np.floating[Any]],
    labels: IntArray,
    queries: NDArray[np.floating[Any]],
    *,
    k: int,
) -> NDArray[np.int64]:
    """The class that most of each query's ``k`` nearest reference rows have, ``(Q,)``.

    scikit-learn's ``KNeighborsClassifier(k, metric="cosine", algorithm="brute")``, with a zero row
    at cosine 0 to everything. Its ties: of classes with equally many votes the first wins; which
    of several rows at one distance are among the ``k`` depends on the order of the rows.

    Parameters
    ----------
    reference, labels
        ``(M, D)`` finite rows of any length, and their classes ``(M,)``, 0 or more.
    queries
        ``(Q, D)``.
    k
        In [1, M].

    >>> reference = np.array([[1.0, 0.1], [1.0, -0.1], [0.0, 1.0]])
    >>> neighbor_predictions(reference, np.array([4, 4, 2]), np.array([[2.0, 0.0]]), k=3)
    array([4])
    """
    from sklearn.neighbors import KNeighborsClassifier

    rows, asked = _checked(reference, labels, queries)
    if not 1 <= k <= len(rows):
        raise ValueError(f"expected k in [1, {len(rows)}], got {k}")
    if not len(asked):
        return np.empty(0, np.int64)
    classifier = KNeighborsClassifier(k, metric="cosine", algorithm="brute")
    return np.asarray(classifier.fit(rows, labels).predict(asked), np.int64)


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
    rows, asked = _checked(reference, labels, queries)
    classes = np.unique(labels).astype(np.int64)
    means = np.stack([rows[labels == index].mean(0, dtype=np.float64) for index in classes])
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
    rows, asked = unit_rows(reference), unit_rows(queries)
    if rows.shape[1] != asked.shape[1]:
        raise ValueError(f"expected queries (Q, {rows.shape[1]}), got {asked.shape}")
    if labels.shape != rows.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"expected integer labels ({len(rows)},), got {labels.dtype} {labels.shape}"
        )
    if len(rows) == 0 or labels.min() < 0:
        raise ValueError("expected at least one reference row, all with a class of 0 or more")
    return rows.astype(np.float32), asked.astype(np.float32)
