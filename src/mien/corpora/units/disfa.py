"""DISFA: 27 subjects watch a film; twelve action units from 0 to 5 in every frame.

The folders, the names of the label files and their lines ``frame,intensity`` were read in public
loaders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa

from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, first_of, folders, image_reading, lines_of, pictures
from mien.data.dataset import ACTION_UNIT_FIELDS
from mien.labels import LABEL_SPACES

UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
MOST = 5
_SPACE = LABEL_SPACES["ferplus"]
_OTHERS = tuple(pa.field(f"au{unit:02d}", pa.float32()) for unit in (5, 9, 17, 20))
_FRAMES = ("Images/LeftVideo", "Images/Left", "Images", "aligned_images", "frames")
_TREE = Tree(
    "DISFA",
    "  ActionUnit_Labels/SN001/SN001_au1.txt   lines frame,intensity from 1; units\n"
    f"      {', '.join(map(str, UNITS))}\n"
    "  Images/SN001/0.jpg, 1.jpg, ...   the frames of a video (also Images/LeftVideo/SN001, or\n"
    "      LeftVideoSN001_comp; numbered from 0 or from 1)",
)


def read(source: Path, options: Options) -> Reading:
    """Read every frame that has a picture; an intensity is divided by 5."""
    labels, frames = first_of(source, ("ActionUnit_Labels",)), first_of(source, _FRAMES)
    if labels is None or frames is None:
        raise _TREE.error(source, "no labels" if labels is None else "no folder of frames")
    fields = (*ACTION_UNIT_FIELDS, *_OTHERS)
    return image_reading(
        lambda: _items(labels, frames), source, options, _TREE, _SPACE, fields=fields
    )


def _items(labels: Path, frames: Path) -> Iterator[Entry]:
    for folder in folders(labels):
        subject = storable(folder.name)
        present = {unit: folder / f"{folder.name}_au{unit}.txt" for unit in UNITS}
        present = {unit: path for unit, path in present.items() if path.is_file()}
        paths = _numbered(frames, folder.name)
        if not present or not paths:
            what = "label file" if not present else "frame"
            yield LeftOut(subject, subject, f"no {what} of the subject")
            continue
        first = _first(paths, sum(1 for _ in filter(None, lines_of(next(iter(present.values()))))))
        if first is None:
            why = "numbers of frames neither begin at 0 nor end at the last line of the labels"
            yield LeftOut(subject, subject, why)
            continue
        texts = [filter(None, lines_of(path)) for path in present.values()]
        for row in zip_longest(*texts):
            try:
                cells = [line.split(",") for line in row]
                number = int(cells[0][0])
                values = [float(cell[1]) / MOST for cell in cells]
            except (AttributeError, ValueError, IndexError):
                name = f"{subject}/{'?' if row[0] is None else row[0].split(',')[0]}"
                yield LeftOut(name, subject, "lines of the label files disagree")
                continue
            name = f"{subject}/{number:05d}"
            path = paths.get(number - 1 + first)
            if path is None:
                yield LeftOut(name, subject, "frame missing")
            elif not all(0 <= value <= 1 for value in values):
                yield LeftOut(name, subject, "intensity outside 0 to 5")
            else:
                extra = {f"au{unit:02d}": v for unit, v in zip(present, values, strict=True)}
                yield Item(
                    id=name,
                    source=storable(path.name),
                    image=path,
                    split="",
                    subject=subject,
                    video=subject,
                    frame=number,
                    extra=extra,
                )


def _first(paths: dict[int, Path], lines: int) -> int | None:
    """The number of the picture of line 1, 0 or 1; None where missing pictures leave it open."""
    if 0 in paths:
        return 0
    return 1 if max(paths) == lines else None


def _numbered(frames: Path, subject: str) -> dict[int, Path]:
    """The pictures of a subject by the number in their names."""
    folder = next((top for top in folders(frames) if subject in top.name), frames / subject)
    numbers = ((re.findall(r"\d+", path.stem), path) for path in pictures(folder))
    return {int(digits[-1]): path for digits, path in numbers if digits}


CORPUS = Corpus(
    name="disfa",
    description="DISFA (Mavadati et al., 2013): 27 subjects, 12 action units with intensities",
    layout=str(_TREE),
    license_terms="Agreement with the University of Denver: research only, no redistribution.",
    commercial_use="no",
    ask="the authors' page, mohammadmahoor.com/disfa",
    read=read,
)
