"""ExpW: pictures from the web with several faces, each with a box and an expression.

The columns of ``label.lst`` and its codes were read in public loaders.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, first_of, image_reading, lines_of
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["expw"]
CODES = {str(code): name for code, name in enumerate(SPACE.names)}
_TREE = Tree(
    "ExpW",
    "  [label/]label.lst   image face_id top left right bottom confidence label; the label is\n"
    f"      {', '.join(f'{code} {name}' for code, name in CODES.items())}\n"
    "  [image/]origin/*.jpg   the pictures (also image/*.jpg, images/*.jpg)",
)


def read(source: Path, options: Options) -> Reading:
    """Read each face by its box; one picture has several."""
    table = first_of(source, ("label/label.lst", "label.lst"))
    root = first_of(source, ("image/origin", "origin", "image", "images"))
    if table is None or root is None:
        raise _TREE.error(source, "no label.lst" if table is None else "no folder of pictures")
    return image_reading(lambda: _faces(table, root), source, options, _TREE, SPACE)


def _faces(table: Path, root: Path) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(table), 1):
        if not line:
            continue
        cells = line.split()
        try:
            name, face = storable(cells[0]), int(cells[1])
            top, left, right, bottom = (float(cell) for cell in cells[2:6])
            label = CODES[cells[7]]
        except (ValueError, IndexError, KeyError):
            yield LeftOut(f"{table.name}:{number}", table.name, f"no face of the corpus: {line!r}")
            continue
        yield Item(
            id=f"{name}#{face}",
            source=name,
            image=root / cells[0],
            split="",
            label=label,
            unit=name,
            box=(left, top, right - left, bottom - top),
        )


CORPUS = Corpus(
    name="expw",
    description="ExpW (Zhang et al., 2018): 91,793 faces in web pictures, 7 classes, no splits",
    layout=str(_TREE),
    license_terms="Images collected from the web: research only, no redistribution.",
    commercial_use="no",
    ask="the authors' page, Multimedia Laboratory of the Chinese University of Hong Kong",
    read=read,
    label_space=SPACE,
)
