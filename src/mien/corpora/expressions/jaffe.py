"""JAFFE: ten Japanese women, seven posed expressions, in the names of the files.

``KA.AN1.39.tiff`` is subject KA, anger, first picture; the codes were read in public loaders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, image_reading, pictures
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["jaffe"]
CODES = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
_TREE = Tree(
    "JAFFE", "  [jaffe/|jaffedbase/]KA.AN1.39.tiff   subject, AN DI FE HA NE SA or SU, index"
)


def read(source: Path, options: Options) -> Reading:
    """Read the 213 pictures."""
    names = (source, source / "jaffe", source / "jaffedbase")
    root = next((folder for folder in names if any(map(_parsed, pictures(folder)))), None)
    if root is None:
        raise _TREE.error(source)
    return image_reading(lambda: _items(root), source, options, _TREE, SPACE)


def _parsed(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"([A-Z]{2})\.([A-Z]{2})(\d+)\.\d+", path.stem)


def _items(root: Path) -> Iterator[Entry]:
    for path in pictures(root):
        name, match = storable(path.name), _parsed(path)
        if match is None or match[2] not in CODES:
            yield LeftOut(name, name, f"not a picture of the corpus, by name: {name}")
            continue
        yield Item(
            id=name, source=name, image=path, split="", subject=match[1], label=CODES[match[2]]
        )


CORPUS = Corpus(
    name="jaffe",
    description="JAFFE (Lyons et al., 1998): 213 gray pictures, 10 subjects, 7 posed classes",
    layout=str(_TREE),
    license_terms="Agreement with the authors: non-commercial research, no redistribution.",
    commercial_use="no",
    ask="the authors' deposit on Zenodo",
    read=read,
    label_space=SPACE,
    color="gray",
)
