"""What an audit says: findings, which have to be looked into, and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np

from mien.audit.hashing import MOST_PARTNERS
from mien.audit.labels import MixedUp
from mien.audit.rows import IntArray, Names, Rows, class_counts, rows_without, shared_names
from mien.reports.tables import plural

SCARCE = 0.02
"""The share of a part under which a class is called scarce (our choice)."""

NO_EMBEDDINGS = (
    "other crops of one photo were not looked for, which takes a model that reads these crops: "
    "--model fer, for example"
)

Finding = dict[str, Any]


def finding(kind: str, count: int, sentence: str) -> Finding:
    """One finding or note: its kind, how often, and a sentence."""
    return {"kind": kind, "count": count, "sentence": sentence}


def equal_pair_counts(groups: Sequence[IntArray], rows: Rows) -> dict[str, int]:
    """Pairs of equal pixels by the two parts that they are in, different ones first."""
    counts: Counter[tuple[int, int]] = Counter()
    for group in groups:
        by_part = Counter(rows.parts[group].tolist())
        for first, second in combinations_with_replacement(sorted(by_part), 2):
            n, m = by_part[first], by_part[second]
            counts[first, second] += n * (n - 1) // 2 if first == second else n * m
    return _named(counts, rows)


def near_pair_counts(pairs: IntArray, rows: Rows) -> dict[str, int]:
    """Pairs of near duplicates by the two parts that they are in, different ones first."""
    parts = np.sort(rows.parts[pairs], axis=1)
    return _named(Counter(map(tuple, parts.tolist())), rows)


def _named(counts: Mapping[Any, int], rows: Rows) -> dict[str, int]:
    names = rows.part_names
    return {
        names[first] if first == second else f"{names[first]} and {names[second]}": count
        for (first, second), count in sorted(
            counts.items(), key=lambda item: (item[0][0] == item[0][1], item[0])
        )
        if count
    }


_ALIKE = {
    "equal": "of the same pixels",
    "near": "that hardly differ",
    "mirrored": "one of which hardly differs from the other's mirror image",
    "recropped": "that show one photo, cut differently",
}


def duplicate_findings(kind: str, counts: Mapping[str, int], rows: Rows) -> list[Finding]:
    """A finding for each part, and for each two parts, with such pairs."""
    findings = []
    for where, count in counts.items():
        across = where not in rows.part_names
        scope = "across" if across else "within"
        place = f"one crop in each of {where}" if across else f"both crops in {where}"
        sentence = f"{plural(count, 'pair')} of crops {_ALIKE[kind]}, {place}"
        findings.append(finding(f"{kind} {scope} splits", count, sentence))
    return findings


def contradictions(groups: Sequence[IntArray], pairs: IntArray, rows: Rows) -> list[list[int]]:
    """Pairs of duplicates with different labels, equal ones first; of a group, one per label."""
    result = []
    for group in groups:
        first_of = {rows.labels[row]: int(row) for row in group[::-1] if rows.labels[row]}
        result += [sorted(pair) for pair in combinations(sorted(first_of.values()), 2)]
    for first, second in pairs.tolist():
        labels = rows.labels[first], rows.labels[second]
        if all(labels) and labels[0] != labels[1]:
            result.append([first, second])
    return result


def contradiction_findings(pairs: Sequence[Sequence[int]]) -> list[Finding]:
    """That duplicates have different labels."""
    if not pairs:
        return []
    sentence = f"{plural(len(pairs), 'pair')} of duplicates with different labels"
    return [finding("contradicting labels", len(pairs), sentence)]


SHARED = {
    "subjects": ("subject", "subjects"),
    "videos": ("video", "videos"),
    "versions": ("picture by file names", "pictures by file names"),
    "series": ("series of files", "series of files"),
}
"""What parts can share, and what one and several of it are called."""


def shared_findings(rows: Rows, keys: Mapping[str, Names]) -> tuple[list[Finding], dict[str, Any]]:
    """What parts share of each of :data:`SHARED`, as findings and in full; ``keys`` ``(N,)``."""
    findings, listed = [], {}
    for kind, (one, several) in SHARED.items():
        listed[kind] = shared_names(rows, keys[kind])
        by_parts = Counter(" and ".join(each["rows"]) for each in listed[kind])
        for where, count in by_parts.items():
            noun = f"{count:,} {one if count == 1 else several}"
            verb = "is" if count == 1 else "are"
            findings.append(finding(f"shared {kind}", count, f"{noun} {verb} in {where}"))
    return findings, listed


def recipe_findings(rows: Rows) -> list[Finding]:
    """Datasets whose crops were cut differently, and datasets that were cut in several ways."""
    findings = []
    first = rows.datasets[0]
    for number, dataset in enumerate(rows.datasets):
        if not dataset.preprocessing.cuts_like(first.preprocessing):
            differences = dataset.preprocessing.differences(first.preprocessing)
            sentence = (
                f"the crops of {rows.names[number]} are of another recipe than those of "
                f"{rows.names[0]}: {differences}"
            )
            findings.append(finding("crops of another recipe", len(dataset), sentence))
        ways = Counter(dataset.column("alignment").tolist()).most_common()
        if len(ways) > 1:
            listed = ", ".join(f"{count:,} by {name}" for name, count in ways)
            sentence = f"the crops of {rows.names[number]} were cut in several ways: {listed}"
            others = len(dataset) - ways[0][1]
            findings.append(finding("crops of another recipe", others, sentence))
    return findings


def order_findings(mixed: Sequence[MixedUp], name: str) -> list[Finding]:
    """Classes of a dataset whose labels fit better under each other's names."""
    return [finding("label order", each.n, f"labels of {name}: {each.sentence}") for each in mixed]


