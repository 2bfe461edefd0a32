"""What is known of how a model's training data and a dataset overlap."""

from __future__ import annotations

from typing import NamedTuple

from mien.data.dataset import Dataset
from mien.evaluation.models import Model
from mien.statistics.subjects import subject_overlap

_RELATED = {
    frozenset(("fer2013", "ferplus")): "FER2013 and FER+ are the same pictures with other labels",
    frozenset(("avec2013", "avec2014")): "AVEC2014's recordings are a part of AVEC2013's",
    frozenset(("rafdb", "rafdb-compound")): "both parts of RAF-DB are of one collection",
}
"""Corpora that share pictures or people, as their publications say."""


class Overlap(NamedTuple):
    """Whether a model was trained on a ``dataset``, another of its ``corpus``, or ``neither``.

    ``unknown`` where that is not recorded. ``notes`` say what it means for results on a split.
    """

    trained_on: str
    notes: list[str]


def training_overlap(model: Model, dataset: Dataset, split: str) -> Overlap:
    """What ``model.trained_on`` says of a split of ``dataset``.

    Nothing is known of rows that are not the same but alike; ``mien audit`` finds these.
    """
    if not model.trained_on:
        return Overlap("unknown", ["what the model was trained on is not recorded"])
    parts = model.trained_on.get("parts") or [model.trained_on]
    checksums = {part.get("checksum") for part in parts} | {model.trained_on.get("checksum")}
    corpora = {str(part.get("corpus")) for part in parts}
    checksum, corpus = dataset.info.get("checksum"), str(dataset.info.get("corpus"))
    if checksum and checksum in checksums:
        return Overlap("dataset", _same_dataset(model, dataset, split))
    if corpus in corpora and corpus != "folder":
        preparation = f"another preparation of {corpus}" if checksums - {None} else corpus
        known = "those it was trained on"
        if model.info.selected_on.get("split") == split:
            known = "those that its epoch was chosen by"
        return Overlap(
            "corpus",
            [f"the model was trained on {preparation}: rows of split {split} may be among {known}"],
        )
    related = (_RELATED.get(frozenset((corpus, other))) for other in corpora)
    return Overlap(
        "neither", [f"{each}, so the model may have seen these" for each in related if each]
    )


def _same_dataset(model: Model, dataset: Dataset, split: str) -> list[str]:
    if split == "train":
        return ["the model was trained on these very rows"]
    notes = []
    selected = model.info.selected_on
    if selected.get("split", "valid") == split:
        chosen = "its epoch was chosen and " if model.info.keeps_best else ""
        notes.append(f"{chosen}the model was calibrated by these very rows")
    splits = dataset.splits
    for column, what in (("subject", "subjects"), ("video", "videos")):
        names = dataset.names(column)
        of_split = names[splits == split]
        shared = subject_overlap(of_split, names[splits == "train"])
        if shared:
            count = len(set(of_split.tolist()) - {""})
            notes.append(f"{len(shared)} of the {count} {what} of split {split} are in train, too")
    return notes
