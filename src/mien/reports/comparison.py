"""From the evaluations of several models to ``compare.json`` and ``compare.html``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.reports.document import (
    cluster_warnings,
    head_parts,
    require_train_extra,
    write_documents,
)
from mien.reports.evaluation import Evaluation, Unit
from mien.reports.page import render
from mien.reports.sections import SECTIONS, Pairing, Side
from mien.statistics.bootstrap import LEVEL
from mien.statistics.paired import FEWEST_SEEDS
from mien.statistics.subjects import count_subjects


@dataclass(frozen=True, eq=False)
class Member:
    """What is kept of one model's evaluation: what its heads' sections keep, no embedding.

    ``seed`` is the one it was trained with, None where it is unknown.
    """

    name: str
    seed: int | None
    heads: Mapping[str, Any]
    unlabeled: Sequence[str]
    clusters: int | None
    split: str
    unit: Unit


@dataclass(frozen=True, eq=False)
class Entry:
    """One side of a comparison: a model, or runs of one recipe that differ in their seed."""

    label: str
    members: Sequence[Member]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What belongs to a comparison as a whole: provenance, rows left out, and warnings."""

    provenance: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def measure(
    evaluation: Evaluation,
    name: str,
    *,
    run_seed: int | None = None,
    heads: Sequence[str] | None = None,
    plane: bool = True,
    seed: int = 0,
    draws: int = 1000,
) -> Member:
    """Measure one model of a comparison: its ``heads`` (None for all) that rows have targets of.

    ``plane`` projects the embedding for the page's map.
    """
    require_train_extra()
    names = [head for head in evaluation.heads if heads is None or head in heads]
    labeled = [head for head in names if evaluation.heads[head].labeled.any()]
    return Member(
        name=name,
        seed=run_seed,
        heads={
            head: SECTIONS[head].measure(evaluation, plane=plane, seed=seed, draws=draws)
            for head in labeled
        },
        unlabeled=[head for head in names if head not in labeled],
        clusters=count_subjects(evaluation.clusters(evaluation.labeled)) if labeled else None,
        split=evaluation.split,
        unit=evaluation.unit,
    )


def compare(
    entries: Sequence[Entry], context: Context, *, seed: int = 0, draws: int = 1000
) -> dict[str, Any]:
    """Compute the content of ``compare.json``: every entry, and each against the first.

    It covers the heads that all models were measured on; ``warnings`` name the others. Raises
    :class:`MienError` where there is no such head, and ``ValueError`` for fewer than two entries
    or for models that were measured on other rows.
    """
    if len(entries) < 2:
        raise ValueError(f"expected at least two entries, got {len(entries)}")
    members = [member for entry in entries for member in entry.members]
    first = members[0]
    shared, left_out = _shared_heads(members)
    pairings = [
        pair_runs(entries[0], entry, letter_of(index)) for index, entry in enumerate(entries[1:], 1)
    ]
    heads: dict[str, Any] = {}
    warnings: list[str] = []
    for name in shared:
        heads[name], of_head = SECTIONS[name].compare(
            sides_of(entries, name), pairings, seed=seed, draws=draws
        )
        warnings += of_head
    return {
        "split": first.split,
        "unit": first.unit,
        "entries": [
            {
                "letter": letter_of(index),
                "label": entry.label,
                "members": [{"model": m.name, "seed": m.seed} for m in entry.members],
            }
            for index, entry in enumerate(entries)
        ],
        "comparisons": [
            {
                "entry": pairing.entry,
                "to": pairing.to,
                "seeds": list(pairing.seeds) if len(pairing.seeds) >= FEWEST_SEEDS else [],
                "notes": list(pairing.notes),
            }
            for pairing in pairings
        ],
        "heads": heads,
        "clustered_by": None if first.clusters is None else "subject",
        "clusters": first.clusters,
        "intervals": {"level": LEVEL, "draws": draws, "seed": seed},
        "left_out": {reason: count for reason, count in context.left_out.items() if count},
        "provenance": dict(context.provenance),
        "warnings": [
            *warnings,
            *context.warnings,
            *left_out,
            *cluster_warnings(first.clusters, first.unit),
        ],
    }


def write_comparison(
    entries: Sequence[Entry], document: Mapping[str, Any], folder: str | Path
) -> Path:
    """Write ``compare.json`` and ``compare.html`` into ``folder`` and return the page's path.

    ``document`` is what :func:`compare` made of ``entries``; the maps come from these.
    """
    return write_documents(folder, "compare", document, _render(entries, document))


