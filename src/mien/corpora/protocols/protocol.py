"""What a protocol is: how a corpus is split, what is selected on, and which metric counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.corpora.protocols.folds import Folds, Scored
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.heads import HEADS
from mien.labels import LabelSpace
from mien.metrics.metric import Metric


@dataclass(frozen=True)
class Protocol:
    """How results on a corpus are made comparable.

    ``head`` is what is measured, by ``metrics`` of that head, the first of which counts. ``space``
    has the classes that are scored; rows of other classes are left out. ``folds`` assigns the
    splits; the epoch is selected on the split valid of each fold, as ``selection`` says.
    ``facts`` says what is known of the source.
    """

    name: str
    corpus: str
    description: str
    head: str
    metrics: tuple[str, ...]
    folds: Folds
    selection: str
    facts: str
    space: LabelSpace | None = None

    def __post_init__(self) -> None:
        known = {metric.name for metric in HEADS[self.head].metrics}
        if unknown := [name for name in self.metrics if name not in known]:
            raise ValueError(f"expected metrics of {self.head} ({known}), got {unknown}")

    @property
    def measures(self) -> tuple[Metric, ...]:
        """The metrics, the one that counts first."""
        named = {metric.name: metric for metric in HEADS[self.head].metrics}
        return tuple(named[name] for name in self.metrics)

    def views(self, dataset: Dataset) -> list[Dataset]:
        """The dataset with the splits of each fold, and with the classes that are scored.

        Raises :class:`MienError` for a dataset of another corpus, and for one that lacks what the
        folds need.
        """
        corpus = dataset.info.get("corpus")
        if corpus != self.corpus:
            raise MienError(
                f"expected a dataset of the corpus {self.corpus} for the protocol {self.name}, got "
                f"one of {corpus} in {dataset.folder}: prepare {self.corpus}, or evaluate without "
                f"--protocol"
            )
        if self.space is not None:
            dataset = dataset.with_classes(self.space)
        folds = self.folds(dataset, self._scored(dataset))
        return [dataset.with_splits(splits) for splits in folds]

    def _scored(self, dataset: Dataset) -> Scored:
        """Which rows have a class that is scored; all, where votes or numbers are the labels."""
        if self.space is None or dataset.votes is not None:
            return np.ones(len(dataset), np.bool_)
        return np.array([label is not None for label in dataset.column("label")])
