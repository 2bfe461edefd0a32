"""What an evaluation of severity starts from: one entry a recording, never one a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.scales import Scale
from mien.statistics.arrays import subject_numbers


@dataclass(frozen=True, eq=False, kw_only=True)
class Recordings:
    """n recordings: who is on them, their scores, and what a model said.

    Attributes
    ----------
    videos, subjects, scores
        ``(n,)`` names, ``(n,)`` names with "" for an unknown subject, and ``(n,)`` scores with
        NaN for an unknown one.
    predictions
        ``(n,)`` on the same scale, NaN where the model gave none. Or None.
    tasks, sessions
        ``(n,)`` what a subject did ("" unknown), and on which day or sitting: recordings of one
        subject and session have one score. Either may be None.
    usable, embeddings
        ``(n,)`` share of the frames that could be used, in [0, 1] or NaN, and ``(n, D)``. Or None.
    """

    videos: NDArray[Any]
    subjects: NDArray[Any]
    scores: NDArray[np.floating[Any]]
    predictions: NDArray[np.floating[Any]] | None = None
    tasks: NDArray[Any] | None = None
    usable: NDArray[np.floating[Any]] | None = None
    embeddings: NDArray[np.floating[Any]] | None = None
    sessions: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        n = len(self.videos)
        for name, array in self._arrays().items():
            dimensions = 2 if name == "embeddings" else 1
            if array.ndim != dimensions or len(array) != n:
                expected = f"({n}, D)" if dimensions == 2 else f"({n},)"
                raise ValueError(f"expected {name} of shape {expected}, got {array.shape}")
        if len(set(self.videos.tolist())) < n:
            raise ValueError("expected one entry a recording, got a video twice")
        if self.embeddings is not None and not np.isfinite(self.embeddings).all():
            raise ValueError("expected finite embeddings, got NaN or infinity")

    def __len__(self) -> int:
        return len(self.videos)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        found = ((entry.name, getattr(self, entry.name)) for entry in fields(self))
        return {name: array for name, array in found if array is not None}

    def take(self, rows: NDArray[Any]) -> Recordings:
        """Some of the recordings, by their numbers or by a mask."""
        return Recordings(**{name: array[rows] for name, array in self._arrays().items()})

    @property
    def known(self) -> NDArray[np.bool_]:
        """``(n,)`` recordings whose score is known and, where there are any, predicted."""
        known: NDArray[np.bool_] = np.isfinite(self.scores)
        return known if self.predictions is None else known & np.isfinite(self.predictions)

    @property
    def clusters(self) -> NDArray[np.int64] | None:
        """A number for each recording's subject; None where no subject is known."""
        return subject_numbers(self.subjects)


@dataclass(frozen=True, eq=False, kw_only=True)
class SeverityEvaluation:
    """What a model said of the recordings of a split, and what it was made from.

    Attributes
    ----------
    recordings, split
        Those evaluated, with predictions, and the name of their split.
    training
        Those trained on; predictions are not needed.
    validation
        With predictions: what the conformal interval is calibrated on. None gives no interval.
    scale
        What scores and predictions are on; both lie in [0, top].
    provenance, left_out, warnings
        As :class:`mien.statistics.arrays.Evaluation` has them. ``trained_on`` in ``provenance``
        says which data the model has seen, with their terms; ``left_out`` counts recordings of
        the split that are not among ``recordings``, by reason.
    """

    recordings: Recordings
    training: Recordings
    validation: Recordings | None = None
    scale: Scale
    split: str
    provenance: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.recordings.predictions is None:
            raise ValueError("expected recordings with predictions, got none")
        if self.validation is not None and self.validation.predictions is None:
            raise ValueError("expected validation recordings with predictions, got none")
        top = self.scale.top
        for place in ("recordings", "training", "validation"):
            own = getattr(self, place)
            for name in ("scores", "predictions"):
                values = None if own is None else getattr(own, name)
                if values is None:
                    continue
                if np.isinf(values).any() or (values < 0).any() or (values > top).any():
                    raise ValueError(
                        f"expected {name} of {place} in [0, {top}] or NaN, got "
                        f"{np.nanmin(values)} to {np.nanmax(values)}"
                    )


def fused_sessions(recordings: Recordings) -> Recordings | None:
    """One entry a session, with the mean of its tasks' predictions; None where there are no tasks.

    A session is a subject's recordings with one score and one name in ``sessions``; without
    ``sessions``, with video names that are alike but for the task's name in them. Recordings of an
    unknown subject stay alone. None also where no session has two tasks.
    """
    if recordings.tasks is None or recordings.predictions is None:
        return None
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, (video, subject, task) in enumerate(
        zip(recordings.videos, recordings.subjects, recordings.tasks, strict=True)
    ):
        session = (
            re.sub(re.escape(str(task)), "", str(video), flags=re.IGNORECASE)
            if recordings.sessions is None
            else str(recordings.sessions[row])
        )
        alone = "" if subject else str(video)
        key = (str(subject), session, str(float(recordings.scores[row])), alone)
        groups.setdefault(key, []).append(row)
    if all(len({str(recordings.tasks[row]) for row in rows}) < 2 for rows in groups.values()):
        return None
    first = np.array([rows[0] for rows in groups.values()])
    means = [float(np.mean(recordings.predictions[rows])) for rows in groups.values()]
    return Recordings(
        videos=recordings.videos[first],
        subjects=recordings.subjects[first],
        scores=recordings.scores[first],
        predictions=np.array(means),
    )
