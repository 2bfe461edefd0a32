"""From the evaluations of several models on the same rows to the content of ``compare.json``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.metrics import classification as metrics
from mien.metrics.classification import FloatArray, IntArray
from mien.metrics.geometry import effective_rank, spread
from mien.reports import plots
from mien.reports.report import require_train_extra, write_documents
from mien.schema import MienError
from mien.statistics.arrays import Evaluation
from mien.statistics.bootstrap import FEW_CLUSTERS, Bootstrap, Interval, intervals
from mien.statistics.paired import (
    FEWEST_SEEDS,
    combined,
    holm,
    mcnemar,
    seed_differences,
    seed_test,
    verdict,
)
from mien.statistics.scores import LEVEL, draw_affect, draw_scores, scores_of

DECIDES = "accuracy"
"""The metric that the word of a comparison is about."""
AFFECT_COMPARED = {
    "mean_ccc": ("mean", "ccc"),
    "valence_ccc": ("valence", "ccc"),
    "arousal_ccc": ("arousal", "ccc"),
}
"""The metrics of valence and arousal in a comparison; more of each is better."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Assessed:
    """What is kept of one model's evaluation: numbers per row and per draw, no embedding.

    ``truth`` and ``predictions`` are ``(n,)``, of the rows with a target. ``plane`` is what
    :func:`mien.reports.plots.project` gives, or None. ``shape`` holds ``effective_rank`` and
    ``spread`` where there is an embedding. ``affect`` are the draws of the metrics of valence and
    arousal over the rows whose targets are ``affect_truth`` ``(r, 2)``; both None without any.
    """

    name: str
    seed: int | None
    truth: IntArray
    predictions: IntArray
    drawn: Bootstrap[Hashable]
    scores: Mapping[Hashable, Interval]
    shape: Mapping[str, float]
    plane: tuple[FloatArray, IntArray, str] | None
    affect: Bootstrap[tuple[str, str]] | None = None
    affect_truth: NDArray[np.floating[Any]] | None = None


@dataclass(frozen=True, eq=False)
class Entry:
    """One side of a comparison: a model, or runs of one recipe that differ in their seed."""

    label: str
    members: Sequence[Assessed]


def assess(
    evaluation: Evaluation,
    name: str,
    *,
    run_seed: int | None = None,
    plane: bool = True,
    seed: int = 0,
    draws: int = 1000,
) -> Assessed:
    """Measure one model. ``run_seed`` is the seed it was trained with, where known.

    ``plane`` projects the embedding for the page's map. Raises :class:`MienError` where no row
    has a target.
    """
    require_train_extra()
    targets = evaluation.targets
    kept = np.flatnonzero(targets >= 0)
    if kept.size == 0:
        raise MienError(
            f"expected rows with a target in split {evaluation.split!r}, got none of "
            f"{targets.size} by the rule {evaluation.rule!r}: name another split or rule"
        )
    drawn = draw_scores(evaluation, targets, seed=seed, draws=draws)
    own = None if evaluation.embeddings is None else evaluation.embeddings[kept]
    rated, known = evaluation.rated, evaluation.valence_arousal_targets
    return Assessed(
        name=name,
        seed=run_seed,
        truth=targets[kept],
        predictions=evaluation.probabilities[kept].argmax(1),
        drawn=drawn,
        scores=scores_of(drawn, evaluation, targets),
        shape={} if own is None else {"effective_rank": effective_rank(own), "spread": spread(own)},
        plane=plots.project(own, seed=seed)
        if plane and own is not None and kept.size >= plots.FEWEST_FOR_MAP
        else None,
        affect=draw_affect(evaluation, seed=seed, draws=draws) if rated.size else None,
        affect_truth=known[rated] if known is not None and rated.size else None,
    )


