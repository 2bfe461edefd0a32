"""What the readers of recordings with a depression score share: scores, tables and splits."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from mien.corpora.items import (
    LeftOut,
    Options,
    Reading,
    VideoItem,
    fingerprint_of,
    stamp,
)
from mien.corpora.splitting import cut, rank
from mien.data.dataset import SEVERITY_FIELD
from mien.labels import LABEL_SPACES
from mien.scales import Scale
from mien.schema import MienError

FIELDS = (
    SEVERITY_FIELD,
    pa.field("task", pa.string()),
    pa.field("session", pa.string()),
    pa.field("track", pa.int32()),
)
SIGNED_TERMS = (
    "under a signed agreement with its authors: research only, not to be redistributed, no person "
    "to be shown; mien holds no copy and fetches none"
)

Entry = VideoItem | LeftOut


def scored(item: VideoItem, labels: Sequence[Path], scale: Scale) -> Entry:
    """The recording with the score of its label files, which must agree."""
    if not labels:
        return LeftOut(item.id, item.source, "no label file")
    try:
        scores = {score_of(label.read_text("utf-8-sig").strip(), scale) for label in labels}
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return LeftOut(item.id, item.source, f"label unreadable: {error}")
    if len(scores) > 1:
        told = " and ".join(f"{score:g}" for score in sorted(scores))
        return LeftOut(item.id, item.source, f"label files disagree: {told}")
    return replace(item, severity=scores.pop())


def check_task(asked: str | None, found: set[str], name: str) -> None:
    """Raise :class:`MienError` for a task that no recording has."""
    if asked and asked not in found:
        there = ", ".join(sorted(found)) or "none"
        raise MienError(f"expected a task of {name} ({there}), got {asked!r}: name one of them")


def score_of(text: str, scale: Scale) -> float:
    """A score of the scale; ``ValueError`` that says what it is not."""
    if not text:
        raise ValueError("expected a number, got none")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text[:20]!r}") from None
    if not 0 <= value <= scale.top:
        raise ValueError(f"expected a score of {scale.name} in [0, {scale.top}], got {value:g}")
    return value


def rows_of(path: Path, needed: set[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV; names of columns are in lower case, no cell is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, restval="")
            names = {name.strip().lower() for name in reader.fieldnames or []}
            if not needed <= names:
                raise MienError(
                    f"expected the columns {' and '.join(sorted(needed))} in {path}, got "
                    f"{', '.join(sorted(names)) or 'none'}: name them so"
                )
            for row in reader:
                yield {key.strip().lower(): value.strip() for key, value in row.items() if key}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MienError(f"expected a table as UTF-8 text at {path}, got {error}") from None


def reading_of(
    found: Sequence[Entry],
    options: Options,
    scale: Scale,
    source: Path,
    *,
    theirs: str = "official",
) -> Reading:
    """The reading of recordings, with new splits by subject where the options ask for them.

    ``theirs`` says in the notes whose splits they are otherwise.
    """
    notes: list[str] = []
    entries = list(found)
    if options.disjoint:
        entries = _disjoint(entries, options.seed)
        notes.append(f"splits made by subject, seed {options.seed}: no subject is in two")
    else:
        shared = _shared(entries)
        notes.append(
            f"{theirs} splits, in which {shared} subjects are in more than one"
            if shared
            else f"{theirs} splits, in which no subject is in two"
        )
    rate = "all" if options.rate is None else f"at most {options.rate:g}"
    notes.append(f"{rate} frames a second, of the person seen for longest")
    parts = [str(source)]
    parts += [
        f"{entry.id} {stamp(entry.path)} {entry.split} {entry.severity}"
        if isinstance(entry, VideoItem)
        else f"{entry.id} {entry.reason}"
        for entry in entries
    ]
    return Reading(
        LABEL_SPACES["ferplus"],
        lambda: iter(entries),
        fingerprint_of(parts),
        len(entries),
        fields=FIELDS,
        notes=tuple(notes),
        scale=scale,
    )


def _disjoint(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """Three of five subjects to train, one to valid, one to test, by a hash of their names."""
    people = {entry.subject or entry.id for entry in entries if isinstance(entry, VideoItem)}
    ranks = {person: rank(seed, person) for person in people}
    cuts = cut(ranks.values(), valid=0.2, test=0.2)
    return [
        replace(entry, split=cuts.split(ranks[entry.subject or entry.id]))
        if isinstance(entry, VideoItem)
        else entry
        for entry in entries
    ]


def _shared(entries: Sequence[Entry]) -> int:
    pairs = {(e.subject, e.split) for e in entries if isinstance(e, VideoItem) and e.subject}
    return sum(count > 1 for count in Counter(subject for subject, _ in pairs).values())
