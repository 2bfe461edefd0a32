"""KDEF: 70 amateur actors, seven posed expressions from five angles, in the names of the files.

``AF01ANS.JPG`` is session A, female 01, anger, straight. The expression's code was read in public
loaders; the other letters are general knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, folders, image_reading, pictures
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["kdef"]
CODES = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
ANGLES = {
    "FL": "full left",
    "HL": "half left",
    "S": "straight",
    "HR": "half right",
    "FR": "full right",
}
_TREE = Tree(
    "KDEF",
    "  [KDEF/|KDEF_and_AKDEF/KDEF/]AF01/AF01ANS.JPG   session A or B, F or M, subject 01 to 35,\n"
    "      AF fear, AN, DI, HA, NE, SA or SU, and S, HL, HR, FL or FR (also all in one folder)",
)
_NAME = re.compile(r"([AB])([FM])(\d\d)([A-Z]{2})(FL|FR|HL|HR|S)", re.IGNORECASE)


def read(source: Path, options: Options) -> Reading:
    """Read all angles; both sessions of a subject have one name, such as F01."""
    tops = [source / "KDEF_and_AKDEF" / "KDEF", source / "KDEF", source]
    root = next((top for top in tops if any(_NAME.fullmatch(p.stem) for p in _files(top))), None)
    if root is None:
        raise _TREE.error(source)
    fields = (pa.field("sex", pa.string()), pa.field("angle", pa.string()))
    return image_reading(lambda: _items(root), source, options, _TREE, SPACE, fields=fields)


def _files(root: Path) -> Iterator[Path]:
    yield from pictures(root)
    for folder in folders(root):
        yield from pictures(folder)


def _items(root: Path) -> Iterator[Entry]:
    for path in _files(root):
        name, match = storable(path.relative_to(root).as_posix()), _NAME.fullmatch(path.stem)
        if match is None or match[4].upper() not in CODES:
            yield LeftOut(name, name, f"not a picture of the corpus, by name: {name}")
            continue
        sex = match[2].upper()
        yield Item(
            id=name,
            source=name,
            image=path,
            split="",
            subject=f"{sex}{match[3]}",
            label=CODES[match[4].upper()],
            extra={
                "sex": "female" if sex == "F" else "male",
                "angle": ANGLES[match[5].upper()],
            },
        )


CORPUS = Corpus(
    name="kdef",
    description="KDEF (Lundqvist et al., 1998): 4,900 pictures, 70 subjects, 7 classes, 5 angles",
    layout=str(_TREE),
    license_terms="Non-commercial research; cite the authors; no redistribution.",
    commercial_use="no",
    ask="kdef.se",
    read=read,
    label_space=SPACE,
)
