"""MMI: posed sequences from neutral over the peak to neutral.

The folders, the tag with the emotion, its codes and the view of a session were read in public
preprocessing scripts. The three frames in the middle count as the peak, as is usual.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from mien.corpora.dynamic.decoding import decoded, is_video
from mien.corpora.dynamic.peaks import PEAK_FRAMES, middle_frames
from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, stamp, storable
from mien.corpora.reading import Entry, Tree, first_of, folders, image_reading, pictures
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["mmi"]
CODES = dict(enumerate(SPACE.names, 1))
PROFILE = "1"
"""The view of a session that shows no face from the front."""

_UNLABELED, _OTHER_EMOTION = "session without a label", "not one of six emotions"
_PROFILE_VIEW = "profile"
_TREE = Tree(
    "MMI",
    "  Sessions/1767/S002-105.avi   (or its frames, Sessions/1767/*.jpg); S002 is the subject\n"
    '  Sessions/1767/S002-105.xml   <Metatag Name="Emotion" Value="4"/>; the value is\n'
    f"      {', '.join(f'{code} {name}' for code, name in CODES.items())}\n"
    "  Sessions/1767/session.xml    view 1 (profile) is left out",
)


def read(source: Path, options: Options) -> Reading:
    """Read the peaks of the sequences with one of six emotions; videos are decoded once."""
    root = first_of(source, ("Sessions",)) or (source if source.name == "Sessions" else None)
    if root is None:
        raise _TREE.error(source)
    reading = image_reading(lambda: _items(root), source, options, _TREE, SPACE)
    return decoded(reading, lambda frames: middle_frames(list(frames)))


def _items(root: Path) -> Iterator[Entry]:
    for session in folders(root):
        name = storable(session.name)
        labels = next(
            (path for path in sorted(session.glob("S*-*.xml")) if "-oao" not in path.name), None
        )
        if labels is None or (match := re.match(r"(S\d+)-\d+", labels.stem)) is None:
            yield LeftOut(name, name, _UNLABELED)
            continue
        try:
            label = CODES.get(_emotion(labels))
            view = _view(session / "session.xml")
        except (OSError, ValueError, ElementTree.ParseError) as error:
            yield LeftOut(name, name, f"label unreadable: {error}")
            continue
        if label is None or view == PROFILE:
            yield LeftOut(name, name, _OTHER_EMOTION if label is None else _PROFILE_VIEW)
            continue
        item = Item(
            id=name, source=name, image=b"", split="", subject=match[1], label=label, video=name
        )
        video = next((p for p in sorted(session.iterdir()) if is_video(p)), None)
        shown = middle_frames(pictures(session))
        if shown:
            for number, path in enumerate(shown):
                frame = storable(f"{name}/{path.name}")
                yield replace(item, id=frame, source=frame, image=path, frame=number)
        elif video is not None:
            for number in range(PEAK_FRAMES):
                yield replace(item, id=f"{name}/{number}", image=video, frame=number)
        else:
            yield LeftOut(name, name, "neither a video nor frames")


def _emotion(path: Path) -> int:
    for tag in ElementTree.parse(path).iter("Metatag"):
        if tag.get("Name") == "Emotion":
            return int(tag.get("Value", ""))
    return 0


def _view(path: Path) -> str | None:
    if stamp(path) == "-":
        return None
    track = next(ElementTree.parse(path).iter("track"), None)
    return None if track is None else track.get("view")


CORPUS = Corpus(
    name="mmi",
    description="MMI (Pantic et al., 2005): posed sequences, about 205 of 30 subjects in 6 classes",
    layout=str(_TREE),
    license_terms="Agreement with the authors: research only, no redistribution.",
    commercial_use="no",
    ask="mmifacedb.eu",
    read=read,
    label_space=SPACE,
    excluded=(_UNLABELED, _OTHER_EMOTION, _PROFILE_VIEW),
)
