"""From the evaluations of several models of severity to the content of ``compare.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.metrics.classification import FloatArray
from mien.reports.report import require_train_extra, write_documents
from mien.scales import RESEARCH_ONLY
from mien.schema import MienError
from mien.statistics.baselines import COMPARED, MEASURES, guess, measure, word
from mien.statistics.paired import ONE_SEED
from mien.statistics.paired_recordings import paired_severity_differences
from mien.statistics.recordings import SeverityEvaluation
from mien.statistics.scores import LEVEL
from mien.statistics.subjects import few_warnings, persons, sharing_warnings


class Rated(NamedTuple):
    """What one run or model says of the recordings that all of a comparison share."""

    name: str
    seed: int | None
    evaluation: SeverityEvaluation


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison: a model, or runs of one recipe that differ in their seed."""

    label: str
    members: Sequence[Rated]


def compare_severity(
    sides: Sequence[Side],
    *,
    provenance: Mapping[str, str],
    warnings: Sequence[str] = (),
    seed: int = 0,
    draws: int = 1000,
) -> dict[str, Any]:
    """Compute the content of ``compare.json``: each side against the first, on one split.

    Differences are paired over recordings by subject, and crossed with the seeds where both sides
    have several (:func:`~mien.statistics.paired_recordings.paired_severity_differences`); beside
    those of all recordings stand those of subjects that training has not seen. :class:`MienError`
    where no recording has a score and a prediction of every model.
    """
    require_train_extra()
    first = sides[0].members[0].evaluation
    evaluations = [member.evaluation for side in sides for member in side.members]
    videos = [own.recordings.videos.tolist() for own in evaluations]
    if any(own != videos[0] for own in videos):
        raise ValueError("expected evaluations of the same recordings in the same order")
    kept = np.logical_and.reduce([own.recordings.known for own in evaluations])
    if not kept.any():
        raise MienError(
            f"expected recordings with a score in split {first.split!r}, got none of "
            f"{len(first.recordings)}: name another split"
        )
    shared = first.recordings.take(kept)
    groups = persons(shared, first.training)
    clusters = None if shared.clusters is None else len(np.unique(shared.clusters))
    order = {"seed": seed, "draws": draws}
    several = len(sides) > 2
    return {
        "task": "severity",
        "use": RESEARCH_ONLY,
        "split": first.split,
        "scale": first.scale.model_dump(mode="json"),
        "n": len(shared),
        "subjects": clusters,
        "unseen": int(groups["unseen"].sum()),
        "entries": [
            {
                "letter": chr(ord("A") + index),
                "label": side.label,
                "members": [
                    {
                        "model": member.name,
                        "seed": member.seed,
                        "metrics": _metrics(member.evaluation, kept, **order),
                    }
                    for member in side.members
                ],
            }
            for index, side in enumerate(sides)
        ],
        "comparisons": [
            {"entry": chr(ord("A") + index), "to": "A"}
            | _compared(sides[0], side, kept, groups["unseen"], **order)
            for index, side in enumerate(sides[1:], 1)
        ],
        "clustered_by": None if clusters is None else "subject",
        "clusters": clusters,
        "intervals": {"level": LEVEL, "draws": draws, "seed": seed},
        "left_out": int((~kept).sum()),
        "provenance": dict(provenance),
        "warnings": [
            *sharing_warnings(first, shared, groups),
            *warnings,
            *few_warnings(clusters),
            *(["The words are not corrected for several comparisons"] if several else []),
        ],
    }


def write_severity_comparison(document: dict[str, Any], out: str | Path) -> Path:
    """Write ``compare.json`` and ``compare.html`` into ``out`` and return the page's path."""
    from mien.reports.severity_comparison_page import render_severity_comparison

    return write_documents(out, "compare", document, render_severity_comparison(document))


def _metrics(
    evaluation: SeverityEvaluation, kept: NDArray[np.bool_], *, seed: int, draws: int
) -> dict[str, Any]:
    own = guess(evaluation.recordings.take(kept), evaluation.training)
    found = measure(own._replace(by={"model": own.by["model"]}), seed=seed, draws=draws)
    return {name: found[name] for name in MEASURES}


def _compared(
    first: Side,
    other: Side,
    kept: NDArray[np.bool_],
    unseen: NDArray[np.bool_],
    *,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    pairs, notes = _pairs(first, other)
    entry: dict[str, Any] = {
        "seeds": [own.seed for own, _ in pairs] if len(pairs) > 1 else [],
        "differences": {},
        "unseen": {},
        "word": "no difference shown",
        "notes": notes,
    }
    if not pairs:
        return entry
    ours, theirs = (np.stack([_said(pair[side], kept) for pair in pairs]) for side in (0, 1))
    recordings = pairs[0][0].evaluation.recordings.take(kept)
    everyone = np.ones(len(recordings), np.bool_)
    for name, rows in (("differences", everyone), ("unseen", unseen)):
        if not rows.any() or (name == "unseen" and rows.all()):
            continue
        found = paired_severity_differences(
            recordings.scores[rows],
            ours[:, rows],
            theirs[:, rows],
            recordings.subjects[rows],
            seed=seed,
            draws=draws,
        )
        entry[name] = {
            key: found[key].as_dict() | {"word": word(found[key], key)} for key in COMPARED
        }
    return entry | {"word": entry["differences"]["mae"]["word"]}


def _said(member: Rated, kept: NDArray[np.bool_]) -> FloatArray:
    return np.asarray(member.evaluation.recordings.predictions, np.float64)[kept]


def _pairs(first: Side, other: Side) -> tuple[list[tuple[Rated, Rated]], list[str]]:
    """Which runs are held against each other, the other's first, and what to know of that."""
    ours, theirs = list(other.members), list(first.members)
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])], [ONE_SEED]
    if len(ours) == 1 or len(theirs) == 1:
        label = (other if len(ours) == 1 else first).label
        note = f"the one run of {label} is held against each seed: its own luck stays"
        return [(own, base) for own in ours for base in theirs], [note]
    by_seed = {member.seed: member for member in theirs}
    pairs = [(own, by_seed[own.seed]) for own in ours if own.seed in by_seed]
    if not pairs:
        return [], ["no seed is in both, so nothing pairs the runs: train with the same seeds"]
    alone = len(ours) + len(theirs) - 2 * len(pairs)
    notes = [f"runs whose seed only one side has are not in the difference: {alone}"]
    return pairs, notes[: min(1, alone)] + ([ONE_SEED] if len(pairs) == 1 else [])