def blank_notes(count: int) -> list[Finding]:
    """That crops show nothing."""
    if not count:
        return []
    return [finding("blank crops", count, f"{plural(count, 'crop')} of one gray level")]


def balance_notes(counts: Mapping[str, Mapping[str, int]]) -> list[Finding]:
    """Classes that a part lacks or hardly has."""
    notes = []
    for part, classes in counts.items():
        total = sum(classes.values())
        if not total:
            continue
        if missing := [name for name, count in classes.items() if not count]:
            sentence = f"{part} has no row of class {', '.join(missing)}"
            notes.append(finding("missing classes", len(missing), sentence))
        scarce = {name: count for name, count in classes.items() if 0 < count < SCARCE * total}
        if scarce:
            listed = ", ".join(f"{name} {count:,}" for name, count in scarce.items())
            sentence = (
                f"{part} has less than {100 * SCARCE:g} % of its {total:,} labels in each of "
                f"these classes: {listed}"
            )
            notes.append(finding("imbalance", len(scarce), sentence))
    return notes


def row_notes(rows: Rows) -> list[Finding]:
    """Rows in which no detector has seen a face, without landmarks or label, and left-out ones."""
    notes = []
    for number, (name, dataset) in enumerate(zip(rows.names, rows.datasets, strict=True)):
        lacking = rows_without(dataset)
        unlabeled = int((rows.labels[rows.owners == number] == "").sum())
        for what, count, sentence in (
            ("landmarks", lacking["landmarks"], "have no landmarks"),
            ("faces", lacking["faces"], "were not looked at by a detector, or it saw no face"),
            ("expressions", unlabeled, "have no label of an expression"),
        ):
            if count:
                text = f"{count:,} of {len(dataset):,} rows of {name} {sentence}"
                notes.append(finding(f"rows without {what}", count, text))
        for reason, count in dataset.info.get("left_out", {}).items():
            text = f"{plural(count, 'input')} left out of {name} when it was prepared: {reason}"
            notes.append(finding("left out", count, text))
    return notes


def crowd_notes(count: int) -> list[Finding]:
    """That not all near duplicates of some crops are listed."""
    if not count:
        return []
    sentence = (
        f"{plural(count, 'crop')} with {MOST_PARTNERS} near duplicates or more, of which no more "
        "are counted"
    )
    return [finding("crowds", count, sentence)]


def all_notes(
    rows: Rows, blank: int, crowded: int
) -> tuple[list[Finding], dict[str, dict[str, int]]]:
    """The notes that need no model, and the rows by part and class."""
    counts = class_counts(rows)
    first = [*blank_notes(blank), *crowd_notes(crowded)]
    return [*first, *balance_notes(counts), *row_notes(rows)], counts
