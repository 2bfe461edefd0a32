"""AFEW-VA: 600 clips of films, each frame with valence and arousal from -10 to 10.

The folders and the keys of the JSON files were read in public loaders; the range is general
knowledge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mien.corpora.affect import valence_arousal
from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, folders, image_reading, pictures
from mien.data.dataset import VALENCE_AROUSAL_FIELDS
from mien.labels import LABEL_SPACES

RANGE = 10.0
_SPACE = LABEL_SPACES["ferplus"]
_TREE = Tree(
    "AFEW-VA",
    "  001/00000.png, 00001.png, ...   the frames of a clip, 001 to 600\n"
    '  001/001.json   {"actor": ..., "frames": {"00000": {"valence": 3.0, "arousal": 5.0}}}\n'
    "  (also in folders of clips, 01/001/00000.png)",
)


def read(source: Path, options: Options) -> Reading:
    """Read every frame; an actor is a subject, and a clip without one is a unit of its own."""
    if not any(True for _ in _clips(source)):
        raise _TREE.error(source)
    fields = VALENCE_AROUSAL_FIELDS
    return image_reading(lambda: _frames(source), source, options, _TREE, _SPACE, fields=fields)


def _clips(source: Path) -> Iterator[Path]:
    for top in folders(source):
        for folder in (top, *folders(top)):
            if (folder / f"{folder.name}.json").is_file():
                yield folder


def _frames(source: Path) -> Iterator[Entry]:
    for clip in _clips(source):
        name = storable(clip.name)
        try:
            document = json.loads((clip / f"{clip.name}.json").read_text("utf-8-sig"))
            frames = document["frames"]
            actor = str(document.get("actor") or "") or None
            cells_of = {
                str(frame): (cell["valence"], cell["arousal"]) for frame, cell in frames.items()
            }
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            yield LeftOut(name, name, f"annotation unreadable: {type(error).__name__}")
            continue
        for path in pictures(clip):
            frame = storable(f"{clip.name}/{path.name}")
            try:
                affect = valence_arousal(*(float(cell) / RANGE for cell in cells_of[path.stem]))
            except KeyError:
                yield LeftOut(frame, frame, "frame without annotation")
                continue
            except (ValueError, TypeError) as error:
                yield LeftOut(frame, frame, str(error))
                continue
            yield Item(
                id=frame,
                source=storable(path.relative_to(source).as_posix()),
                image=path,
                split="",
                subject=actor,
                video=name,
                frame=int(path.stem) if path.stem.isdigit() else None,
                extra=affect,
            )


CORPUS = Corpus(
    name="afew-va",
    description="AFEW-VA (Kossaifi et al., 2017): 30,000 frames of 600 clips of films",
    layout=str(_TREE),
    license_terms="Agreement with Imperial College London: academic research, no redistribution.",
    commercial_use="no",
    ask="ibug.doc.ic.ac.uk/resources/afew-va-database",
    read=read,
)
