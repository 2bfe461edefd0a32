"""DAIC-WOZ and E-DAIC: interviews with PHQ-8 scores, for those who have the videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mien.corpora.depression.scores import (
    SIGNED_LICENSE_TERMS,
    Entry,
    check_task,
    reading_of,
    refuse_scale,
    rows_of,
    score_of,
)
from mien.corpora.items import Corpus, LeftOut, Options, Reading, VideoItem, storable
from mien.corpora.reading import Tree
from mien.errors import MienError
from mien.faces.kinds import VIDEO_SUFFIXES
from mien.scales import SCALES

_TREE = Tree(
    "the tables of DAIC-WOZ or E-DAIC",
    "  train_split_Depression_AVEC2017.csv, dev_split_..., full_test_split.csv (DAIC-WOZ)\n"
    "  or train_split.csv, dev_split.csv, test_split.csv (E-DAIC)\n"
    "  300_P/*.mp4   a video of the participant; published are only features",
)


def _read_daic(source: Path, options: Options) -> Reading:
    """Read tables of participants by split, and the video in each participant's folder."""
    refuse_scale(options.scale, _TREE.title)
    check_task(options.task, set(), _TREE.title)
    tables = [
        (split, source / name)
        for split, names in (
            ("train", ("train_split_Depression_AVEC2017.csv", "train_split.csv")),
            ("valid", ("dev_split_Depression_AVEC2017.csv", "dev_split.csv")),
            ("test", ("full_test_split.csv", "test_split.csv")),
        )
        for name in names
        if (source / name).is_file()
    ]
    if not tables:
        raise _TREE.error(source, "none of them")
    entries: list[Entry] = []
    for split, table in tables:
        for number, row in enumerate(rows_of(table, {"participant_id"}), 2):
            subject = row["participant_id"]
            text = row.get("phq8_score") or row.get("phq_score") or ""
            if not subject:
                row_id = f"{table.name}/{number}"
                entries.append(LeftOut(row_id, table.name, "no participant in the row"))
                continue
            folder = source / f"{subject}_P"
            videos = [
                path
                for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
                if path.suffix.lower() in VIDEO_SUFFIXES
            ]
            if not videos:
                entries.append(LeftOut(f"{subject}_P", table.name, "no video of the participant"))
                continue
            entries += [
                LeftOut(
                    storable(path.relative_to(source)),
                    folder.name,
                    "a second video of the participant",
                )
                for path in videos[1:]
            ]
            item = VideoItem(
                id=f"{subject}_P",
                source=storable(videos[0].relative_to(source)),
                path=videos[0],
                split=split,
                subject=subject,
                session=subject,
            )
            try:
                entries.append(replace(item, severity=score_of(text, SCALES["phq-8"])))
            except ValueError as error:
                entries.append(LeftOut(item.id, item.source, f"label unreadable: {error}"))
    if not any(isinstance(entry, VideoItem) for entry in entries):
        raise MienError(
            f"expected DAIC-WOZ at {source} with videos, got none of {len(entries)} participants "
            f"in {len(tables)} tables: the corpus is published without videos; ask its authors"
        )
    return reading_of(entries, options, SCALES["phq-8"], source)


CORPUS = Corpus(
    name="daic-woz",
    description="DAIC-WOZ and E-DAIC (Gratch et al., 2014): interviews with PHQ-8 scores",
    layout=str(_TREE),
    license_terms=SIGNED_LICENSE_TERMS,
    commercial_use="no",
    ask="dcapswoz.ict.usc.edu, with a signed agreement; published are only features",
    read=_read_daic,
    videos=True,
)
