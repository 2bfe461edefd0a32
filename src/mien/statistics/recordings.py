"""Recordings and their scores: one entry each, never one per frame."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.statistics.subjects import subject_numbers


@dataclass(frozen=True, eq=False, kw_only=True)
class Recordings:
    """n recordings: their subjects, their scores, and a model's predictions.

    Attributes
    ----------
    ids, subjects, scores
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

    ids: NDArray[Any]
    subjects: NDArray[Any]
    scores: NDArray[np.floating[Any]]
    predictions: NDArray[np.floating[Any]] | None = None
    tasks: NDArray[Any] | None = None
    usable: NDArray[np.floating[Any]] | None = None
    embeddings: NDArray[np.floating[Any]] | None = None
    sessions: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        for name, array in self._arrays().items():
            dimensions = 2 if name == "embeddings" else 1
            if array.ndim != dimensions or len(array) != n:
                expected = f"({n}, D)" if dimensions == 2 else f"({n},)"
                raise ValueError(f"expected {name} of shape {expected}, got {array.shape}")
        if len(set(self.ids.tolist())) < n:
            raise ValueError("expected one entry a recording, got an id twice")
        if self.embeddings is not None and not np.isfinite(self.embeddings).all():
            raise ValueError("expected finite embeddings, got NaN or infinity")

    def __len__(self) -> int:
        return len(self.ids)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays = ((entry.name, getattr(self, entry.name)) for entry in fields(self))
        return {name: array for name, array in arrays if array is not None}

    def take(self, rows: NDArray[Any]) -> Recordings:
        """Some of the recordings, by their numbers or by a mask."""
        return Recordings(**{name: array[rows] for name, array in self._arrays().items()})

    @property
    def scored(self) -> NDArray[np.bool_]:
        """``(n,)`` recordings with a score and, where there are predictions, with one of them."""
        scored: NDArray[np.bool_] = np.isfinite(self.scores)
        return scored if self.predictions is None else scored & np.isfinite(self.predictions)

    @property
    def clusters(self) -> NDArray[np.int64] | None:
        """A number for each recording's subject; None where no subject is known."""
        return subject_numbers(self.subjects)


def average_sessions(recordings: Recordings) -> Recordings | None:
    """One entry per session, with the mean of its tasks' predictions; None without tasks.

    A session is a subject's recordings with one score and one name in ``sessions``; without
    ``sessions``, with ids that are alike but for the task's name in them. Recordings of an unknown
    subject stay alone. None also where no session has two tasks.
    """
    if recordings.tasks is None or recordings.predictions is None:
        return None
    rows_of: dict[tuple[str, ...], list[int]] = {}
    for row, (name, subject, task) in enumerate(
        zip(recordings.ids, recordings.subjects, recordings.tasks, strict=True)
    ):
        session = (
            re.sub(re.escape(str(task)), "", str(name), flags=re.IGNORECASE)
            if recordings.sessions is None
            else str(recordings.sessions[row])
        )
        alone = "" if subject else str(name)
        key = (str(subject), session, str(float(recordings.scores[row])), alone)
        rows_of.setdefault(key, []).append(row)
    if all(len({str(recordings.tasks[row]) for row in rows}) < 2 for rows in rows_of.values()):
        return None
    first = np.array([rows[0] for rows in rows_of.values()])
    means = [float(np.mean(recordings.predictions[rows])) for rows in rows_of.values()]
    return Recordings(
        ids=recordings.ids[first],
        subjects=recordings.subjects[first],
        scores=recordings.scores[first],
        predictions=np.array(means),
    )
