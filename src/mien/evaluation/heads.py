"""From a dataset and a model's outputs to the arrays of each head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.data.clips import videos_of
from mien.data.dataset import Dataset
from mien.data.targets import Targets, make_targets
from mien.errors import MienError
from mien.evaluation.models import Model
from mien.heads import HEADS, HeadInfo
from mien.heads.expression import ExpressionInfo
from mien.heads.severity import SeverityInfo
from mien.labels import LabelSpace
from mien.metrics.attention import ClassMaps
from mien.reports.evaluation import (
    ExpressionArrays,
    HeadArrays,
    Reference,
    SeverityArrays,
)
from mien.reports.sections import SECTIONS
from mien.statistics.recordings import Recordings

if TYPE_CHECKING:
    from mien.evaluation.predictions import Predictions

InfoT = TypeVar("InfoT", bound=HeadInfo)

TRAINED, CALIBRATED = "train", "valid"
"""The splits that training learns from, and keeps its best epoch and calibrates an interval by."""


class Source(NamedTuple):
    """What the arrays of a head are made from.

    ``rows`` ``(N,)`` are the dataset's rows that hold the labels; ``outputs`` the model's, by name
    and ``(N, ...)``. ``targets`` are of all rows of the dataset. ``predict`` gives the predictions
    for another split.
    """

    model: Model
    dataset: Dataset
    split: str
    rule: str
    rows: NDArray[np.int64]
    outputs: Mapping[str, NDArray[Any]]
    targets: Targets
    predict: Callable[[str], Predictions]
    other_rules: Sequence[str] = ()
    reference: Reference | None = None
    attention: ClassMaps | None = None


class Read(NamedTuple):
    """The arrays of a head, warnings, and what the dataset has that is not among the rows."""

    arrays: HeadArrays
    warnings: Sequence[str] = ()
    left_out: Mapping[str, int] = {}


def read_expression(source: Source) -> Read:
    """Probabilities over the dataset's classes, its votes, and the other rules' targets."""
    info = _info(source, "expression", ExpressionInfo)
    dataset, rows = source.dataset, source.rows
    probabilities, warnings = project_classes(
        source.outputs["expression"], info.label_space, dataset.label_space
    )
    missing = int((source.targets["expression"][rows] < 0).sum())
    # Targets count their reasons over all splits; where there are two, either may be a row's.
    reasons = {" or ".join(source.targets.left_out): missing} if missing else {}
    others = {}
    if dataset.votes is not None:
        others = {
            rule: make_targets(dataset, rule)["expression"][rows]
            for rule in source.other_rules
            if rule != source.rule
        }
    arrays = ExpressionArrays(
        info=info.model_copy(update={"label_space": dataset.label_space}),
        targets=source.targets["expression"][rows],
        predictions=probabilities,
        left_out=reasons,
        rule=source.rule,
        votes=_class_votes(dataset, rows),
        other_targets=others,
        reference=source.reference,
        attention=source.attention,
    )
    return Read(arrays, warnings)


def read_plain(head: str) -> Callable[[Source], Read]:
    """How a head is read whose targets and predictions are taken as they are."""

    def read(source: Source) -> Read:
        return Read(
            SECTIONS[head].ARRAYS(
                info=source.model.info.heads[head],
                targets=source.targets[head][source.rows],
                predictions=source.outputs[head],
            )
        )

    return read


def read_severity(source: Source) -> Read:
    """Scores, with the recordings that the model was trained on and calibrated by.

    Baselines and subjects in training are those of the dataset's split ``train``; where the model
    was trained on another dataset a warning says that it may not have seen these.
    """
    info = _info(source, "severity", SeverityInfo)
    dataset, split = source.dataset, source.split
    _check_scale(info, dataset)
    splits = set(dataset.splits.tolist())
    warnings = []
    if TRAINED not in splits:
        training = Recordings(ids=np.array([], str), subjects=np.array([], str), scores=np.zeros(0))
        warnings.append(
            f"The dataset has no split {TRAINED}: there are no baselines, and nobody can say which "
            "subjects the model was trained on"
        )
    else:
        training = _recordings(source, TRAINED, None)
        checksum = source.model.trained_on.get("checksum")
        if checksum is None or checksum != dataset.info.get("checksum"):
            warnings.append(
                "The model was not trained on this dataset: baselines and subjects in training are "
                f"of its split {TRAINED}, and whether the model has seen these people is not known"
            )
    keeps_best = source.model.info.keeps_best
    if split == TRAINED or (split == CALIBRATED and keeps_best):
        why = "learn from" if split == TRAINED else "keep their best epoch by"
        warnings.append(f"Runs {why} {split}, so their errors on it are too small")
    validation = None
    if CALIBRATED in splits:
        predictions = source.predict(CALIBRATED)
        validation = _recordings(source, CALIBRATED, predictions.heads["severity"])
    arrays = SeverityArrays(
        info=info,
        targets=source.targets["severity"][source.rows],
        predictions=np.asarray(source.outputs["severity"]),
        training=training,
        validation=validation,
        tasks=_column(dataset, "task", source.rows),
        sessions=_sessions(dataset, source.rows),
        usable=_usable(dataset, source.rows),
        corpus=str(dataset.info.get("corpus", "")),
    )
    return Read(arrays, warnings, _without_rows(dataset))


def project_classes(
    probabilities: NDArray[Any], space: LabelSpace, wanted: LabelSpace
) -> tuple[NDArray[Any], list[str]]:
    """A model's probabilities over the classes of a dataset, and what to warn of.

    Raises :class:`MienError` where the dataset has classes that the model lacks.
    """
    if space.names == wanted.names:
        return probabilities, []
    if unknown := [name for name in wanted.names if name not in space.names]:
        raise MienError(
            f"the dataset has classes that the model does not know ({', '.join(unknown)}; "
            f"the model knows {', '.join(space.names)}): evaluate a model that was trained on them"
        )
    # A tiny floor keeps a row whose whole mass lies on classes that the dataset lacks.
    projected = np.maximum(probabilities @ space.projection(wanted), 1e-12)
    projected = np.asarray(projected / projected.sum(1, keepdims=True), np.float32)
    dropped = [name for name in space.names if name not in wanted.names]
    if not dropped:
        return projected, []
    return projected, [
        f"The dataset has no class {', '.join(dropped)}: the model's probabilities of the other "
        "classes were scaled to sum to one, so it could not answer with these"
    ]


class SharedClasses(NamedTuple):
    """The classes that a model and a dataset share by name, in the dataset's order.

    ``codes`` ``(C + 1,)`` are their numbers by the dataset's, -1 for a class that the model lacks
    and, at the end, for no class. ``only_model`` and ``only_dataset`` are the others.
    """

    space: LabelSpace
    codes: NDArray[np.int64]
    only_model: tuple[str, ...]
    only_dataset: tuple[str, ...]


def shared_classes(space: LabelSpace, wanted: LabelSpace) -> SharedClasses | None:
    """The classes of a model's ``space`` and a dataset's; None where they are fewer than two."""
    names = tuple(name for name in wanted.names if name in space.names)
    if len(names) < 2:
        return None
    return SharedClasses(
        LabelSpace(name=wanted.name, names=names),
        np.array([names.index(name) if name in names else -1 for name in wanted.names] + [-1]),
        tuple(name for name in space.names if name not in names),
        tuple(name for name in wanted.names if name not in names),
    )


def read_shared_expression(source: Source) -> Read:
    """As :func:`read_expression`, over the classes that model and dataset share.

    Rows of another class are left out. Labels are those of the dataset's rule over all of its
    classes, so a row has the same label for every model. Raises :class:`MienError` for fewer than
    two shared classes.
    """
    info, dataset = _info(source, "expression", ExpressionInfo), source.dataset
    shared = shared_classes(info.label_space, dataset.label_space)
    if shared is None:
        raise MienError(
            f"expected two classes in common, got {', '.join(info.label_space.names)} of the model "
            f"and {', '.join(dataset.label_space.names)} of the dataset"
        )
    probabilities, _ = project_classes(source.outputs["expression"], info.label_space, shared.space)
    labels = source.targets["expression"][source.rows]
    targets = shared.codes[labels]
    others = int(((labels >= 0) & (targets < 0)).sum())
    arrays = ExpressionArrays(
        info=info.model_copy(update={"label_space": shared.space}),
        targets=targets,
        predictions=probabilities,
        left_out={f"of a class that the model lacks ({', '.join(shared.only_dataset)})": others},
        rule=source.rule,
    )
    return Read(arrays)


def _info(source: Source, head: str, kind: type[InfoT]) -> InfoT:
    info = source.model.info.heads[head]
    if not isinstance(info, kind):
        raise TypeError(f"expected {kind.__name__} of head {head}, got {type(info).__name__}")
    return info


def _class_votes(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    if dataset.votes is None:
        return None
    columns = [dataset.vote_names.index(name) for name in dataset.label_space.names]
    return dataset.votes[rows][:, columns]


def _recordings(source: Source, split: str, predictions: NDArray[Any] | None) -> Recordings:
    """The faces or recordings of a split with their scores, as the model reads one or the other."""
    dataset = source.dataset
    if source.model.info.clips is not None:
        videos = videos_of(dataset, split)
        return Recordings(
            ids=videos.names,
            subjects=videos.subjects,
            scores=videos.scores,
            predictions=predictions,
        )
    rows = dataset.split_indices(split)
    return Recordings(
        ids=dataset.names("id")[rows],
        subjects=dataset.names("subject")[rows],
        scores=dataset.severity[rows],
        predictions=predictions,
    )


def _check_scale(info: SeverityInfo, dataset: Dataset) -> None:
    if dataset.scale != info.scale:
        got = "no scale" if dataset.scale is None else dataset.scale.name
        top = "" if dataset.scale is None else f" (0 to {dataset.scale.top})"
        raise MienError(
            f"expected scores on the model's scale {info.scale.name} (0 to {info.scale.top}), "
            f"got a dataset on {got}{top}: evaluate a model that was trained on that scale"
        )


def _column(dataset: Dataset, name: str, rows: NDArray[np.int64]) -> NDArray[np.str_] | None:
    """A column of names, "" where there is none; None for a dataset without it."""
    return dataset.names(name)[rows] if name in dataset.column_names else None


def _sessions(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.str_] | None:
    names = _column(dataset, "session", rows)
    if names is None:
        return None
    # A recording without one is a session of its own.
    videos = dataset.column("video")[rows]
    return np.array([name or video for name, video in zip(names, videos, strict=True)], str)


def _usable(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """The share of usable frames of each row's video, from ``dataset.json``, or NaN."""
    known = dataset.info.get("videos")
    if not isinstance(known, dict):
        return None
    shares = np.full(len(rows), np.nan, np.float32)
    for number, video in enumerate(dataset.column("video")[rows]):
        entry = known.get(video)
        if entry and entry.get("frames"):
            shares[number] = min(1.0, entry["usable"] / entry["frames"])
    return shares


def _without_rows(dataset: Dataset) -> dict[str, int]:
    """Videos that the dataset names but has no frame of; their split is not known."""
    known = dataset.info.get("videos")
    if not isinstance(known, dict):
        return {}
    present = set(dataset.column("video").tolist())
    return {"no usable frame (of all splits)": sum(video not in present for video in known)}


READERS: dict[str, Callable[[Source], Read]] = {
    **{name: read_plain(name) for name in HEADS},
    "expression": read_expression,
    "severity": read_severity,
}
"""How the arrays of each head are read, by the head's name."""
