"""The softmax beside the neighbors: classifiers of one embedding, on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.metrics import classification
from mien.metrics.classification import FloatArray
from mien.metrics.neighbors import centroid_predictions, neighbor_predictions
from mien.reports.evaluation import Evaluation, ExpressionArrays, Reference, arrays_of
from mien.statistics.bootstrap import Bootstrap, bootstrap, intervals
from mien.statistics.paired import paired_differences

NEIGHBORS = (1, 5)
"""How many neighbors vote: one, and the fewest that outvote a mislabeled one or two."""


def confusion_metrics(matrix: FloatArray) -> dict[str, FloatArray]:
    """The metrics that need no more than the predicted classes, of ``(..., C, C)``."""
    return {
        "accuracy": classification.accuracy(matrix),
        "mean_class_accuracy": classification.mean_class_accuracy(matrix),
        "macro_f1": classification.macro_f1(matrix),
    }


def compare_classifiers(
    evaluation: Evaluation, reference: Reference, *, seed: int = 0, draws: int = 1000
) -> dict[str, Any]:
    """The entry ``reference`` of expression in ``report.json``.

    ``classifiers`` holds, for ``softmax``, ``neighbors_1``, ``neighbors_5`` and ``centroids``, the
    metrics with their intervals and, but for the softmax, the paired ``differences`` to it. The
    reference stays the same in all draws. Raises :class:`MienError` where the evaluation has no
    embedding, or the reference no row with a label.
    """
    arrays = arrays_of(evaluation, "expression", ExpressionArrays)
    known = np.flatnonzero(reference.labels >= 0)
    if evaluation.embeddings is None or known.size == 0:
        got = "a model without" if evaluation.embeddings is None else "no label in it"
        raise MienError(
            f"expected embeddings and labels of split {reference.split!r} to find neighbors in, "
            f"got {got}: leave out --reference"
        )
    rows = np.flatnonzero(arrays.labeled)
    targets = arrays.targets[rows]
    given = (reference.embeddings[known], reference.labels[known], evaluation.embeddings[rows])
    predictions = {"softmax": arrays.predictions[rows].argmax(1)}
    # A reference of three rows has no five neighbors.
    counts = [k for k in NEIGHBORS if k <= known.size]
    predictions |= {f"neighbors_{k}": neighbor_predictions(*given, k=k) for k in counts}
    predictions["centroids"] = centroid_predictions(*given)
    clusters, classes = evaluation.clusters(rows), len(arrays.names)

    def draw(predicted: NDArray[np.int64]) -> Bootstrap[str]:
        def statistics(weights: FloatArray) -> dict[str, FloatArray]:
            matrix = classification.confusion_matrix(targets, predicted, classes, weights=weights)
            return confusion_metrics(matrix)

        return bootstrap(statistics, rows.size, clusters=clusters, draws=draws, seed=seed)

    drawn = {name: draw(predicted) for name, predicted in predictions.items()}
    classifiers: dict[str, Any] = {}
    for name, of_name in drawn.items():
        metrics = {key: value.as_dict() for key, value in intervals(of_name).items()}
        classifiers[name] = {"metrics": metrics}
        if name != "softmax":
            differences = paired_differences(of_name, drawn["softmax"])
            classifiers[name]["differences"] = {
                key: value.as_dict() for key, value in differences.items()
            }
    return {"split": reference.split, "n": int(known.size), "classifiers": classifiers}
