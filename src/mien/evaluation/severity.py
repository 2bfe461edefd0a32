"""How well scores of recordings are estimated, against what knows nothing and who knows the person.

A recording has one score and one prediction; frames and clips are aggregated before anything is
measured. As in :mod:`mien.evaluation.metrics`, ``weights`` ``(B, n)`` give one value for each of
their rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.affect import (
    concordance,
    correlation,
    mean_absolute_error,
    moments,
    root_mean_squared_error,
)
from mien.evaluation.metrics import FloatArray, IntArray

Aggregate = Literal["mean", "median", "trimmed"]
METRICS = ("mae", "rmse", "pcc", "ccc")


@dataclass(frozen=True, eq=False, kw_only=True)
class Recordings:
    """n recordings: their names and subjects ("" unknown), scores (NaN unknown) and predictions.

    ``videos`` and ``subjects`` ``(n,)``, ``scores`` ``(n,)``; ``predictions`` ``(n,)`` of a model,
    ``tasks`` ``(n,)`` what was done in each ("" unknown), ``frames`` ``(n,)`` how many frames with
    a usable face each has and ``embeddings`` ``(n, D)`` its clips' mean of unit rows, or None.
    """

    videos: NDArray[Any]
    subjects: NDArray[Any]
    scores: NDArray[np.floating[Any]]
    predictions: NDArray[np.floating[Any]] | None = None
    tasks: NDArray[Any] | None = None
    frames: NDArray[Any] | None = None
    embeddings: NDArray[np.floating[Any]] | None = None

    def __post_init__(self) -> None:
        n = len(self.videos)
        for name in ("subjects", "scores", "predictions", "tasks", "frames", "embeddings"):
            values = getattr(self, name)
            if values is not None and len(values) != n:
                raise ValueError(f"expected {n} {name}, got {len(values)}")
        if self.predictions is not None and not np.isfinite(self.predictions).all():
            raise ValueError("expected finite predictions, got NaN or infinity")

    def __len__(self) -> int:
        return len(self.videos)

    def of(self, chosen: NDArray[np.bool_] | IntArray) -> Recordings:
        """Some of them."""

        def part(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[chosen]

        return Recordings(
            videos=self.videos[chosen],
            subjects=self.subjects[chosen],
            scores=self.scores[chosen],
            predictions=part(self.predictions),
            tasks=part(self.tasks),
            frames=part(self.frames),
            embeddings=part(self.embeddings),
        )

    @property
    def scored(self) -> Recordings:
        """Those whose score is known."""
        return self.of(~np.isnan(np.asarray(self.scores, np.float64)))

    @property
    def clusters(self) -> NDArray[np.int64]:
        """A number for each subject, ``(n,)``; a recording of nobody known has one of its own."""
        names = [
            f"subject {subject}" if subject else f"recording {video}"
            for subject, video in zip(self.subjects, self.videos, strict=True)
        ]
        return np.unique(names, return_inverse=True)[1].astype(np.int64)


def aggregate_clips(
    values: NDArray[np.floating[Any]], owners: IntArray, count: int, how: Aggregate
) -> FloatArray:
    """One value of each of ``count`` recordings from those of their clips, ``(count,)``.

    ``owners`` ``(n,)`` say whose each of the ``(n,)`` values is; each recording has at least one.
    ``trimmed`` leaves a quarter of the clips out at each end, rounded down.

    >>> aggregate_clips(np.array([1.0, 2, 3, 10]), np.zeros(4, int), 1, "trimmed")
    array([2.5])
    """
    found = np.empty(count)
    for number in range(count):
        own = np.sort(np.asarray(values, np.float64)[owners == number])
        if how == "median":
            found[number] = np.median(own)
        else:
            cut = len(own) // 4 if how == "trimmed" else 0
            found[number] = own[cut : len(own) - cut].mean()
    return found


def severity_metrics(
    predictions: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    *,
    weights: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """``mae`` and ``rmse`` in points, ``pcc`` and ``ccc`` (1/n), over all recordings at once.

    PCC of a constant is NaN, its CCC 0.
    """
    said, truth = np.asarray(predictions, np.float64), np.asarray(scores, np.float64)
    of_both = moments(said, truth, weights=weights)
    return {
        "mae": mean_absolute_error(said, truth, weights=weights),
        "rmse": root_mean_squared_error(said, truth, weights=weights),
        "pcc": correlation(of_both),
        "ccc": concordance(of_both),
    }


def constant_predictions(recordings: Recordings, training: Recordings) -> FloatArray:
    """The mean score of the training recordings, for each of ``recordings``, ``(n,)``."""
    return np.full(len(recordings), float(np.mean(training.scored.scores)))


def identity_predictions(recordings: Recordings, training: Recordings) -> FloatArray:
    """What knowing the person alone gives, ``(n,)``: nothing of the face is looked at.

    The mean score of the same subject's other recordings in ``training``; where there is none, the
    mean of all training recordings. A recording is never its own witness.
    """
    known = training.scored
    found = constant_predictions(recordings, training)
    for number, (subject, video) in enumerate(
        zip(recordings.subjects, recordings.videos, strict=True)
    ):
        own = (known.subjects == subject) & (known.videos != video)
        if subject and own.any():
            found[number] = float(np.mean(known.scores[own]))
    return found


def seen_subjects(recordings: Recordings, training: Recordings) -> NDArray[np.bool_]:
    """Which recordings are of a subject who is in ``training`` too, ``(n,)``."""
    known = {subject for subject in training.subjects if subject}
    return np.array([subject in known for subject in recordings.subjects], bool)


def conformal_half_width(
    recordings: Recordings, *, coverage: float = 0.9
) -> tuple[float | None, str]:
    """Half the width of an interval that covers new subjects' scores, and why there is none.

    Split conformal prediction over subjects: each gives its largest absolute error, and the half
    width is the smallest for which ``ceil((n + 1) coverage)`` of n subjects are within (Vovk et
    al., 2005; subjects, not recordings, are what is exchangeable). A new subject's recordings are
    then all covered with at least that probability, if it comes from the same population and the
    model was not chosen on these recordings. Too few subjects give None: 9 are needed for 0.9.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"expected a coverage in (0, 1), got {coverage}")
    scored = recordings.scored
    if scored.predictions is None:
        raise ValueError("expected recordings with predictions")
    errors = np.abs(np.asarray(scored.predictions) - np.asarray(scored.scores))
    clusters = scored.clusters
    largest = np.sort([errors[clusters == number].max() for number in np.unique(clusters)])
    rank = math.ceil((len(largest) + 1) * coverage)
    if rank > len(largest):
        needed = math.ceil(coverage / (1 - coverage) - 1e-9)
        return None, f"{len(largest)} subjects are too few for {coverage:.0%}: {needed} are needed"
    return float(largest[rank - 1]), ""


