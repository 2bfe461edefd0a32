"""SFEW 2.0: stills of films, in folders of classes.

The names of the folders were read in public loaders. The labels of the test part were never
published, so it is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, folders, image_reading, pictures
from mien.labels import LABEL_SPACES, canonical_expression

SPACE = LABEL_SPACES["sfew"]
_TREE = Tree(
    "SFEW 2.0",
    "  [Train/]Train_Aligned_Faces/{Angry,Disgust,Fear,Happy,Neutral,Sad,Surprise}/*.png\n"
    "  [Val/]Val_Aligned_Faces/{...}/*.png   (also Val_Aligned_Faces_new, Train/Angry, Val/Angry)",
)


def read(source: Path, options: Options) -> Reading:
    """Read train and valid; the aligned faces are tight crops."""
    if not any(True for _ in _parts(source)):
        raise _TREE.error(source)
    fields = (pa.field("film", pa.string()),)
    return image_reading(lambda: _items(source), source, options, _TREE, SPACE, fields=fields)


def _parts(source: Path) -> Iterator[tuple[str, bool, Path]]:
    """Split, whether faces are aligned, and the folder with the folders of classes."""
    for top in folders(source):
        match = re.match(r"(train|val)", top.name, re.IGNORECASE)
        if match is None:
            continue
        inner = [folder for folder in folders(top) if "aligned" in folder.name.lower()]
        folder = inner[0] if inner else top
        split = "train" if match[1].lower() == "train" else "valid"
        yield split, "aligned" in folder.name.lower(), folder


def _items(source: Path) -> Iterator[Entry]:
    for split, aligned, part in _parts(source):
        for folder in folders(part):
            try:
                label = canonical_expression(folder.name)
            except ValueError:
                name = storable(folder.relative_to(source).as_posix())
                yield LeftOut(name, name, f"folder of no class of the corpus: {folder.name}")
                continue
            for path in pictures(folder):
                name = storable(path.relative_to(source).as_posix())
                film = path.name.split("_")[0]
                yield Item(
                    id=name,
                    source=name,
                    image=path,
                    split=split,
                    label=label,
                    tight=aligned,
                    extra={"film": storable(film)},
                )


CORPUS = Corpus(
    name="sfew",
    description="SFEW 2.0 (Dhall et al., 2011, 2015): stills of films, 7 classes, 958 and 436",
    layout=str(_TREE),
    license_terms="Agreement with the authors: academic research only, no redistribution.",
    commercial_use="no",
    ask="the authors' page of AFEW and SFEW (Dhall et al.), with a signed agreement",
    read=read,
    label_space=SPACE,
)
