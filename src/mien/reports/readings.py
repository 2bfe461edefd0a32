"""The softmax beside the neighbors: one embedding read in several ways, on the same rows."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics import classification as metrics
from mien.metrics.classification import FloatArray, IntArray
from mien.metrics.neighbors import centroid_predictions, neighbor_predictions
from mien.schema import MienError
from mien.statistics.arrays import Evaluation, check_targets
from mien.statistics.bootstrap import bootstrap, intervals
from mien.statistics.paired import paired_differences
from mien.statistics.scores import LEVEL, confusion_statistics

NEIGHBORS = (1, 5)
"""How many neighbors are asked: one, and the fewest that outvote a mislabeled one or two."""


@dataclass(frozen=True, eq=False)
class Reference:
    """The faces that an embedding is read against.

    ``embeddings`` ``(M, D)`` are those of split ``split``, by the model that is evaluated;
    ``labels`` ``(M,)`` are made by the rule of the evaluation, -1 for rows that it leaves out.
    """

    embeddings: NDArray[np.floating[Any]]
    labels: IntArray
    split: str


def compare_readings(
    evaluation: Evaluation, reference: Reference, *, seed: int = 0, draws: int = 1000
) -> dict[str, Any]:
    """The entry ``reference`` of ``report.json``.

    ``readings`` holds, for ``softmax``, ``neighbors_1``, ``neighbors_5`` and ``centroids``, the
    metrics with their intervals and, but for the softmax, the paired ``differences`` to it. The
    reference stays the same in all draws. Raises :class:`MienError` where the evaluation has no
    embedding, or where it or the reference has no row with a label.
    """
    classes = len(evaluation.label_space)
    check_targets("labels", reference.labels, len(reference.embeddings), classes)
    known = np.flatnonzero(reference.labels >= 0)
    if evaluation.embeddings is None or known.size == 0:
        got = "a model without" if evaluation.embeddings is None else "no label in it"
        raise MienError(
            f"expected embeddings and labels of split {reference.split!r} to read against, "
            f"got {got}: leave out --reference"
        )
    rows = np.flatnonzero(evaluation.targets >= 0)
    if rows.size == 0:
        raise MienError(
            f"expected rows with an expression in split {evaluation.split!r} to read by "
            f"neighbors, got none: leave out --reference"
        )
    labels, truth = reference.labels[known], evaluation.targets[rows]
    given = (reference.embeddings[known], labels, evaluation.embeddings[rows])
    # A reference of three rows has no five neighbors.
    counts = [k for k in NEIGHBORS if k <= known.size]
    readings: dict[str, NDArray[np.int64]] = {"softmax": evaluation.probabilities[rows].argmax(1)}
    readings |= {f"neighbors_{k}": neighbor_predictions(*given, k=k) for k in counts}
    readings["centroids"] = centroid_predictions(*given)
    clusters = evaluation.clusters(rows)

    def draw(predictions: NDArray[np.int64]) -> Any:
        def statistics(weights: FloatArray) -> dict[Hashable, FloatArray]:
            return confusion_statistics(
                metrics.confusion_matrix(truth, predictions, classes, weights=weights)
            )

        return bootstrap(
            statistics, rows.size, clusters=clusters, cluster_name="subject", draws=draws, seed=seed
        )

    drawn = {name: draw(predictions) for name, predictions in readings.items()}
    document: dict[str, Any] = {}
    for name, own in drawn.items():
        document[name] = {
            "metrics": {key: value.as_dict() for key, value in intervals(own, level=LEVEL).items()}
        }
        if name != "softmax":
            found = paired_differences(own, drawn["softmax"], level=LEVEL)
            document[name]["differences"] = {key: value.as_dict() for key, value in found.items()}
    return {"split": reference.split, "n": int(known.size), "readings": document}
