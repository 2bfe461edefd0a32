"""Clips of the recordings of a video dataset: which rows, and which clips share a batch.

Everything is a function of (seed, epoch): same numbers, same clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mien.data.dataset import Dataset
from mien.schema import MienError

IntArray = NDArray[np.int64]


class Clips(BaseModel):
    """How clips are cut: ``length`` frames, every ``stride``-th row of a recording.

    ``per_video`` clips of a recording are seen in an epoch, and by an evaluation; a recording
    that is shorter than a clip is filled up by its last frame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(default=16, ge=1, le=512)
    stride: int = Field(default=2, ge=1, le=100)
    per_video: int = Field(default=4, ge=1, le=1000)

    @property
    def span(self) -> int:
        """Rows from the first to the last frame of a clip."""
        return (self.length - 1) * self.stride + 1


@dataclass(frozen=True, eq=False)
class Videos:
    """V recordings of a split, in the order of their rows.

    ``starts`` and ``counts`` ``(V,)`` say which rows of the dataset are a recording's frames,
    ``scores`` ``(V,)`` float32 is NaN where unknown, ``subjects`` "" likewise.
    """

    names: NDArray[np.str_]
    subjects: NDArray[np.str_]
    scores: NDArray[np.float32]
    starts: IntArray
    counts: IntArray

    def __len__(self) -> int:
        return len(self.names)

    def of(self, chosen: NDArray[np.bool_] | IntArray) -> Videos:
        """Some of them."""
        return Videos(
            self.names[chosen],
            self.subjects[chosen],
            self.scores[chosen],
            self.starts[chosen],
            self.counts[chosen],
        )

    @property
    def rows(self) -> IntArray:
        """All of their rows, ascending."""
        parts = [np.arange(a, a + n) for a, n in zip(self.starts, self.counts, strict=True)]
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def videos_of(dataset: Dataset, split: str) -> Videos:
    """The recordings of a split.

    Raises :class:`MienError` for a split without any, for a dataset that is no video corpus, and
    where the rows of a recording are scattered or disagree on their subject, split or score.
    """
    rows = dataset.split_indices(split)
    names = np.array([name or "" for name in dataset.column("video")], str)[rows]
    if (names == "").any():
        raise MienError(
            f"expected frames of recordings in {dataset.folder}, got rows without a video: prepare "
            "a video corpus, or make one with mien synth --videos"
        )
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    counts = np.diff(np.r_[first, len(names)])
    starts = rows[first]
    subjects = np.array([name or "" for name in dataset.column("subject")], str)[rows]
    scores = dataset.severity[rows]
    whole = np.all(
        rows == np.repeat(starts, counts) + np.arange(len(rows)) - np.repeat(first, counts)
    )
    same = all(
        np.array_equal(values, np.repeat(values[first], counts), equal_nan=values.dtype.kind == "f")
        for values in (subjects, scores)
    )
    if len(set(names[first])) != len(first) or not whole or not same:
        raise MienError(
            f"expected the rows of each recording of {dataset.folder} together, with one split, "
            "subject and score, got others: prepare it again"
        )
    return Videos(names[first], subjects[first], scores[first], starts, counts.astype(np.int64))


def clip_rows(starts: IntArray, counts: IntArray, offsets: IntArray, clips: Clips) -> IntArray:
    """Rows ``(n, length)`` of n clips that begin ``offsets`` rows into their recordings."""
    within = offsets[:, None] + np.arange(clips.length) * clips.stride
    rows: IntArray = starts[:, None] + np.minimum(within, counts[:, None] - 1)
    return rows


def even_clips(videos: Videos, clips: Clips) -> tuple[IntArray, IntArray]:
    """The clips that a recording is judged by: rows ``(n, length)``, and whose ``(n,)``.

    ``per_video`` a recording, evenly from its beginning to its end; fewer where it is short.
    """
    owners, offsets = [], []
    for number, count in enumerate(videos.counts.tolist()):
        places = np.unique(np.linspace(0, max(0, count - clips.span), clips.per_video).astype(int))
        owners += [number] * len(places)
        offsets += places.tolist()
    owner = np.array(owners, np.int64)
    rows = clip_rows(videos.starts[owner], videos.counts[owner], np.array(offsets, np.int64), clips)
    return rows, owner


def stratified_batches(
    scores: NDArray[np.floating], batch_size: int, *, seed: int, epoch: int, passes: int = 1
) -> list[IntArray]:
    """Batches of numbers of recordings, each of different ones from all over the scale.

    The recordings, ordered by score, are cut into ``batch_size`` strata, and a batch takes one of
    each, so that it holds pairs of near and of far scores. Every recording comes ``passes`` times;
    fewer recordings than ``batch_size`` make one batch a pass.
    """
    generator = np.random.default_rng((seed, epoch))
    batches: list[IntArray] = []
    for _ in range(passes):
        order = generator.permutation(len(scores))
        order = order[np.argsort(scores[order], kind="stable")]  # equal scores in random order
        strata = [generator.permutation(part) for part in _parts(order, batch_size)]
        for turn in range(max(map(len, strata))):
            batch = [part[turn] for part in strata if turn < len(part)]
            batches.append(np.sort(np.array(batch, np.int64)))
    # The last batch of a pass may lack some strata; one recording alone has no pair to teach.
    return [batch for batch in batches if len(batch) > 1] or batches


def random_offsets(counts: IntArray, clips: Clips, generator: np.random.Generator) -> IntArray:
    """Where a clip of each recording begins: anywhere that it fits."""
    return generator.integers(0, np.maximum(1, counts - clips.span + 1)).astype(np.int64)


def _parts(order: IntArray, count: int) -> Sequence[IntArray]:
    return [part for part in np.array_split(order, min(count, len(order))) if len(part)]
