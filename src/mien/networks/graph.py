"""Emotion-GCN: classifiers and regressors made by a graph convolution over the label nodes.

Antoniadis, Filntisis, Maragos, "Exploiting Emotional Dependencies with Graph Convolutional Networks
for Facial Expression Recognition", FG 2021. Nodes are the C expressions, then valence and arousal.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import MienError
from mien.schema import FloatArray

NORMALIZATIONS = ("released", "symmetric", "identity")
_SLOPE = 0.2  # of the LeakyReLU between the layers


def emotion_correlation(
    labels: ArrayLike, valence_arousal: ArrayLike, *, classes: int | None = None
) -> NDArray[np.float64]:
    """Spearman's correlation of one-hot expressions, valence and arousal, ``(C+2, C+2)``.

    Parameters
    ----------
    labels
        ``(N,)`` integers in [0, C), -1 where unknown.
    valence_arousal
        ``(N, 2)``, NaN where unknown. Only rows with a label and both values are used.
    classes
        C, where the last classes may have no row; default: the largest label plus one.

    A column that never changes (a class without rows, a constant valence) has no correlation; our
    choice is zero with the others, which is no edge, and one with itself. Raises ``ValueError``
    for other shapes and for fewer than two rows with everything.
    """
    from scipy.stats import rankdata

    classes_of, values = np.asarray(labels), np.asarray(valence_arousal, np.float64)
    if classes_of.ndim != 1 or classes_of.dtype.kind not in "iu":
        raise ValueError(f"expected integer labels (N,), got {classes_of.dtype} {classes_of.shape}")
    if values.shape != (classes_of.size, 2):
        raise ValueError(
            f"expected valence and arousal of shape ({classes_of.size}, 2), got {values.shape}"
        )
    count = int(classes_of.max(initial=-1)) + 1 if classes is None else classes
    if classes_of.size and not (classes_of.min() >= -1 and classes_of.max() < count):
        raise ValueError(
            f"expected labels in [-1, {count}), got {classes_of.min()} to {classes_of.max()}"
        )
    used = (classes_of >= 0) & np.isfinite(values).all(1)
    if used.sum() < 2:
        raise ValueError(
            f"expected at least two rows with an expression, a valence and an arousal, got "
            f"{used.sum()} of {used.size}"
        )
    columns = np.hstack([np.eye(count)[classes_of[used]], values[used]])
    varying = np.ptp(columns, axis=0) > 0
    correlation = np.eye(count + 2)
    if varying.any():
        ranks = rankdata(columns[:, varying], axis=0)
        correlation[np.ix_(varying, varying)] = np.corrcoef(ranks, rowvar=False)
    return correlation


def emotion_adjacency(
    correlation: ArrayLike,
    *,
    threshold: float = 0.1,
    weight: float = 0.5,
    normalization: str = "released",
) -> NDArray[np.float64]:
    """The matrix ``(C+2, C+2)`` that multiplies the node features from the left.

    Two nodes are joined where ``|correlation| >= threshold``, two expressions never. ``released``
    is what the authors' code does: a node gives ``weight`` of itself to its neighbors in equal
    parts and keeps the rest, which makes rows that sum to one, and then the transpose is taken.
    With neutral's neighbors valence and arousal and six neighbors of valence, the entry
    [valence, neutral] is 0.5 / 2 and [neutral, valence] 0.5 / 6. A node without neighbors keeps
    itself (our choice; a share of nothing has no value).

    ``symmetric`` is the usual D^-1/2 (E + I) D^-1/2 of the edges E, D the row sums of E + I, where
    ``weight`` has no part; ``identity`` joins nothing, the control.

    Raises ``ValueError`` for a correlation that is not finite, symmetric and square, and for
    options outside their range.
    """
    rho = np.asarray(correlation, np.float64)
    if rho.ndim != 2 or rho.shape[0] != rho.shape[1] or rho.shape[0] < 3:
        raise ValueError(f"expected a correlation (C+2, C+2), got shape {rho.shape}")
    if not np.isfinite(rho).all() or not np.allclose(rho, rho.T):
        raise ValueError("expected a finite, symmetric correlation, got another matrix")
    if not (0 < threshold <= 1 and 0 <= weight < 1):
        raise ValueError(
            f"expected a threshold in (0, 1] and a weight in [0, 1), got {threshold} and {weight}"
        )
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"expected a normalization ({', '.join(NORMALIZATIONS)}), got {normalization!r}"
        )
    itself = np.eye(len(rho))
    if normalization == "identity":
        return itself
    edges = (np.abs(rho) >= threshold).astype(np.float64)
    edges[:-2, :-2] = 0
    np.fill_diagonal(edges, 0)
    if normalization == "symmetric":
        scale = 1 / np.sqrt((edges + itself).sum(1))
        scaled: NDArray[np.float64] = scale[:, None] * (edges + itself) * scale
        return scaled
    neighbors = edges.sum(1)
    shares = np.divide(weight, neighbors, out=np.zeros(len(rho)), where=neighbors > 0)
    adjacency = edges * shares[:, None] + np.diag(np.where(neighbors > 0, 1 - weight, 1.0))
    return np.ascontiguousarray(adjacency.T)


def word_vectors(path: str | os.PathLike[str], names: Sequence[str]) -> FloatArray:
    """The vectors ``(len(names), F)`` of words in a text file as GloVe's: a word, then F numbers.

    The lower-case name is looked up first, then the name itself. Raises :class:`MienError` for a
    file that is missing, that lacks a word or whose vectors are no numbers of one length.
    """
    wanted = {word for name in names for word in (name, name.lower())}
    numbers_of: dict[str, list[float]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                word, _, rest = line.partition(" ")
                if word in wanted and word not in numbers_of:
                    try:
                        numbers_of[word] = [float(value) for value in rest.split()]
                    except ValueError as error:
                        raise MienError(
                            f"expected a word and numbers in line {number} of {path}, got "
                            f"{error}: copy the file again"
                        ) from None
    except OSError as error:
        raise MienError(
            f"expected a text file of word vectors at {path}, got {error.strerror}: name another"
        ) from None
    words = [name.lower() if name.lower() in numbers_of else name for name in names]
    if missing := [word for word in words if word not in numbers_of]:
        raise MienError(
            f"expected vectors of {', '.join(names)} in {path}, got none of {', '.join(missing)}: "
            "use words that the file has"
        )
    vectors = np.array([numbers_of[word] for word in words], dtype=object)
    widths = sorted({len(numbers_of[word]) for word in words})
    if len(widths) != 1 or widths[0] == 0:
        raise MienError(
            f"expected vectors of one length in {path}, got {' and '.join(map(str, widths))} "
            "numbers: copy the file again"
        )
    numbers = vectors.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise MienError(f"expected finite numbers in {path}, got others: copy the file again")
    return numbers


class EmotionGraph(nn.Module):
    """Two graph layers that make the C+2 classifiers: ``H = A leaky(A Z W1) W2``.

    No bias, LeakyReLU of slope 0.2 between, weights from U(+-1/sqrt(out)), as released.

    Parameters
    ----------
    adjacency
        ``(C+2, C+2)``, of :func:`emotion_adjacency`; a buffer, so it is stored with the weights.
    size
        D, the length of the image feature that the classifiers multiply.
    nodes
        Z: a matrix ``(C+2, F)``, which stays as it is (released: 300-d word vectors, see
        :func:`word_vectors`); ``"one-hot"``, where W1 itself is one learned vector per node; or
        ``"learned"``, trained from random vectors of length about one. The two are our choice
        where no word vectors are at hand.
    node_size, hidden_size
        F of learned nodes, and the width between the layers.
    """

    adjacency: Tensor
    nodes: Tensor

    def __init__(
        self,
        adjacency: ArrayLike | Tensor,
        size: int,
        *,
        nodes: Literal["one-hot", "learned"] | ArrayLike | Tensor = "one-hot",
        node_size: int = 300,
        hidden_size: int = 512,
    ) -> None:
        super().__init__()
        matrix = torch.as_tensor(adjacency, dtype=torch.float32)
        count = len(matrix) if matrix.ndim else 0
        if count < 3 or matrix.shape != (count, count):
            raise ValueError(f"expected an adjacency (C+2, C+2), got shape {tuple(matrix.shape)}")
        self.register_buffer("adjacency", matrix.clone())
        if isinstance(nodes, str):
            if nodes not in ("one-hot", "learned"):
                raise ValueError(f"expected nodes one-hot, learned or a matrix, got {nodes!r}")
            if nodes == "learned":
                start = torch.randn(count, node_size) / math.sqrt(node_size)
                self.register_parameter("nodes", nn.Parameter(start))
            else:
                self.register_buffer("nodes", torch.eye(count))
        else:
            given = torch.as_tensor(nodes, dtype=torch.float32)
            if given.ndim != 2 or len(given) != count:
                raise ValueError(
                    f"expected node features ({count}, F), got shape {tuple(given.shape)}"
                )
            self.register_buffer("nodes", given.clone())
        self.first = nn.Parameter(_uniform(self.nodes.shape[1], hidden_size))
        self.second = nn.Parameter(_uniform(hidden_size, size))

    def forward(self) -> Tensor:
        """The classifiers ``(C+2, D)``: of the expressions, then of valence and arousal."""
        between = functional.leaky_relu(self.adjacency @ (self.nodes @ self.first), _SLOPE)
        return self.adjacency @ (between @ self.second)


def _uniform(inputs: int, outputs: int) -> Tensor:
    bound = 1 / math.sqrt(outputs)
    return torch.empty(inputs, outputs).uniform_(-bound, bound)
