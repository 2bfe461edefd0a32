"""Labels and votes -> targets for training and evaluation.

A dataset stores votes; the rule that turns them into targets is the recipe's choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.heads import HEADS
from mien.labels import LabelSpace
from mien.schema import FloatArray

RULES = ("majority", "ferplus", "distribution")


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of ``N`` rows, by name; ``left_out`` counts rows without an expression by reason.

    ``expression`` is ``(N,)`` int64, -1 for a row that the rule leaves out.
    ``expression_distribution`` is ``(N, C)`` float32, whose rows sum to one, or are zero for a row
    that is left out. Every other head of :data:`mien.heads.HEADS` whose columns the dataset has is
    there by its name, whatever the rule: ``(N,)`` or ``(N, K)`` float32, NaN where unknown.
    """

    values: dict[str, NDArray[Any]]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.values["expression"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.values[name]

    def labeled(self, name: str) -> NDArray[np.bool_]:
        """Mark the rows that have a target of the head ``name``, ``(N,)``."""
        if name not in self.values:
            return np.zeros(len(self), np.bool_)
        return labeled(self.values[name])

    def take(self, rows: NDArray[Any]) -> Targets:
        """Return the targets of ``rows``; ``left_out`` still counts all rows."""
        return Targets({name: array[rows] for name, array in self.values.items()}, self.left_out)


def labeled(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the known rows of one target, ``(N,)``: classes from 0, or any number but NaN."""
    if values.dtype.kind in "iu":
        return np.asarray(values >= 0)
    known = ~np.isnan(values)
    return np.asarray(known if known.ndim == 1 else known.any(axis=1))


def make_targets(dataset: Dataset, rule: str) -> Targets:
    """Make the targets of every row of ``dataset`` by a rule for votes.

    - ``"majority"``: the expression with most votes, the first in order on a tie, if it has more
      votes than "unknown" and "not a face" together.
    - ``"ferplus"``: the rule of FER+, which drops single votes and requires more than half of the
      remaining votes.
    - ``"distribution"``: the rows and labels of ``"majority"``, with the votes on expressions as a
      distribution, without single votes.

    A row without votes has its label under every rule. Raises :class:`MienError` that lists the
    rules for an unknown one, and for a label that is not in the label space.

    Votes (neutral 4, sadness 1, anger 3, disgust 2) of ten: majority neutral; left out by
    ``"ferplus"`` (4 of 9); as a distribution 4/9, 3/9, 2/9.
    """
    if rule not in RULES:
        raise MienError(
            f"expected a target rule ({', '.join(RULES)}), got {rule!r}: name one of them"
        )
    space = dataset.label_space
    codes = {name: index for index, name in enumerate(space.names)}
    names = dataset.column("label")
    try:
        labels = np.array([-1 if name is None else codes[name] for name in names], dtype=np.int64)
    except KeyError as error:
        raise MienError(
            f"expected labels of {space.name!r} ({', '.join(space.names)}) in {dataset.folder}, "
            f"got {error.args[0]!r}: prepare it again"
        ) from None
    distribution = np.eye(len(space), dtype=np.float32)[labels]
    distribution[labels < 0] = 0.0
    left_out = {"no label": int(np.sum(labels < 0))}

    if dataset.votes is not None:
        voted = dataset.votes.sum(axis=1) > 0
        winners, shares, counted = count_votes(
            dataset.votes[voted], dataset.vote_names, space, rule=rule
        )
        labels[voted] = np.where(counted, winners, -1)
        distribution[voted] = np.where(counted[:, None], shares, 0.0)
        left_out["no label"] = int(np.sum(~voted & (labels < 0)))
        left_out[_REASONS[rule]] = int(np.sum(~counted))
    numbers = {
        name: values
        for name in HEADS
        if name != "expression" and (values := dataset.numbers(name)) is not None
    }
    return Targets(
        {"expression": labels, "expression_distribution": distribution, **numbers},
        {reason: count for reason, count in left_out.items() if count},
    )


_REASONS = {
    "majority": "no expression has more votes than unknown and no face",
    "ferplus": "no expression has more than half of the votes",
    "distribution": "no expression has more votes than unknown and no face",
}


def count_votes(
    votes: NDArray[np.int64], vote_names: tuple[str, ...], space: LabelSpace, *, rule: str
) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.bool_]]:
    """Count votes ``(n, V)`` by a rule of :func:`make_targets`, each row with a vote.

    Winners ``(n,)``, distributions ``(n, C)``, and the rows that the rule does not leave out
    ``(n,)``. ``vote_names`` are those of the columns, classes of ``space`` and others.
    """
    columns = [vote_names.index(name) for name in space.names]
    others = [index for index in range(len(vote_names)) if index not in columns]
    without_singles = np.where(votes > 1, votes, 0)
    winners = votes[:, columns].argmax(axis=1)
    most = votes[:, columns].max(axis=1)
    if rule == "ferplus":
        counted = (most > 1) & (2 * most > without_singles.sum(axis=1))
    else:
        counted = most > votes[:, others].sum(axis=1)
    shares = np.eye(len(space), dtype=np.float32)[winners]
    if rule == "distribution":
        counts = without_singles[:, columns].astype(np.float32)
        # Where all votes are single ones, dropping them would leave nothing.
        counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, votes[:, columns])
        shares = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    return winners, shares, counted
