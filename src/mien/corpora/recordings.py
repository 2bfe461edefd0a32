"""A table of recordings of one's own, with a score each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mien.corpora.items import (
    Corpus,
    LeftOut,
    Options,
    Reading,
    VideoItem,
    split_name,
    storable,
)
from mien.corpora.severity import Entry, check_task, reading_of, rows_of, score_of
from mien.scales import SCALES, Scale
from mien.schema import MienError


def _read_table(source: Path, options: Options) -> Reading:
    """A CSV with the columns video, score and, if known, subject, split and task."""
    scale = _scale(options.scale)
    if not source.is_file():
        raise MienError(f"expected a CSV of recordings, got no file at {source}")
    rows = list(rows_of(source, {"video", "score"}))
    check_task(options.task, {row["task"].lower() for row in rows if row.get("task")}, source.name)
    found: list[Entry] = []
    without_split = not any(row.get("split") for row in rows)
    for number, row in enumerate(rows, 2):
        task = row.get("task", "").lower() or None
        if options.task and task != options.task:
            continue
        if not row["video"]:
            place = f"{source.name}/{number}"
            found.append(LeftOut(place, source.name, "no video in the row"))
            continue
        split = "train" if without_split else split_name(row["split"])
        item = VideoItem(
            id=storable(row["video"]),
            source=storable(row["video"]),
            path=source.parent / row["video"],
            split=split or "",
            subject=row.get("subject") or None,
            task=task,
            session=row.get("session") or None,
        )
        if split is None:
            found.append(LeftOut(item.id, item.source, f"unknown split: {row['split']!r}"))
            continue
        try:
            found.append(replace(item, severity=score_of(row["score"], scale)))
        except ValueError as error:
            found.append(LeftOut(item.id, item.source, f"label unreadable: {error}"))
    if not any(isinstance(entry, VideoItem) for entry in found):
        raise MienError(
            f"expected recordings with a score in {source}, got none in {len(rows)} rows: mien "
            f"corpora shows the columns"
        )
    made = without_split or options.disjoint
    return reading_of(found, replace(options, disjoint=made), scale, source, theirs="the table's")


def _scale(name: str | None) -> Scale:
    if name is None or name in SCALES:
        return SCALES[name or "bdi-ii"]
    if name.isdigit() and int(name) > 0:
        return Scale(name=f"0 to {int(name)}", top=int(name))
    raise MienError(
        f"expected a scale ({', '.join(SCALES)}) or its highest score, got {name!r}: name one"
    )


CORPUS = Corpus(
    name="recordings",
    description="recordings of your own with a score each",
    layout=(
        "  TABLE.csv with the columns video (a path beside the table) and score, and if known\n"
        "  subject, split, task, session; without split, three of five subjects train;\n"
        "  --scale bdi-ii (default), phq-8, or the highest score of another one"
    ),
    license_terms="yours; a recording of a person is theirs too",
    read=_read_table,
    videos=True,
)