def ordering(
    recordings: Recordings, *, weights: FloatArray | None = None, same_subject: bool = False
) -> FloatArray:
    """Spearman's correlation of cosine similarity with minus the score gap, over pairs.

    1 where nearer scores are always more alike. Pairs of one subject are left out unless
    ``same_subject``, as likeness of persons is no likeness of scores. With ``weights`` ``(B, n)``
    a pair counts the product of its recordings' weights; ranks are those of the whole set (so the
    bootstrap moves the pairs' weights, not their ranks). NaN where there is nothing to order.
    """
    scored = recordings.scored
    if scored.embeddings is None:
        raise ValueError("expected recordings with embeddings")
    rows = np.asarray(scored.embeddings, np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    first, second = np.triu_indices(len(rows), 1)
    if not same_subject:
        clusters = scored.clusters
        apart = clusters[first] != clusters[second]
        first, second = first[apart], second[apart]
    if not len(first):
        return np.full(() if weights is None else len(weights), np.nan)
    from scipy.stats import rankdata

    alike = rankdata((rows[first] * rows[second]).sum(1))
    near = rankdata(-np.abs(scored.scores[first] - scored.scores[second]))
    if weights is None:
        return correlation(moments(alike, near))
    known = ~np.isnan(np.asarray(recordings.scores, np.float64))
    own = weights[:, known]
    found = [
        correlation(moments(alike, near, weights=(row[first] * row[second])[None]))[0]
        if (row[first] * row[second]).any()
        else np.nan
        for row in own
    ]
    return np.array(found)
