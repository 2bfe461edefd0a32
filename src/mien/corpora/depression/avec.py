"""AVEC2013 and AVEC2014: recordings of sessions with BDI-II scores."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import Path

from mien.corpora.depression.scores import (
    SIGNED_LICENSE_TERMS,
    Entry,
    check_task,
    reading_of,
    refuse_scale,
    scored,
)
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
from mien.faces.kinds import VIDEO_SUFFIXES
from mien.scales import SCALES


def _read_avec(source: Path, options: Options, *, pattern: str, tree: Tree) -> Reading:
    """Read videos in folders train, dev and test, with labels SUBJECT_SESSION_Depression.csv."""
    refuse_scale(options.scale, tree.title)
    labels: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(source.rglob("*_Depression.csv")):
        labels[path.name.removesuffix("_Depression.csv")].append(path)
    entries: list[Entry] = []
    tasks: set[str] = set()
    videos = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in VIDEO_SUFFIXES]
    for path in videos:
        name_in_source = storable(path.relative_to(source))
        match = re.fullmatch(pattern, path.stem, re.IGNORECASE)
        folders = path.relative_to(source).parts[:-1]
        split = next(filter(None, map(split_name, folders)), None)
        if match is None or split is None:
            entries.append(
                LeftOut(
                    name_in_source,
                    name_in_source,
                    "not a recording of the corpus, by name or folder",
                )
            )
            continue
        task = (match.groupdict().get("task") or "").lower() or None
        tasks |= {task} if task else set()
        if options.task and task != options.task:
            continue
        session = f"{match['subject']}_{match['session']}"
        item = VideoItem(
            id=path.stem,
            source=name_in_source,
            path=path,
            split=split,
            subject=match["subject"],
            task=task,
            session=session,
        )
        entries.append(scored(item, labels.get(session, []), SCALES["bdi-ii"]))
    check_task(options.task, tasks, tree.title)
    if not any(isinstance(entry, VideoItem) for entry in entries):
        raise tree.error(
            source,
            f"no recording with a score in {len(videos)} videos and {len(labels)} label files",
        )
    return reading_of(entries, options, SCALES["bdi-ii"], source)


_AVEC2013 = Tree(
    "AVEC2013",
    "  {train,dev,test}/**/203_1_cut_combined.mp4   (also Training, Development, Testing)\n"
    "  **/203_1_Depression.csv   one number, the BDI-II score of subject 203, session 1",
)
_AVEC2014 = Tree(
    "AVEC2014",
    "  {train,dev,test}/{Freeform,Northwind}/203_1_Freeform_video.mp4\n"
    "  **/203_1_Depression.csv   one number; --task freeform or northwind reads one only",
)
_ASK = "the organizers of the challenge (Valstar et al.), with a signed agreement"

AVEC2013 = Corpus(
    name="avec2013",
    description="AVEC2013 (Valstar et al., 2013): recordings with BDI-II scores, 50 per split",
    layout=str(_AVEC2013),
    license_terms=SIGNED_LICENSE_TERMS,
    commercial_use="no",
    ask=_ASK,
    read=partial(
        _read_avec,
        pattern=r"(?P<subject>\d+)_(?P<session>\d+)_cut_combined",
        tree=_AVEC2013,
    ),
    videos=True,
)
AVEC2014 = Corpus(
    name="avec2014",
    description="AVEC2014 (Valstar et al., 2014): two tasks per session, BDI-II, 100 per split",
    layout=str(_AVEC2014),
    license_terms=SIGNED_LICENSE_TERMS,
    commercial_use="no",
    ask=_ASK,
    read=partial(
        _read_avec,
        pattern=(r"(?P<subject>\d+)_(?P<session>\d+)_(?P<task>Freeform|Northwind)(_video)?"),
        tree=_AVEC2014,
    ),
    videos=True,
)
