"""How well an embedding sorts: precision@1 and MAP@R, leave-one-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray, IntArray

RESOLUTION = 2.0**-20
"""Cosines are compared in steps of this size, about the rounding error of a float32 product."""

_CELLS_AT_ONCE = 8_000_000


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Values per query; the metrics are their means.

    ``queries`` ``(Q,)`` are the rows that had a neighbor to find; ``singletons`` counts the
    others. ``precision_at_1`` and ``map_at_r`` are ``(Q,)`` in [0, 1].
    """

    queries: IntArray
    precision_at_1: FloatArray
    map_at_r: FloatArray
    singletons: int


def retrieve(embeddings: NDArray[np.floating[Any]], targets: IntArray) -> Retrieval:
    """Search each row's class among all other rows by cosine.

    A query never finds itself. Only the row of a class with a single row is no query; it stays
    among those searched. With R the number of other rows of the query's class, MAP@R
    (Musgrave et al. 2020) is ``1/R * sum over i <= R of precision@i where hit i is right``:
    right, wrong, right with R = 3 gives (1 + 2/3) / 3 = 0.56.

    Ties are settled against the model: among rows as similar as 1e-6, those of other classes
    come first, so a collapsed embedding scores 0 and not the luck of the row order. A zero vector
    has cosine 0 to everything.

    Parameters
    ----------
    embeddings
        ``(N, D)``, of any length and finite, else ``ValueError``.
    targets
        ``(N,)`` classes.

    Notes
    -----
    Works in blocks of queries: memory is that of the embeddings plus about 0.2 GB at any N.
    """
    if embeddings.ndim != 2 or targets.shape != embeddings.shape[:1]:
        raise ValueError(
            f"expected embeddings (N, D) and targets (N,), got {embeddings.shape}, {targets.shape}"
        )
    if not np.isfinite(embeddings).all():
        raise ValueError("expected finite embeddings")
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True)
    unit = (embeddings / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    _, classes, sizes = np.unique(targets, return_inverse=True, return_counts=True)
    others = sizes[classes] - 1 if targets.size else np.empty(0, np.int64)
    # By class size, so that a block sorts out no more neighbors than its own classes need.
    queries = np.flatnonzero(others > 0)
    queries = queries[np.argsort(others[queries], kind="stable")]
    first = np.empty(queries.size)
    average = np.empty(queries.size)
    block = max(1, _CELLS_AT_ONCE // max(1, targets.size))
    for start in range(0, queries.size, block):
        rows = queries[start : start + block]
        hits = _hits(unit, classes, rows, int(others[rows].max()))
        rank = np.arange(1, hits.shape[1] + 1)
        precision = np.cumsum(hits, axis=1, dtype=np.float32) / rank
        within = rank <= others[rows, None]
        total = (precision * (hits & within)).sum(1, dtype=np.float64)
        first[start : start + block] = hits[:, 0]
        average[start : start + block] = total / others[rows]
    order = np.argsort(queries)
    return Retrieval(
        queries=queries[order],
        precision_at_1=first[order],
        map_at_r=average[order],
        singletons=int((others == 0).sum()),
    )


def _hits(
    unit: NDArray[np.float32], classes: IntArray, rows: IntArray, depth: int
) -> NDArray[np.bool_]:
    """Whether each of the ``depth`` nearest rows of a query is of its class, ``(Q, depth)``."""
    cosines = unit[rows] @ unit.T
    cosines *= 1 / RESOLUTION
    # Distance and class in one integer: sorting it sorts by distance, then other classes first.
    keys = np.rint(cosines, out=cosines).astype(np.int32)
    keys *= -2
    same = classes[rows, None] == classes
    keys += same
    keys[np.arange(rows.size), rows] = np.iinfo(np.int32).max
    keys.sort(axis=1)
    nearest: NDArray[np.bool_] = (keys[:, :depth] & 1).astype(bool)
    return nearest
