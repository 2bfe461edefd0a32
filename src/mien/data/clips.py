"""Clips of recordings: their rows, and which of them share a batch.

Everything is a function of (seed, epoch): same numbers, same clips.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mien.data.dataset import Dataset
from mien.data.targets import Targets
from mien.errors import MienError

IntArray = NDArray[np.int64]


class Clips(BaseModel):
    """How clips are cut: ``length`` frames, every ``stride``-th row of a recording.

    An epoch, and an evaluation, see ``per_video`` clips of each recording. A recording that is
    shorter than a clip is padded with its last frame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    length: int = Field(default=16, ge=1, le=512)
    stride: int = Field(default=2, ge=1, le=100)
    per_video: int = Field(default=4, ge=1, le=1000)

    @property
    def span(self) -> int:
        """The number of rows from the first to the last frame of a clip."""
        return (self.length - 1) * self.stride + 1


@dataclass(frozen=True, eq=False)
class Videos:
    """V recordings of a split, in the order of their rows.

    ``starts`` and ``counts`` ``(V,)`` are the first row and the number of rows of each recording.
    ``scores`` ``(V,)`` float32 are NaN and ``subjects`` ``(V,)`` "" where unknown.
    """

    names: NDArray[np.str_]
    subjects: NDArray[np.str_]
    scores: NDArray[np.float32]
    starts: IntArray
    counts: IntArray

    def __len__(self) -> int:
        return len(self.names)

    def of(self, chosen: NDArray[np.bool_] | IntArray) -> Videos:
        """Return the ``chosen`` recordings, given by a mask or by indices."""
        return Videos(
            self.names[chosen],
            self.subjects[chosen],
            self.scores[chosen],
            self.starts[chosen],
            self.counts[chosen],
        )

    @property
    def rows(self) -> IntArray:
        """All rows of the recordings, ascending."""
        parts = [np.arange(a, a + n) for a, n in zip(self.starts, self.counts, strict=True)]
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def videos_of(dataset: Dataset, split: str) -> Videos:
    """Find the recordings of a split.

    Raises :class:`MienError` for a split without rows, for a dataset without videos, and where the
    rows of a recording are not adjacent, not ordered by frame, or differ in subject, split or
    score.
    """
    rows = dataset.split_indices(split)
    names = dataset.names("video")[rows]
    if (names == "").any():
        raise MienError(
            f"expected frames of recordings in {dataset.folder}, got rows without a video: prepare "
            "a corpus of recordings, or make one with mien synth --videos"
        )
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    counts = np.diff(np.r_[first, len(names)])
    starts = rows[first]
    subjects = dataset.names("subject")[rows]
    scores = dataset.severity[rows]
    whole = np.all(
        rows == np.repeat(starts, counts) + np.arange(len(rows)) - np.repeat(first, counts)
    )
    same = all(
        np.array_equal(values, np.repeat(values[first], counts), equal_nan=values.dtype.kind == "f")
        for values in (subjects, scores)
    )
    # A frame without a number is NaN, which does not count as out of order.
    steps = np.diff(np.asarray(dataset.column("frame")[rows], np.float64))
    ordered = not (steps[names[1:] == names[:-1]] <= 0).any()
    if len(set(names[first])) != len(first) or not whole or not same or not ordered:
        raise MienError(
            f"expected adjacent rows for each recording of {dataset.folder}, in the order of its "
            "frames, with one split, subject and score, got others: prepare it again"
        )
    return Videos(names[first], subjects[first], scores[first], starts, counts.astype(np.int64))


def check_labels(dataset: Dataset, videos: Videos, targets: Targets, heads: Iterable[str]) -> None:
    """Raise :class:`MienError` where frames of a recording have other targets than its first one.

    A clip has one target for each of the ``heads``, that of its recording. ``targets`` are of all
    rows of the dataset.
    """
    rows, first = videos.rows, np.repeat(videos.starts, videos.counts)
    for head in heads:
        values = targets.values.get(head)
        if values is not None and not np.array_equal(
            values[rows], values[first], equal_nan=values.dtype.kind == "f"
        ):
            raise MienError(
                f"expected one target of the head {head} for each recording of {dataset.folder}, "
                "got frames of a recording with different ones: read it with a recipe or a model "
                "of single faces"
            )


def clip_rows(starts: IntArray, counts: IntArray, offsets: IntArray, clips: Clips) -> IntArray:
    """Return the rows ``(n, length)`` of clips that start ``offsets`` rows into recordings."""
    within = offsets[:, None] + np.arange(clips.length) * clips.stride
    rows: IntArray = starts[:, None] + np.minimum(within, counts[:, None] - 1)
    return rows


def even_clips(videos: Videos, clips: Clips) -> tuple[IntArray, IntArray]:
    """Return the clips for evaluation: rows ``(n, length)``, and their recordings ``(n,)``.

    Each recording has ``per_video`` clips, evenly spaced from start to end; fewer if it is short.
    """
    owners, offsets = [], []
    for number, count in enumerate(videos.counts.tolist()):
        starts = np.unique(np.linspace(0, max(0, count - clips.span), clips.per_video).astype(int))
        owners += [number] * len(starts)
        offsets += starts.tolist()
    owner = np.array(owners, np.int64)
    rows = clip_rows(videos.starts[owner], videos.counts[owner], np.array(offsets, np.int64), clips)
    return rows, owner


def stratified_batches(
    scores: NDArray[np.floating], batch_size: int, *, seed: int, epoch: int, passes: int = 1
) -> list[IntArray]:
    """Return batches of indices of recordings, each with scores from the whole scale.

    A pass has the fewest batches of at most ``batch_size`` that contain every recording once. The
    recordings are ordered by score and cut into strata of as many as there are batches. Each batch
    takes one of each stratum, so that it has pairs of close and of distant scores. The sizes of
    the batches of a pass differ by at most one, as a small last batch would have few scores.

    >>> batches = stratified_batches(np.arange(10.0), 4, seed=0, epoch=0)
    >>> sorted(len(batch) for batch in batches)
    [3, 3, 4]
    """
    generator = np.random.default_rng((seed, epoch))
    turns = max(1, -(-len(scores) // batch_size))
    batches: list[IntArray] = []
    for _ in range(passes):
        order = generator.permutation(len(scores))
        order = order[np.argsort(scores[order], kind="stable")]  # equal scores in random order
        strata = np.split(order, range(turns, len(order), turns))
        takers = [generator.permutation(turns)[: len(stratum)] for stratum in strata]
        owner, member = np.concatenate(takers), np.concatenate(strata)
        batches += [np.sort(member[owner == turn]).astype(np.int64) for turn in range(turns)]
    return batches


def random_offsets(counts: IntArray, clips: Clips, generator: np.random.Generator) -> IntArray:
    """Draw the start of a clip of each recording, anywhere that it fits."""
    return generator.integers(0, np.maximum(1, counts - clips.span + 1)).astype(np.int64)