def compare(entries: Sequence[Entry], rows: Evaluation) -> dict[str, Any]:
    """Compute the content of ``compare.json``: every entry, and each against the first.

    ``rows`` is the evaluation of any of the models; of it only what they share is used (label
    space, split, subjects, reasons, provenance, warnings). Raises ``ValueError`` for fewer than two
    entries or for models that were assessed on other rows.
    """
    if len(entries) < 2:
        raise ValueError(f"expected at least two entries, got {len(entries)}")
    names = rows.label_space.names
    first, members = entries[0], [member for entry in entries for member in entry.members]
    rated = next((m.affect_truth for m in members if m.affect_truth is not None), None)
    for member in members:
        alike = np.array_equal(member.truth, members[0].truth)
        if rated is not None and member.affect_truth is not None:
            alike = alike and np.array_equal(member.affect_truth, rated)
        if not alike:
            raise ValueError(f"expected {member.name} on the rows of {members[0].name}")
    kept = np.flatnonzero(rows.targets >= 0)
    numbers = rows.clusters(kept)
    clusters = None if numbers is None else len(np.unique(numbers))
    found = [_compared(first, entry, len(names), clusters) for entry in entries[1:]]
    tested = [entry for entry in found if entry["test"]["p"] is not None]
    adjusted = holm([entry["test"]["p"] for entry in tested])
    for entry, p in zip(tested, adjusted, strict=True):
        entry["test"]["p_holm"] = p
    for entry in found:
        entry["verdict"] = _word(entry)
    design = first.members[0].drawn.design
    return {
        "split": rows.split,
        "n": int(kept.size),
        "rated": 0 if rated is None else len(rated),
        "label_space": {"name": rows.label_space.name, "names": list(names)},
        "rule": rows.rule,
        "decided_by": DECIDES,
        "clustered_by": None if clusters is None else "subject",
        "clusters": clusters,
        "intervals": {"level": LEVEL, "draws": design.draws, "seed": design.seed},
        "entries": [
            _entry(entry, letter_of(index), len(names)) for index, entry in enumerate(entries)
        ],
        "comparisons": [
            {"entry": letter_of(index), "to": letter_of(0), **entry}
            for index, entry in enumerate(found, 1)
        ],
        "left_out": {reason: count for reason, count in rows.left_out.items() if count},
        "provenance": dict(rows.provenance),
        "warnings": [*rows.warnings, *_few(clusters)],
    }


def write_comparison(
    entries: Sequence[Entry], document: Mapping[str, Any], folder: str | Path
) -> Path:
    """Write ``compare.json`` and ``compare.html`` into ``folder`` and return the page's path.

    ``document`` is what :func:`compare` made of ``entries``; the maps come from these.
    """
    from mien.reports.comparison_page import render_comparison

    planes = [entry.members[0].plane for entry in entries]
    page = render_comparison(document, planes, entries[0].members[0].truth)
    return write_documents(folder, "compare", document, page)


