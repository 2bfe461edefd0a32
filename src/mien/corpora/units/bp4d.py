"""BP4D: 41 subjects, eight tasks, action units as present, absent or unknown (9).

The names of the coding tables were read in public loaders; that their first row names the units
and their first column the frame is general knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from mien.corpora.action_units import action_units
from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, first_of, image_reading, lines_of, pictures
from mien.data.dataset import ACTION_UNIT_FIELDS
from mien.labels import LABEL_SPACES

_SPACE = LABEL_SPACES["ferplus"]
_OTHERS = tuple(pa.field(f"au{unit:02d}", pa.float32()) for unit in (14, 17))
_CODES = ("AUCoding/AU_OCC", "AU_OCC", "AUCoding")
_FRAMES = ("Sequences", "2D", "images", "Images", "BP4D-training")
_NAME = re.compile(r"([FM]\d{3})_(T\d)", re.IGNORECASE)
_FIELDS = (
    *ACTION_UNIT_FIELDS,
    *_OTHERS,
    pa.field("sex", pa.string()),
    pa.field("task", pa.string()),
)
_NOT_ANNOTATED = "frame not annotated"
_TREE = Tree(
    "BP4D",
    "  AUCoding/F001_T1.csv   a first row with 0 (or a name) and the units, then a row for each\n"
    "      frame: its number and 0, 1 or 9 (unknown) for each unit (also AUCoding/AU_OCC)\n"
    "  Sequences/F001/T1/0001.jpg   (also 2D/F001/T1, images/F001/T1)",
)


def read(source: Path, options: Options) -> Reading:
    """Read every coded frame; units outside the twelve of mien keep columns of their own."""
    codes, frames = first_of(source, _CODES), first_of(source, _FRAMES)
    if codes is None or frames is None or not any(map(_matched, codes.glob("*.csv"))):
        raise _TREE.error(source, "no folder of frames" if codes else "no tables of action units")
    return image_reading(
        lambda: _items(codes, frames), source, options, _TREE, _SPACE, fields=_FIELDS
    )


def _matched(path: Path) -> re.Match[str] | None:
    return _NAME.match(path.stem)


def _items(codes: Path, frames: Path) -> Iterator[Entry]:
    for table in sorted(codes.glob("*.csv")):
        match = _matched(table)
        if match is None:
            yield LeftOut(storable(table.name), storable(table.name), "not a table of the corpus")
            continue
        subject, task = match[1].upper(), match[2].upper()
        paths = {
            int(path.stem): path
            for path in pictures(frames / subject / task)
            if path.stem.isdigit()
        }
        lines = filter(None, lines_of(table))
        units = [cell.strip().upper().removeprefix("AU") for cell in next(lines, "").split(",")[1:]]
        for line in lines:
            number, *cells = line.split(",")
            name = f"{subject}_{task}/{number.strip()}"
            try:
                row = {f"au{int(u):02d}": c for u, c in zip(units, cells, strict=True)}
                known = {field.name for field in (*ACTION_UNIT_FIELDS, *_OTHERS)}
                extra = action_units({key: row[key] for key in row if key in known})
                path = paths.get(int(number))
            except ValueError as error:
                yield LeftOut(name, table.name, f"row unreadable: {error}")
                continue
            if path is None:
                yield LeftOut(name, table.name, "frame missing")
            elif all(value is None for value in extra.values()):
                yield LeftOut(name, table.name, _NOT_ANNOTATED)
            else:
                yield Item(
                    id=name,
                    source=f"{subject}/{task}/{storable(path.name)}",
                    image=path,
                    split="",
                    subject=subject,
                    video=f"{subject}_{task}",
                    frame=int(number),
                    extra={
                        **extra,
                        "sex": "female" if subject[0] == "F" else "male",
                        "task": task,
                    },
                )


CORPUS = Corpus(
    name="bp4d",
    description="BP4D-Spontaneous (Zhang et al., 2014): 41 subjects, 8 tasks, action units",
    layout=str(_TREE),
    license_terms="Agreement with Binghamton University: research only, no redistribution.",
    commercial_use="no",
    ask="cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html, by the head of a laboratory",
    read=read,
    excluded=(_NOT_ANNOTATED,),
)
