"""A model's predictions for a split of a dataset, as an :class:`Evaluation`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien import __version__, synthetic
from mien.corpora.votes import group_columns
from mien.data.clips import check_labels, videos_of
from mien.data.dataset import FACES_FILE, Dataset
from mien.data.reading import ChangeCrops, CropsOf, Rows, crop_reader, with_progress
from mien.data.targets import Targets, make_targets
from mien.errors import MienError
from mien.evaluation.changes import changes_for
from mien.evaluation.heads import READERS, Source
from mien.evaluation.models import Model, predict_recordings
from mien.evaluation.training_overlap import training_overlap
from mien.heads import HEADS
from mien.metrics.attention import MapSums
from mien.reports.document import unlabeled_warning
from mien.reports.evaluation import (
    Changed,
    Evaluation,
    HeadArrays,
    Reference,
    Sensitivity,
)
from mien.schema import FloatArray, UInt8Array, concatenate_outputs
from mien.training.selection import WARNING

_CHUNK = 512
_EXAMPLES = 4


class Predictions(NamedTuple):
    """What a model gives for the N units of a split: its faces or its recordings.

    ``rows`` ``(N,)`` are the dataset's rows that hold their labels, of a recording its first.
    """

    ids: NDArray[Any]
    subjects: NDArray[Any]
    rows: Rows
    heads: dict[str, NDArray[Any]]
    embeddings: NDArray[Any]
    warnings: list[str]


Look = Callable[[FloatArray, UInt8Array, int], None]
"""Takes a chunk's attention maps, its crops, and the number of its first row."""


def predict_split(
    model: Model,
    dataset: Dataset,
    source: str | Path,
    split: str,
    *,
    look: Look | None = None,
    change: ChangeCrops | None = None,
) -> Predictions:
    """The predictions of ``model`` for a split; ``source`` is what the user called the model.

    ``change`` acts on the crops first. Memory does not grow with the crops. Attention maps are not
    kept; ``look`` gets them.
    """
    info, rows = model.info, dataset.split_indices(split)
    if info.clips is not None:
        crops_of, warnings = crop_reader(info.preprocessing, dataset, rows, source, change=change)
        predicted = predict_recordings(model, info.clips, dataset, split, crops_of=crops_of)
        return Predictions(
            predicted.names,
            predicted.subjects,
            predicted.starts,
            predicted.heads,
            predicted.embeddings,
            warnings,
        )
    return _predict_faces(model, dataset, source, rows, look, change)


def _predict_faces(
    model: Model,
    dataset: Dataset,
    source: str | Path,
    rows: Rows,
    look: Look | None = None,
    change: ChangeCrops | None = None,
) -> Predictions:
    crops_of, warnings = crop_reader(model.info.preprocessing, dataset, rows, source, change=change)
    subjects = dataset.names("subject")[rows]
    parts = []
    for start in with_progress(range(0, len(rows), _CHUNK)):
        crops = crops_of(rows[start : start + _CHUNK])
        output = model.predict(crops)
        if output.attention is not None and look is not None:
            look(output.attention, crops, start)
        parts.append(output._replace(attention=None))
    outputs = concatenate_outputs(parts)
    ids = dataset.column("id")[rows]
    return Predictions(ids, subjects, rows, outputs.heads, outputs.embeddings, warnings)


def evaluation_of(
    model: Model,
    dataset: Dataset,
    source: str | Path,
    *,
    split: str,
    rule: str,
    heads: Sequence[str] | None = None,
    other_rules: Sequence[str] = (),
    reference: str | None = None,
    sensitivity: bool = False,
) -> Evaluation:
    """The predictions of ``model`` for a split, and all that is known about its rows.

    Parameters
    ----------
    source
        What the user called the model.
    heads
        Those to evaluate; None for all that the model has.
    rule, other_rules
        How votes become the label, and how else.
    reference
        Another split, whose labeled faces are embedded too.
    sensitivity
        Whether the rows are predicted again after each change of :mod:`mien.evaluation.changes`.

    Heads without a label in the split are left out, with a warning; :class:`MienError` where none
    remains, or where the dataset's classes, scale or crops do not fit the model's.
    """
    names = [name for name in model.info.heads if heads is None or name in heads]
    targets = make_targets(dataset, rule)
    unit = "face" if model.info.clips is None else "recording"
    in_split = dataset.split_indices(split)
    labeled = [name for name in names if targets.labeled(name)[in_split].any()]
    if not labeled:
        wanted = " or ".join(HEADS[name].labels for name in names)
        raise MienError(
            f"expected {unit}s with {wanted} in split {split!r} of {dataset.folder}, got none of "
            f"{len(in_split)} rows: name another split or rule, or another dataset"
        )
    if reference is not None and "expression" not in labeled:
        raise MienError(
            f"expected {unit}s with an expression in split {split!r} for --reference, got none: "
            "leave it out"
        )
    if model.info.clips is not None:
        check_labels(dataset, videos_of(dataset, split), targets, labeled)
    maps = MapSums(len(dataset.label_space))

    def look(attention: FloatArray, crops: UInt8Array, start: int) -> None:
        rows = in_split[start : start + len(crops)]
        maps.add(attention, crops, targets["expression"][rows])

    predictions = predict_split(model, dataset, source, split, look=look)

    @cache
    def predict_other(other: str) -> Predictions:
        return predictions if other == split else predict_split(model, dataset, source, other)

    given = Source(
        model=model,
        dataset=dataset,
        split=split,
        rule=rule,
        rows=predictions.rows,
        outputs=predictions.heads,
        targets=targets,
        other_rules=other_rules,
        reference=None
        if reference is None
        else _reference(model, dataset, source, targets, reference),
        attention=maps.means(),
        predict=predict_other,
    )
    arrays: dict[str, HeadArrays] = {}
    warnings: list[str] = []
    left_out: dict[str, int] = {}
    for name in labeled:
        read = READERS[name](given)
        arrays[name] = read.arrays
        warnings += read.warnings
        left_out |= read.left_out
    if model.info.selected_on.get("split") == "test":
        warnings.append(WARNING)
    if dataset.info.get("corpus") == synthetic.CORPUS:
        warnings.append(synthetic.WARNING)
    # Of severity the head itself tells which people the model may have seen.
    if model.trained_on and "severity" not in labeled:
        notes = training_overlap(model, dataset, split).notes
        warnings += [note[0].upper() + note[1:] for note in notes]
    warnings += [unlabeled_warning(unit, split, name) for name in names if name not in labeled]
    return Evaluation(
        ids=predictions.ids,
        split=split,
        unit="face" if model.info.clips is None else "recording",
        heads=arrays,
        subjects=None if (predictions.subjects == "").all() else predictions.subjects,
        embeddings=predictions.embeddings,
        crops=None if model.info.clips is not None else CropsOf(dataset, predictions.rows),
        groups=_groups(dataset, predictions.rows),
        sensitivity=_sensitivity(given, source, list(arrays)) if sensitivity else None,
        graph=model.graph,
        provenance=_provenance(model, dataset, labeled),
        left_out=left_out,
        warnings=[*warnings, *predictions.warnings],
    )


