"""Recordings with a depression score: AVEC2013, AVEC2014, DAIC-WOZ and tables of one's own."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from mien.data.corpora.items import (
    Corpus,
    LeftOut,
    Options,
    Reading,
    VideoItem,
    fingerprint_of,
    split_name,
    stamp,
    storable,
)
from mien.data.corpora.splitting import cut, rank
from mien.data.dataset import SEVERITY_FIELD
from mien.faces.video import VIDEO_SUFFIXES
from mien.labels import LABEL_SPACES, SCALES, Scale
from mien.schema import MienError

FIELDS = (
    SEVERITY_FIELD,
    pa.field("task", pa.string()),
    pa.field("session", pa.string()),
    pa.field("track", pa.int32()),
)
TASKS = ("freeform", "northwind")
_AVEC_TERMS = (
    "under a signed agreement with its authors: research only, not to be redistributed, no person "
    "to be shown; mien holds no copy and fetches none"
)

Entry = VideoItem | LeftOut


def _read_avec(source: Path, options: Options, *, pattern: str, name: str) -> Reading:
    """Videos in folders train, dev and test; labels in files SUBJECT_SESSION_Depression.csv."""
    labels = {
        path.name.removesuffix("_Depression.csv"): path
        for path in sorted(source.rglob("*_Depression.csv"))
    }
    found: list[Entry] = []
    videos = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in VIDEO_SUFFIXES]
    for path in videos:
        place = storable(path.relative_to(source))
        named = re.fullmatch(pattern, path.stem, re.IGNORECASE)
        inner = [split_name(part) for part in path.relative_to(source).parts[:-1]]
        split = next((part for part in inner if part), None)
        if named is None or split is None:
            found.append(LeftOut(place, place, "not named or placed as a recording of the corpus"))
            continue
        task = (named.groupdict().get("task") or "").lower() or None
        if options.task and task != options.task:
            continue
        session = f"{named['subject']}_{named['session']}"
        item = VideoItem(
            id=path.stem,
            source=place,
            path=path,
            split=split,
            subject=named["subject"],
            task=task,
            session=session,
        )
        found.append(_scored(item, labels.get(session), SCALES["bdi-ii"]))
    if not any(isinstance(entry, VideoItem) for entry in found):
        raise MienError(
            f"expected {name} at {source}, got no recording with a score in {len(videos)} videos "
            f"and {len(labels)} label files: mien corpora shows the layout"
        )
    return _reading(found, options, SCALES["bdi-ii"], source, labels.values())


def _scored(item: VideoItem, label: Path | None, scale: Scale) -> Entry:
    if label is None:
        return LeftOut(item.id, item.source, "no label file")
    try:
        text = label.read_text("utf-8-sig").strip()
        return replace(item, severity=_score(text, scale))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return LeftOut(item.id, item.source, f"label unreadable: {error}")


def _score(text: str, scale: Scale) -> float:
    """A score of the scale; ``ValueError`` that says what it is not."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text[:20]!r}") from None
    if not 0 <= value <= scale.top:
        raise ValueError(f"expected a score of {scale.name} in [0, {scale.top}], got {value:g}")
    return value


def _read_daic(source: Path, options: Options) -> Reading:
    """Tables of participants by split; a video in each participant's folder, where there is one."""
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
    found: list[Entry] = []
    for split, table in tables:
        for row in _rows(table):
            columns = {key.strip().lower(): value for key, value in row.items() if key}
            person = (columns.get("participant_id") or "").strip()
            text = columns.get("phq8_score") or columns.get("phq_score") or ""
            folder = source / f"{person}_P"
            videos = [
                path
                for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
                if path.suffix.lower() in VIDEO_SUFFIXES
            ]
            if not videos:
                found.append(LeftOut(f"{person}_P", table.name, "no video of the participant"))
                continue
            item = VideoItem(
                id=f"{person}_P",
                source=storable(videos[0].relative_to(source)),
                path=videos[0],
                split=split,
                subject=person,
                session=person,
            )
            try:
                found.append(replace(item, severity=_score(text, SCALES["phq-8"])))
            except ValueError as error:
                found.append(LeftOut(item.id, item.source, f"label unreadable: {error}"))
    if not any(isinstance(entry, VideoItem) for entry in found):
        raise MienError(
            f"expected DAIC-WOZ at {source} with videos, got none of {len(found)} participants in "
            f"{len(tables)} tables: the corpus is published without videos, and mien reads faces"
        )
    return _reading(found, options, SCALES["phq-8"], source, [path for _, path in tables])


