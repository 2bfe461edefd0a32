"""Scores, tables and splits of the readers of recordings with depression scores."""

from __future__ import annotations

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
from mien.corpora.reading import HAS_SPLITS
from mien.corpora.splitting import cut, rank
from mien.corpora.text_tables import header_of, number_of, rows_by_name
from mien.data.dataset import SEVERITY_FIELD
from mien.errors import MienError
from mien.labels import LABEL_SPACES
from mien.scales import Scale

FIELDS = (
    SEVERITY_FIELD,
    pa.field("task", pa.string()),
    pa.field("session", pa.string()),
    pa.field("track", pa.int32()),
)
SIGNED_LICENSE_TERMS = (
    "Signed agreement with the authors: research only, no redistribution, no person shown. mien "
    "has no copy and downloads none."
)

Entry = VideoItem | LeftOut


def scored(item: VideoItem, labels: Sequence[Path], scale: Scale) -> Entry:
    """Return the recording with the score of its label files, which must agree."""
    if not labels:
        return LeftOut(item.id, item.source, "no label file")
    try:
        scores = {score_of(label.read_text("utf-8-sig").strip(), scale) for label in labels}
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return LeftOut(item.id, item.source, f"label unreadable: {error}")
    if len(scores) > 1:
        text = " and ".join(f"{score:g}" for score in sorted(scores))
        return LeftOut(item.id, item.source, f"label files disagree: {text}")
    return replace(item, severity=scores.pop())


def check_task(task: str | None, tasks: set[str], name: str) -> None:
    """Raise :class:`MienError` for a ``task`` that is not among the ``tasks`` of a corpus."""
    if task and task not in tasks:
        names = ", ".join(sorted(tasks)) or "none"
        raise MienError(f"expected a task of {name} ({names}), got {task!r}: name one of them")


def refuse_scale(scale: str | None, name: str) -> None:
    """Raise :class:`MienError` for a ``scale`` with a corpus that has its own."""
    if scale is not None:
        raise MienError(
            f"expected no --scale for {name}, whose scale is known, got {scale[:40]!r}: leave it "
            "out"
        )


def score_of(text: str, scale: Scale) -> float:
    """Read a score of the scale; raises ``ValueError`` for other text and other numbers."""
    if not text:
        raise ValueError("expected a number, got none")
    try:
        value = number_of(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text[:20]!r}") from None
    if not 0 <= value <= scale.top:
        raise ValueError(f"expected a score of {scale.name} in [0, {scale.top}], got {value:g}")
    return value


def rows_of(path: Path, columns: set[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a table by lower-case column name; missing cells are empty.

    Raises :class:`MienError` where one of ``columns`` is missing.
    """
    names = {name.strip().lower() for name in header_of(path)[0]}
    if not columns <= names:
        raise MienError(
            f"expected the columns {' and '.join(sorted(columns))} in {path}, got "
            f"{', '.join(sorted(names)) or 'none'}: rename them"
        )
    yield from rows_by_name(path)


def reading_of(
    entries: Sequence[Entry],
    options: Options,
    scale: Scale,
    source: Path,
    *,
    split_origin: str = "official",
) -> Reading:
    """Return the reading of recordings, with new splits by subject if the options ask for them.

    ``split_origin`` says in the notes where other splits come from.
    """
    notes: list[str] = []
    if options.disjoint:
        recordings = _disjoint(entries, options.seed)
        notes.append(f"splits made by subject, seed {options.seed}; no subject is in more than one")
    else:
        recordings, shared = list(entries), _shared(entries)
        subjects = f"{shared or 'no'} subject{'s are' if shared > 1 else ' is'}"
        notes.append(f"{split_origin} splits; {subjects} in more than one")
    number = "all frames" if options.fps is None else f"at most {options.fps:g} frames per second"
    notes.append(f"{number}, of the person seen for the longest time")
    parts = [str(source)]
    parts += [
        f"{entry.id} {stamp(entry.path)} {entry.split} {entry.severity}"
        if isinstance(entry, VideoItem)
        else f"{entry.id} {entry.reason}"
        for entry in recordings
    ]
    return Reading(
        LABEL_SPACES["ferplus"],
        lambda: iter(recordings),
        fingerprint_of(parts),
        len(recordings),
        fields=FIELDS,
        notes=tuple(notes),
        scale=scale,
        unused={} if options.disjoint else {"seed": HAS_SPLITS},
    )


def _disjoint(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """Assign three of five subjects to train, one to valid, one to test, by a hash of names."""
    subjects = {entry.subject or entry.id for entry in entries if isinstance(entry, VideoItem)}
    ranks = {subject: rank(seed, subject) for subject in subjects}
    cuts = cut(ranks.values(), valid=0.2, test=0.2)
    return [
        replace(entry, split=cuts.split(ranks[entry.subject or entry.id]))
        if isinstance(entry, VideoItem)
        else entry
        for entry in entries
    ]


def _shared(entries: Sequence[Entry]) -> int:
    """The number of subjects that are in more than one split."""
    pairs = {(e.subject, e.split) for e in entries if isinstance(e, VideoItem) and e.subject}
    return sum(count > 1 for count in Counter(subject for subject, _ in pairs).values())