def letter_of(index: int) -> str:
    """A, B, C ... of the entries, then A1, B1 ..."""
    return chr(ord("A") + index % 26) + (str(index // 26) if index >= 26 else "")


def _entry(entry: Entry, letter: str, classes: int) -> dict[str, Any]:
    scores: dict[Hashable, Interval] = dict(entry.members[0].scores)
    if len(entry.members) > 1:
        scores |= intervals(combined([member.drawn for member in entry.members]), level=LEVEL)
        mean = float(np.mean([member.scores["ece"].value for member in entry.members]))
        scores["ece"] = Interval(mean, reason=entry.members[0].scores["ece"].reason)
    affect = _affect_draws(entry.members)
    return {
        "letter": letter,
        "label": entry.label,
        "metrics": _plain(scores),
        "valence_arousal": _affect(intervals(combined(affect), level=LEVEL)) if affect else None,
        "confusion": _mean_confusion(entry.members, classes).tolist(),
        "members": [
            {"model": member.name, "seed": member.seed, "metrics": _plain(member.scores)}
            | {"embedding": dict(member.shape)}
            for member in entry.members
        ],
    }


def _compared(first: Entry, other: Entry, classes: int, clusters: int | None) -> dict[str, Any]:
    pairs, how = _pairs(first, other)
    ours = [mine for mine, _ in pairs] or list(other.members)
    theirs = [yours for _, yours in pairs] or list(first.members)
    found = _differences([m.drawn for m in ours], [m.drawn for m in theirs], paired=bool(pairs))
    our_affect, their_affect = _affect_draws(ours), _affect_draws(theirs)
    affect = None
    if our_affect and their_affect:
        affect = _affect(_differences(our_affect, their_affect, paired=bool(pairs)))
    # Models against models; without pairs every run of one against every run of the other.
    crossed = pairs or [(own, base) for own in ours for base in theirs]
    tests = [
        mcnemar(own.predictions == own.truth, base.predictions == base.truth)
        for own, base in crossed
    ]
    test: dict[str, Any] = {"name": None, "p": None, "p_holm": None}
    if len(pairs) == 1:
        test |= {"name": "McNemar's exact test", "p": tests[0].p}
    elif pairs:
        decisive = ([run.drawn.values[DECIDES] for run in side] for side in (ours, theirs))
        test |= {"name": "paired t-test over seeds", "p": seed_test(*decisive)}
    if len(pairs) == 1 and clusters is not None:
        how.append(
            "McNemar's test takes rows for independent ones: rows of one subject make its p too "
            "small, so the interval over subjects has to agree"
        )
    change = _mean_confusion(ours, classes) - _mean_confusion(theirs, classes)
    return {
        "seeds": [mine.seed for mine, _ in pairs] if len(pairs) >= FEWEST_SEEDS else [],
        "metrics": {name: entry for name, entry in found.items() if isinstance(name, str)},
        "valence_arousal": affect,
        "test": test,
        "rows": {
            "only_this_right": float(np.mean([result.only_a for result in tests])),
            "only_first_right": float(np.mean([result.only_b for result in tests])),
        },
        "confusion_change": change.tolist(),
        "notes": how,
    }


def _differences(
    ours: Sequence[Bootstrap[Key]], theirs: Sequence[Bootstrap[Key]], *, paired: bool
) -> dict[Key, dict[str, Any]]:
    """The differences of all statistics; over seeds too where the runs are ``paired`` in order."""
    found: dict[Key, dict[str, Any]] = {}
    for name, over_faces in intervals(combined(ours, theirs), level=LEVEL).items():
        seeds = None
        if paired and len(ours) >= FEWEST_SEEDS:
            mine, yours = ([run.values[name] for run in side] for side in (ours, theirs))
            if np.isfinite([mine, yours]).all():
                seeds = seed_differences(mine, yours, level=LEVEL)
        found[name] = {
            "over_faces": over_faces.as_dict(),
            "over_seeds": None if seeds is None else seeds.as_dict(),
        }
    return found


def _affect_draws(members: Sequence[Assessed]) -> list[Bootstrap[tuple[str, str]]]:
    """Those of all runs, or none where a run gives no valence and arousal."""
    found = [member.affect for member in members if member.affect is not None]
    return found if len(found) == len(members) else []


def _affect(found: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """What a comparison shows of valence and arousal, from all of their metrics."""
    shown = {name: found[key] for name, key in AFFECT_COMPARED.items()}
    return {
        name: entry.as_dict() if isinstance(entry, Interval) else entry
        for name, entry in shown.items()
    }


def _pairs(first: Entry, other: Entry) -> tuple[list[tuple[Assessed, Assessed]], list[str]]:
    """Which runs are held against each other, the other's first, and what to know of that."""
    luck = "the luck of the seed is not in the interval"
    if len(first.members) == len(other.members) == 1:
        return [(other.members[0], first.members[0])], [f"one run each: {luck}"]
    if len(first.members) == 1:
        note = _one_against_seeds(first)
        return [(member, first.members[0]) for member in other.members], [note]
    if len(other.members) == 1:
        note = _one_against_seeds(other)
        return [(other.members[0], member) for member in first.members], [note]
    by_seed = {member.seed: member for member in first.members}
    pairs = [
        (member, by_seed[member.seed])
        for member in sorted(other.members, key=lambda member: member.seed or 0)
        if member.seed in by_seed
    ]
    if not pairs:
        return [], [
            "no seed is in both, so nothing pairs the runs and no test is made: train both with "
            "the same seeds"
        ]
    notes = []
    alone = len(first.members) + len(other.members) - 2 * len(pairs)
    if alone:
        notes.append(
            f"{alone} run{'s' * (alone > 1)} whose seed only one side has "
            f"{'are' if alone > 1 else 'is'} not in the difference"
        )
    return pairs, notes + ([f"one seed in common: {luck}"] if len(pairs) == 1 else [])


def _one_against_seeds(entry: Entry) -> str:
    return (
        f"the one run of {entry.label} is held against each seed, so its own luck stays in every "
        "difference"
    )


def _word(comparison: Mapping[str, Any]) -> str:
    found = comparison["metrics"][DECIDES]
    evidence = [Interval(**found["over_faces"])]
    if found["over_seeds"]:
        evidence.append(Interval(**found["over_seeds"]))
    return verdict(evidence, comparison["test"]["p_holm"], level=LEVEL)


def _mean_confusion(members: Sequence[Assessed], classes: int) -> FloatArray:
    found = [metrics.confusion_matrix(m.truth, m.predictions, classes) for m in members]
    mean: FloatArray = np.mean(found, axis=0)
    return mean


def _plain(scores: Mapping[Hashable, Interval]) -> dict[str, Any]:
    return {name: value.as_dict() for name, value in scores.items() if isinstance(name, str)}


def _few(clusters: int | None) -> list[str]:
    if clusters is None or clusters >= FEW_CLUSTERS:
        return []
    return [
        f"The rows come from {clusters} subject{'s' * (clusters != 1)}: intervals from fewer than "
        f"{FEW_CLUSTERS} are too narrow or missing."
    ]