def _read_table(source: Path, options: Options) -> Reading:
    """A CSV with the columns video, score and, if known, subject, split and task."""
    scale = _scale(options.scale)
    if not source.is_file():
        raise MienError(f"expected a CSV of recordings, got no file at {source}")
    rows = list(_rows(source))
    names = set(rows[0]) if rows else set()
    if not {"video", "score"} <= names:
        raise MienError(
            f"expected the columns video and score in {source}, got "
            f"{', '.join(sorted(name for name in names if name)) or 'none'}: name them so"
        )
    found: list[Entry] = []
    without_split = not any((row.get("split") or "").strip() for row in rows)
    for row in rows:
        text = (row["video"] or "").strip()
        split = split_name(row.get("split") or "") if not without_split else "train"
        item = VideoItem(
            id=storable(text),
            source=storable(text),
            path=source.parent / text,
            split=split or "",
            subject=(row.get("subject") or "").strip() or None,
            task=(row.get("task") or "").strip().lower() or None,
            session=(row.get("session") or "").strip() or None,
        )
        if options.task and item.task != options.task:
            continue
        if not text or split is None:
            reason = "no video in the table" if not text else f"unknown split: {row.get('split')!r}"
            found.append(LeftOut(item.id or "row", item.source or source.name, reason))
            continue
        try:
            found.append(replace(item, severity=_score((row["score"] or "").strip(), scale)))
        except ValueError as error:
            found.append(LeftOut(item.id, item.source, f"label unreadable: {error}"))
    if not any(isinstance(entry, VideoItem) for entry in found):
        raise MienError(f"expected recordings with a score in {source}, got none of {len(rows)}")
    if without_split and not options.disjoint:
        options = replace(options, disjoint=True)
    return _reading(found, options, scale, source, [source])


def _scale(name: str | None) -> Scale:
    if name is None or name in SCALES:
        return SCALES[name or "bdi-ii"]
    if name.isdigit() and int(name) > 0:
        return Scale(name=f"0 to {int(name)}", top=int(name))
    raise MienError(
        f"expected a scale ({', '.join(SCALES)}) or its highest score, got {name!r}: name one"
    )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield from csv.DictReader(text)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MienError(f"expected a table as UTF-8 text at {path}, got {error}") from None


def _reading(
    found: Sequence[Entry],
    options: Options,
    scale: Scale,
    source: Path,
    labels: Sequence[Path] | object,
) -> Reading:
    notes: list[str] = []
    entries = list(found)
    if options.disjoint:
        entries = _disjoint(entries, options.seed)
        notes.append(f"splits made by subject, seed {options.seed}: no subject is in two")
    else:
        shared = _shared(entries)
        notes.append(
            f"official splits: {shared} subjects are in more than one"
            if shared
            else "official splits: no subject is in two"
        )
    rate = "all" if options.rate is None else f"at most {options.rate:g}"
    notes.append(f"{rate} frames a second, of the person with most frames")
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


CORPORA: tuple[Corpus, ...] = (
    Corpus(
        name="avec2013",
        description="AVEC2013 (Valstar et al., 2013): recordings with BDI-II scores, 50 a split",
        layout=(
            "  {train,dev,test}/**/203_1_cut_combined.mp4   (also Training, Development, Testing)\n"
            "  **/203_1_Depression.csv   one number, the BDI-II score of subject 203, session 1"
        ),
        terms=_AVEC_TERMS,
        read=partial(
            _read_avec,
            pattern=r"(?P<subject>\d+)_(?P<session>\d+)_cut_combined",
            name="AVEC2013",
        ),
        videos=True,
    ),
    Corpus(
        name="avec2014",
        description="AVEC2014 (Valstar et al., 2014): two tasks a session, BDI-II, 100 a split",
        layout=(
            "  {train,dev,test}/{Freeform,Northwind}/203_1_Freeform_video.mp4\n"
            "  **/203_1_Depression.csv   one number; --task freeform or northwind reads one only"
        ),
        terms=_AVEC_TERMS,
        read=partial(
            _read_avec,
            pattern=(r"(?P<subject>\d+)_(?P<session>\d+)_(?P<task>Freeform|Northwind)(_video)?"),
            name="AVEC2014",
        ),
        videos=True,
    ),
    Corpus(
        name="daic-woz",
        description="DAIC-WOZ and E-DAIC (Gratch et al., 2014): interviews with PHQ-8 scores",
        layout=(
            "  train_split_Depression_AVEC2017.csv, dev_split_..., full_test_split.csv (DAIC-WOZ)\n"
            "  or train_split.csv, dev_split.csv, test_split.csv (E-DAIC)\n"
            "  300_P/*.mp4   a video of the participant; it is published without, features only"
        ),
        terms=_AVEC_TERMS,
        read=_read_daic,
        videos=True,
    ),
    Corpus(
        name="recordings",
        description="recordings of your own with a score each",
        layout=(
            "  TABLE.csv with the columns video (a path beside the table) and score, and if known\n"
            "  subject, split, task, session; without split, three of five subjects train;\n"
            "  --scale bdi-ii (default), phq-8, or the highest score of another one"
        ),
        terms="yours; a recording of a person is theirs too",
        read=_read_table,
        videos=True,
    ),
)
