"""FER2013: 48 x 48 gray faces from the web, one label each.

The table's columns, its order of classes and its usages were read in public loaders; that copies
have spaces in the header is general knowledge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mien.corpora.expressions.ferplus import pixels_of
from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, split_name
from mien.corpora.reading import (
    Entry,
    Tree,
    class_folders,
    first_of,
    folders,
    has_class_folders,
    image_reading,
    table_rows,
)
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["fer2013"]
CODES = {str(code): name for code, name in enumerate(SPACE.names)}
_TREE = Tree(
    "FER2013",
    "  fer2013.csv or icml_face_data.csv   emotion, pixels, Usage; emotion is\n"
    f"      {', '.join(f'{code} {name}' for code, name in CODES.items())}\n"
    "  or folders: {train,[valid,]test}/{angry,disgust,fear,happy,sad,surprise,neutral}/*.jpg",
)

_MERGED = (
    "a copy in folders without valid: its test may be PublicTest and PrivateTest together, so "
    "results on it are not those on PrivateTest"
)


def read(source: Path, options: Options) -> Reading:
    """Read the table, or folders of classes. PublicTest is valid and PrivateTest is test."""
    table = source if source.is_file() else first_of(source, ("fer2013.csv", "icml_face_data.csv"))
    if table is not None:
        return image_reading(lambda: _table(table), source, options, _TREE, SPACE)
    if has_class_folders(source):
        notes = () if "valid" in {split_name(top.name) for top in folders(source)} else (_MERGED,)
        return image_reading(lambda: _folders(source), source, options, _TREE, SPACE, notes=notes)
    raise _TREE.error(source)


def _table(path: Path) -> Iterator[Entry]:
    for index, row in enumerate(table_rows(path, ("emotion", "pixels", "usage"))):
        name, line = f"fer{index:07d}.png", f"{path.name}:{index + 2}"
        label, split = CODES.get(row.get("emotion", "")), split_name(row.get("usage", ""))
        image = pixels_of(row.get("pixels", ""))
        if label is None or split is None:
            yield LeftOut(name, line, f"no label or usage of the corpus: {row.get('emotion')!r}")
        elif image is None:
            yield LeftOut(name, line, "image unreadable: expected 2,304 values from 0 to 255")
        else:
            yield Item(id=name, source=line, image=image, split=split, label=label, tight=True)


def _folders(source: Path) -> Iterator[Entry]:
    for entry in class_folders(source, {}):
        yield entry if isinstance(entry, LeftOut) else replace(entry, tight=True)


CORPUS = Corpus(
    name="fer2013",
    description="FER2013 (Goodfellow et al., 2013): 35,887 gray web faces of 48 pixels, 7 classes",
    layout=str(_TREE),
    license_terms=(
        "Images collected from the web, rights unclear: research only, no redistribution."
    ),
    commercial_use="no",
    ask="the ICML 2013 challenge in representation learning, on Kaggle",
    read=read,
    label_space=SPACE,
    color="gray",
)