def pair_runs(first: Entry, other: Entry, letter: str) -> Pairing:
    """Which runs of ``other`` are held against which of ``first``, and what to know of that.

    Runs pair up by their seed. A single run is held against every one of the other side.
    """
    luck = "the luck of the seed is not in the interval"
    runs, first_runs = other.members, first.members
    if len(runs) == 1 or len(first_runs) == 1:
        pairs = [(one, two) for one in range(len(runs)) for two in range(len(first_runs))]
        seeds = [
            (runs[one] if len(first_runs) == 1 else first_runs[two]).seed for one, two in pairs
        ]
        note = f"one run each: {luck}"
        if len(pairs) > 1:
            label = (first if len(first_runs) == 1 else other).label
            note = (
                f"the one run of {label} is held against each seed, so its own luck stays in "
                "every difference"
            )
        return Pairing(letter, letter_of(0), pairs, seeds, [note])
    by_seed = {member.seed: number for number, member in enumerate(first_runs)}
    order = sorted(range(len(runs)), key=lambda number: runs[number].seed or 0)
    pairs = [(one, by_seed[runs[one].seed]) for one in order if runs[one].seed in by_seed]
    seeds = [runs[one].seed for one, _ in pairs]
    if not pairs:
        note = (
            "no seed is in both, so nothing pairs the runs and no test is made: train both with "
            "the same seeds"
        )
        return Pairing(letter, letter_of(0), [], [], [note])
    notes = []
    if alone := len(runs) + len(first_runs) - 2 * len(pairs):
        are = "are" if alone > 1 else "is"
        notes.append(
            f"{alone} run{'s' * (alone > 1)} whose seed only one side has {are} not in the "
            "difference"
        )
    if len(pairs) == 1:
        notes.append(f"one seed in common: {luck}")
    return Pairing(letter, letter_of(0), pairs, seeds, notes)


def letter_of(index: int) -> str:
    """A, B, C ... of the entries, then A1, B1 ..."""
    return chr(ord("A") + index % 26) + (str(index // 26) if index >= 26 else "")


def sides_of(entries: Sequence[Entry], head: str) -> list[Side]:
    """What was measured of one head, entry by entry."""
    return [
        Side(letter_of(index), entry.label, [member.heads[head] for member in entry.members])
        for index, entry in enumerate(entries)
    ]


def _shared_heads(members: Sequence[Member]) -> tuple[list[str], list[str]]:
    """The heads that all were measured on, and a sentence for each of the others."""
    offered = list(dict.fromkeys(name for m in members for name in (*m.heads, *m.unlabeled)))
    shared = [name for name in offered if all(name in member.heads for member in members)]
    if not shared:
        listed = "; ".join(f"{m.name} {', '.join((*m.heads, *m.unlabeled))}" for m in members)
        unlabeled = sorted({name for member in members for name in member.unlabeled})
        known = f", and no labels for {', '.join(unlabeled)}" if unlabeled else ""
        raise MienError(
            f"expected models with a head in common that split {members[0].split!r} has labels "
            f"for, got {listed}{known}: compare them apart"
        )
    sentences = []
    for name in offered:
        without = [m.name for m in members if name not in m.heads and name not in m.unlabeled]
        if name not in shared:
            lack = "lack" if len(without) > 1 else "lacks"
            why = f"{', '.join(without)} {lack} it" if without else "no row is labeled for it"
            sentences.append(f"The head {name} is not compared: {why}")
    return shared, sentences


def _render(entries: Sequence[Entry], document: Mapping[str, Any]) -> str:
    """The whole of ``compare.html``."""
    parts = zip(
        head_parts(
            document["heads"],
            tables=lambda section, entry: section.comparison_tables(entry, document),
            verdicts=lambda section, entry: section.verdicts(entry, document),
        ),
        document["heads"].items(),
        strict=True,
    )
    heads = [
        part | {"figures": SECTIONS[name].comparison_figures(entry, sides_of(entries, name))}
        for part, (name, entry) in parts
    ]
    labels = [entry["label"] for entry in document["entries"]]
    title = (
        f"{' and '.join(labels[1:])} against {labels[0]}"
        if len(labels) <= 3
        else f"{len(labels) - 1} models against {labels[0]}"
    )
    letters = {entry["letter"]: entry["label"] for entry in document["entries"]}
    return render("comparison.html", title=title, document=document, heads=heads, labels=letters)
