"""Where a model of severity meets a dataset: recordings out of rows of frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.data.dataset import FACES_FILE, Dataset
from mien.labels import Scale
from mien.schema import FloatArray, MienError, Preprocessing

if TYPE_CHECKING:
    from mien.evaluation.recordings import Recordings, SeverityEvaluation

TRAINED, CALIBRATED = "train", "valid"
"""The splits that training learns from, and keeps its best epoch and calibrates an interval by."""

Rows = Sequence[NDArray[np.int64]]
"""The rows of each recording, frames ascending."""


class Estimates(NamedTuple):
    """What a model says of n recordings: ``(n,)`` scores, and ``(n, D)`` embeddings or None."""

    scores: FloatArray
    embeddings: FloatArray | None = None


class SeverityModel(NamedTuple):
    """What evaluation needs of a run or a model of severity.

    ``predict`` takes a dataset that reads crops as ``preprocessing`` has them; ``checksum`` is of
    the dataset that the model was trained on, None where it is not recorded.
    """

    name: str
    terms: str
    scale: Scale
    preprocessing: Preprocessing
    predict: Callable[[Dataset, Rows], Estimates]
    checksum: str | None = None


def open_severity(run: str | Path) -> SeverityModel:
    """A run folder of severity, through torch."""
    raise MienError(f"expected a run of severity that this version can open, got {run}")


def recordings_of(dataset: Dataset, split: str) -> tuple[Recordings, Rows]:
    """The recordings of a split in the order of their first rows, and the rows of each.

    Raises :class:`MienError` for an unknown split, a row without a video, and a recording whose
    rows differ in subject or score.
    """
    from mien.evaluation.recordings import Recordings

    rows = dataset.split_indices(split)
    videos = dataset.column("video")[rows]
    if any(video is None for video in videos):
        raise MienError(
            f"expected the video of every row in split {split!r} of {dataset.folder}, got rows "
            "without: scores are of recordings, prepare the dataset from videos"
        )
    names, first, owner = np.unique(videos.astype(str), return_index=True, return_inverse=True)
    parts = [rows[owner == number] for number in range(len(names))]
    order = np.argsort(first)
    parts = [parts[number] for number in order]
    starts = rows[first[order]]
    subjects = dataset.subjects
    people = np.full(len(dataset), "") if subjects is None else _text(subjects)
    scores = dataset.severity
    for own in parts:
        if len(set(people[own])) > 1 or not _one_value(scores[own]):
            raise MienError(
                f"expected one subject and one score in all rows of video "
                f"{dataset.column('video')[own[0]]!r} of {dataset.folder}, got several: prepare "
                "it again"
            )
    tasks = None
    if "task" in pq.read_schema(dataset.folder / FACES_FILE).names:
        tasks = _text(dataset.column("task"))[starts]
    return Recordings(
        videos=names[order],
        subjects=people[starts],
        scores=scores[starts],
        tasks=tasks,
        usable=_usable(dataset, names[order].tolist()),
    ), parts


def severity_evaluation_of(
    model: SeverityModel,
    dataset: Dataset,
    *,
    split: str,
    provenance: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> SeverityEvaluation:
    """What ``model`` says of the recordings of a split, with those it was made from.

    The baselines and the subjects seen are those of the dataset's split ``train``; where the model
    was trained on another dataset a warning says that these are not what it has seen.
    """
    from mien.evaluation.recordings import SeverityEvaluation

    scale = _check_scale(model, dataset)
    cut = dataset.read_as(model.preprocessing)
    splits = set(dataset.splits)
    training = recordings_of(dataset, TRAINED)[0] if TRAINED in splits else None
    own = _predicted(model, cut, split)
    validation = None
    if CALIBRATED in splits:
        validation = own if split == CALIBRATED else _predicted(model, cut, CALIBRATED)
    found = []
    if training is None:
        found.append(
            f"The dataset has no split {TRAINED}: there are no baselines, and nobody can say which "
            "subjects the model was trained on"
        )
        training = own.take(np.zeros(0, np.int64))
    elif model.checksum is None or model.checksum != dataset.info.get("checksum"):
        found.append(
            f"The model was not trained on this dataset: baselines and subjects in training are "
            f"of its split {TRAINED}, and whether the model has seen these people is not known"
        )
    if split in (TRAINED, CALIBRATED):
        why = "learn from" if split == TRAINED else "keep their best epoch by"
        found.append(f"Runs {why} {split}, so their errors on it are too small")
    return SeverityEvaluation(
        recordings=own,
        training=training,
        validation=validation,
        scale=scale,
        split=split,
        provenance=provenance,
        left_out=_without_rows(dataset),
        warnings=[*found, *warnings],
    )


def _predicted(model: SeverityModel, dataset: Dataset, split: str) -> Recordings:
    recordings, rows = recordings_of(dataset, split)
    said = model.predict(dataset, rows)
    # A regressor's value may leave the scale, which no score can.
    scores = np.clip(said.scores, 0, model.scale.top)
    return replace(recordings, predictions=scores, embeddings=said.embeddings)


def _check_scale(model: SeverityModel, dataset: Dataset) -> Scale:
    if dataset.scale is None:
        raise MienError(
            f"expected a dataset with scores, as the model says severity on the scale "
            f"{model.scale.name}, got {dataset.folder} without: prepare a corpus that has them"
        )
    if dataset.scale != model.scale:
        raise MienError(
            f"expected scores on the model's scale {model.scale.name} (0 to {model.scale.top}), "
            f"got a dataset on {dataset.scale.name} (0 to {dataset.scale.top}): evaluate a model "
            "that was trained on that scale"
        )
    return dataset.scale


def _text(column: NDArray[np.object_]) -> NDArray[np.str_]:
    return np.array(["" if value is None else str(value) for value in column])


def _one_value(scores: FloatArray) -> bool:
    return bool(np.isnan(scores).all() or (scores == scores[0]).all())


def _usable(dataset: Dataset, videos: Sequence[str]) -> FloatArray | None:
    """The share of usable frames of each video, from ``dataset.json``."""
    known = dataset.info.get("videos")
    if not isinstance(known, dict):
        return None
    shares = np.full(len(videos), np.nan, np.float32)
    for place, video in enumerate(videos):
        entry = known.get(video)
        if entry and entry.get("frames"):
            shares[place] = min(1.0, entry["usable"] / entry["frames"])
    return shares


def _without_rows(dataset: Dataset) -> dict[str, int]:
    """Videos that the dataset names but has no frame of; their split is not known."""
    known = dataset.info.get("videos")
    if not isinstance(known, dict):
        return {}
    present = set(dataset.column("video"))
    return {"no usable frame (of all splits)": sum(video not in present for video in known)}


def task_of(run_or_model: str | Path) -> str:
    """What a run folder is for: ``severity`` or ``expression``."""
    path = Path(run_or_model) / "model.json"
    try:
        return str(json.loads(path.read_text("utf-8")).get("task", "expression"))
    except (OSError, ValueError, AttributeError):
        # What is wrong with the folder is said when it is opened.
        return "expression"
