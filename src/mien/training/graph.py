"""The emotion graph that a recipe's settings and a training set's labels give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.labels import LabelSpace, canonical_expression
from mien.networks.graph import emotion_adjacency, emotion_correlation, word_vectors
from mien.schema import FloatArray
from mien.training.recipe.settings import Graph

AFFECT_NODES = ("valence", "arousal")


class EmotionGraphData(NamedTuple):
    """What an emotion graph is made of, in the order of its nodes: C expressions, valence, arousal.

    ``correlation`` ``(C+2, C+2)`` is None for the identity; ``vectors`` ``(C+2, F)`` are word
    vectors, None without.
    """

    nodes: tuple[str, ...]
    correlation: NDArray[np.float64] | None
    adjacency: NDArray[np.float64]
    vectors: FloatArray | None

    def architecture(self, settings: Graph) -> dict[str, Any]:
        """The keyword ``graph`` of :func:`mien.networks.create_network`."""
        nodes, node_size = settings.nodes, settings.node_size
        if self.vectors is not None:
            nodes, node_size = "vectors", self.vectors.shape[1]
        return {
            "adjacency": self.adjacency.tolist(),
            "nodes": nodes,
            "node_size": node_size,
            "hidden_size": settings.hidden_size,
        }

    def described(self) -> dict[str, Any]:
        """Nodes and correlation, for ``model.json``; the adjacency is in its architecture."""
        correlation = None if self.correlation is None else self.correlation.tolist()
        return {"nodes": list(self.nodes), "correlation": correlation}


def graph_of(
    settings: Graph, space: LabelSpace, labels: NDArray[np.int64], valence_arousal: FloatArray
) -> EmotionGraphData:
    """The graph of a recipe for training rows: ``labels`` ``(N,)``, values ``(N, 2)``.

    Raises :class:`MienError` where the labels have to give it and no two rows have all three, and
    for files that lack what they should have.
    """
    nodes = (*space.names, *AFFECT_NODES)
    vectors = (
        None if settings.nodes in ("one-hot", "learned") else word_vectors(settings.nodes, nodes)
    )
    if settings.adjacency == "identity":
        return EmotionGraphData(nodes, None, np.eye(len(nodes)), vectors)
    if settings.adjacency == "labels":
        try:
            correlation = emotion_correlation(labels, valence_arousal, classes=len(space))
        except ValueError as error:
            raise MienError(
                f"graph.adjacency=labels computes the graph from the training faces: {error}; "
                "train on a dataset that has them, name a .json file, or set it to identity"
            ) from None
    else:
        correlation = _read_correlation(Path(settings.adjacency), nodes)
    adjacency = emotion_adjacency(
        correlation,
        threshold=settings.threshold,
        weight=settings.weight,
        normalization=settings.normalization,
    )
    return EmotionGraphData(nodes, correlation, adjacency, vectors)


def _read_correlation(path: Path, nodes: tuple[str, ...]) -> NDArray[np.float64]:
    """The correlation of a file, its nodes in the order of ``nodes``; further ones are left out."""
    try:
        document = json.loads(path.read_text("utf-8"))
        places = {_node_name(name): place for place, name in enumerate(document["nodes"])}
        matrix = np.asarray(document["correlation"], np.float64)
        if matrix.shape != (len(places), len(places)):
            raise ValueError(f"shape {matrix.shape} for {len(places)} nodes")
        if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
            raise ValueError("a matrix that is not finite and symmetric")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MienError(
            f"expected JSON with nodes (names) and correlation (a symmetric matrix) in {path}, "
            f"got {type(error).__name__}: {error}; name another with graph.adjacency"
        ) from None
    if missing := [name for name in nodes if _node_name(name) not in places]:
        raise MienError(
            f"expected the nodes {', '.join(nodes)} in {path}, got none of {', '.join(missing)}; "
            "name another file with graph.adjacency"
        )
    order = [places[_node_name(name)] for name in nodes]
    return matrix[np.ix_(order, order)]


def _node_name(name: str) -> str:
    """Synonyms of an expression are one node."""
    try:
        return canonical_expression(name)
    except ValueError:
        return name.lower()
