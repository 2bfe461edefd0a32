"""Where a run of severity meets a dataset: its recordings, and those it was made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mien.data.clips import videos_of
from mien.data.dataset import Dataset
from mien.scales import Scale
from mien.schema import FloatArray, MienError, Preprocessing

if TYPE_CHECKING:
    from mien.statistics.recordings import Recordings, SeverityEvaluation

TRAINED, CALIBRATED = "train", "valid"
"""The splits that training learns from, and keeps its best epoch and calibrates an interval by."""


class SeverityModel(NamedTuple):
    """What evaluation needs of a run or a model of severity.

    ``predict`` says the recordings of a split of a dataset that reads crops as ``preprocessing``
    has them. ``terms`` are of the data ``trained_on``; ``checksum`` is of the dataset, None where
    it is not recorded.
    """

    name: str
    license_terms: str
    trained_on: str
    scale: Scale
    preprocessing: Preprocessing
    predict: Callable[[Dataset, str], Recordings]
    checksum: str | None = None


def open_severity(run: str | Path) -> SeverityModel:
    """A run folder of severity, through torch."""
    from mien.training.run import load_severity_run
    from mien.training.severity import predict_recordings

    opened = load_severity_run(run)
    terms = " ".join(text for text in opened.info["license_terms"].values() if text)
    data = opened.info.get("dataset") or {}
    return SeverityModel(
        str(run),
        terms,
        ": ".join(filter(None, (data.get("corpus"), terms))),
        opened.scale,
        opened.preprocessing,
        lambda dataset, split: predict_recordings(
            opened.network, dataset, split, opened.severity, opened.scale
        ),
        data.get("checksum"),
    )


def recordings_of(dataset: Dataset, split: str) -> Recordings:
    """The recordings of a split, without predictions; errors as :func:`videos_of` raises them."""
    from mien.statistics.recordings import Recordings

    videos = videos_of(dataset, split)
    return Recordings(videos=videos.names, subjects=videos.subjects, scores=videos.scores)


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
    from mien.statistics.recordings import SeverityEvaluation

    scale = _check_scale(model, dataset)
    cut = dataset.with_preprocessing(model.preprocessing)
    splits = set(dataset.splits)
    training = recordings_of(dataset, TRAINED) if TRAINED in splits else None
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
    found = model.predict(dataset, split)
    sessions = None
    if "session" in dataset.faces.column_names:
        # A recording without one is a session of its own.
        named = dataset.column("session")[videos_of(dataset, split).starts]
        sessions = np.array(
            [name or video for name, video in zip(named, found.videos, strict=True)], str
        )
    return replace(found, usable=_usable(dataset, found.videos.tolist()), sessions=sessions)


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


def _usable(dataset: Dataset, videos: Sequence[str]) -> FloatArray | None:
    """The share of usable frames of each video, from ``dataset.json``, or NaN."""
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