def _sensitivity(given: Source, source: str | Path, heads: Sequence[str]) -> Sensitivity:
    """What the model of ``given`` says of the same rows after each change of their crops."""
    dataset, rows = given.dataset, given.rows
    shown = np.unique(np.linspace(0, len(rows) - 1, _EXAMPLES).astype(int))
    examples = dataset.crops[rows[shown]]
    changes, left_out = changes_for(dataset.preprocessing)
    changed = []
    for change in changes:
        predicted = predict_split(given.model, dataset, source, given.split, change=change.function)
        again = given._replace(
            outputs=predicted.heads, other_rules=(), reference=None, attention=None
        )
        arrays = {name: READERS[name](again).arrays.predictions for name in heads}
        changed.append(Changed(change.name, change.title, arrays, change.function(examples)))
    return Sensitivity(changed, left_out, examples)


def name_of(dataset: Dataset) -> str:
    """The corpus, or for a folder of one's own the name of the dataset."""
    corpus = str(dataset.info.get("corpus", "folder"))
    return dataset.folder.resolve().name if corpus == "folder" else corpus


def _reference(
    model: Model, dataset: Dataset, source: str | Path, targets: Targets, split: str
) -> Reference:
    rows = dataset.split_indices(split)
    labeled = targets.labeled("expression")
    if not labeled[rows].any():
        raise MienError(
            f"expected labels of expressions in split {split!r} to find neighbors in, got none: "
            "leave out --reference"
        )
    if model.info.clips is None:
        # Faces are read one by one, so those without a label need not be.
        predicted = _predict_faces(model, dataset, source, rows[labeled[rows]])
    else:
        predicted = predict_split(model, dataset, source, split)
    known = labeled[predicted.rows]
    labels = targets["expression"][predicted.rows]
    return Reference(predicted.embeddings[known], labels[known], split)


def _groups(dataset: Dataset, rows: Rows) -> dict[str, NDArray[Any]]:
    """The columns that name groups, "" where a row's is unknown."""
    schema = pq.read_schema(dataset.folder / FACES_FILE)
    columns = {}
    for name in (name for name, column in group_columns(schema.names).items() if name == column):
        kind = schema.field(name).type
        # Ages in years are no groups.
        if pa.types.is_string(kind) or pa.types.is_integer(kind):
            values = dataset.column(name)[rows]
            columns[name] = np.array([_group_name(value) for value in values], object)
    return columns


def _group_name(value: Any) -> str:
    # A number is a float where the column has empty cells, and those are NaN.
    if value is None or value != value:
        return ""
    return value if isinstance(value, str) else str(int(value))


def _provenance(model: Model, dataset: Dataset, heads: Sequence[str]) -> dict[str, str]:
    license_terms = model.license_terms
    trained_on = ": ".join(filter(None, (model.trained_on.get("corpus"), license_terms)))
    return {
        "model": model.name,
        "dataset": name_of(dataset),
        # Of severity a reader has to know first which people the model may have seen.
        **({"trained_on": trained_on} if "severity" in heads else {}),
        "license_terms": f"Model: {license_terms} Dataset: {dataset.license_terms}",
        "commercial_use": f"model: {model.info.ledger}",
        "folder": str(dataset.folder),
        "crops": dataset.preprocessing.hash,
        "version": f"mien {__version__}",
    }
