"""The head of a recipe: its settings, and the graph that a training set's labels give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mien.labels import LabelSpace, canonical_expression
from mien.networks.graph import emotion_adjacency, emotion_correlation, word_vectors
from mien.schema import FloatArray, MienError

AFFECT_NODES = ("valence", "arousal")


class Head(BaseModel):
    """What reads the embedding: linear classifiers, or those that an emotion graph makes.

    ``valence_arousal`` adds the two to the expressions; ``bias`` is of linear heads, a graph has
    none. The graph's edges come from Spearman's correlation of the training ``labels``, from a
    JSON file with one (``nodes``, names, and ``correlation``, a matrix), or with ``identity`` there
    are none (the control); ``threshold``, ``weight`` and ``normalization`` make them as
    :func:`mien.networks.graph.emotion_adjacency` says. ``nodes`` are ``one-hot``, ``learned`` of
    ``node_size``, or a text file of word vectors; ``hidden`` is the width between the layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linear", "graph"] = "linear"
    valence_arousal: bool = False
    bias: bool = True
    adjacency: str = "labels"
    threshold: float = Field(default=0.1, gt=0, le=1)
    weight: float = Field(default=0.5, ge=0, lt=1)
    normalization: Literal["released", "symmetric"] = "released"
    nodes: str = "one-hot"
    node_size: int = Field(default=300, ge=1)
    hidden: int = Field(default=512, ge=1)

    @model_validator(mode="after")
    def _graph_has_its_nodes(self) -> Head:
        if self.kind == "graph" and not self.valence_arousal:
            raise ValueError(
                "a graph joins expressions by valence and arousal only, and this head has none; "
                "set head.valence_arousal to true or head.kind to linear"
            )
        if self.adjacency not in ("labels", "identity") and not self.adjacency.endswith(".json"):
            raise ValueError(
                f"expected an adjacency labels, identity or a .json file, got {self.adjacency!r}"
            )
        return self


class Graph(NamedTuple):
    """What a graph head is made of, in the order of its nodes: C expressions, valence, arousal.

    ``correlation`` ``(C+2, C+2)`` is None for the identity; ``vectors`` ``(C+2, F)`` are word
    vectors, None without.
    """

    nodes: tuple[str, ...]
    correlation: NDArray[np.float64] | None
    adjacency: NDArray[np.float64]
    vectors: FloatArray | None

    def described(self) -> dict[str, Any]:
        """Nodes and correlation, for ``model.json``; the adjacency is in its architecture."""
        correlation = None if self.correlation is None else self.correlation.tolist()
        return {"nodes": list(self.nodes), "correlation": correlation}


def graph_of(
    head: Head, space: LabelSpace, labels: NDArray[np.int64], valence_arousal: FloatArray
) -> Graph:
    """The graph of a recipe's head for training rows: ``labels`` ``(N,)``, values ``(N, 2)``.

    Raises :class:`MienError` where the labels have to give it and no two rows have all three, and
    for files that lack what they should have.
    """
    nodes = (*space.names, *AFFECT_NODES)
    vectors = None if head.nodes in ("one-hot", "learned") else word_vectors(head.nodes, nodes)
    if head.adjacency == "identity":
        return Graph(nodes, None, np.eye(len(nodes)), vectors)
    if head.adjacency == "labels":
        try:
            correlation = emotion_correlation(labels, valence_arousal, classes=len(space))
        except ValueError as error:
            raise MienError(
                f"head.adjacency=labels computes the graph from the training faces: {error}; "
                "train on a dataset that has them, name a .json file, or set it to identity"
            ) from None
    else:
        correlation = _read_correlation(Path(head.adjacency), nodes)
    adjacency = emotion_adjacency(
        correlation,
        threshold=head.threshold,
        weight=head.weight,
        normalization=head.normalization,
    )
    return Graph(nodes, correlation, adjacency, vectors)


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
            f"got {type(error).__name__}: {error}; name another with head.adjacency"
        ) from None
    if missing := [name for name in nodes if _node_name(name) not in places]:
        raise MienError(
            f"expected the nodes {', '.join(nodes)} in {path}, got none of {', '.join(missing)}; "
            "name another file with head.adjacency"
        )
    order = [places[_node_name(name)] for name in nodes]
    return matrix[np.ix_(order, order)]


def _node_name(name: str) -> str:
    """Synonyms of an expression are one node."""
    try:
        return canonical_expression(name)
    except ValueError:
        return name.lower()
