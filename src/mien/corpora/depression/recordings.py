"""A table of a user's own recordings with their scores."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mien.corpora.depression.scores import Entry, check_task, reading_of, rows_of, score_of
from mien.corpora.items import (
    Corpus,
    LeftOut,
    Options,
    Reading,
    VideoItem,
    split_name,
    storable,
)
from mien.corpora.reading import Tree
from mien.corpora.text_tables import listed_file
from mien.errors import MienError
from mien.scales import SCALES, Scale

_WITHOUT_SPLIT = "the table has no splits, so mien makes them by subject in any case"


def _read_table(source: Path, options: Options) -> Reading:
    """Read a CSV with the columns video and score, and optionally subject, split and task."""
    scale = _scale(options.scale)
    if not source.is_file():
        raise _TREE.error(source, "no file")
    rows = list(rows_of(source, {"video", "score"}))
    check_task(options.task, {row["task"].lower() for row in rows if row.get("task")}, source.name)
    entries: list[Entry] = []
    without_split = not any(row.get("split") for row in rows)
    for number, row in enumerate(rows, 2):
        task = row.get("task", "").lower() or None
        if options.task and task != options.task:
            continue
        if not row["video"]:
            row_id = f"{source.name}/{number}"
            entries.append(LeftOut(row_id, source.name, "no video in the row"))
            continue
        split = "train" if without_split else split_name(row["split"])
        item = VideoItem(
            id=storable(row["video"]),
            source=storable(row["video"]),
            path=listed_file(source.parent, row["video"]),
            split=split or "",
            subject=row.get("subject") or None,
            task=task,
            session=row.get("session") or None,
        )
        if split is None:
            entries.append(LeftOut(item.id, item.source, f"unknown split: {row['split']!r}"))
            continue
        try:
            entries.append(replace(item, severity=score_of(row["score"], scale)))
        except ValueError as error:
            entries.append(LeftOut(item.id, item.source, f"label unreadable: {error}"))
    if not any(isinstance(entry, VideoItem) for entry in entries):
        raise MienError(
            f"expected recordings with a score in {source}, got none in {len(rows)} rows: mien "
            f"corpora shows the columns"
        )
    if without_split:
        reading = reading_of(entries, replace(options, disjoint=True), scale, source)
        return replace(reading, unused={"subject-disjoint": _WITHOUT_SPLIT})
    return reading_of(entries, options, scale, source, split_origin="the table's")


def _scale(name: str | None) -> Scale:
    if name is None or name in SCALES:
        return SCALES[name or "bdi-ii"]
    if re.fullmatch(r"[0-9]{1,4}", name) and 0 < int(name) <= 1000:
        return Scale(name=f"0 to {int(name)}", top=int(name))
    raise MienError(
        f"expected a scale ({', '.join(SCALES)}) or its highest score, got {name[:40]!r}: name "
        "one, at most 1000"
    )


_TREE = Tree(
    "a CSV of recordings",
    "  TABLE.csv with the columns video (relative to the table) and score, and optionally\n"
    "  subject, split, task, session; without split, three of five subjects are in train;\n"
    "  --scale bdi-ii (default), phq-8, or the highest score of another scale",
)

CORPUS = Corpus(
    name="recordings",
    description="your own recordings, each with a score",
    layout=str(_TREE),
    license_terms="Your own recordings; their subjects have rights in them too.",
    yours=True,
    read=_read_table,
    videos=True,
)
