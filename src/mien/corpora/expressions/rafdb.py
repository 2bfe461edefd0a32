"""RAF-DB: faces from the web, basic or compound expressions, with sex, race and age groups.

The lines of ``list_patition_label.txt`` (so spelled), the order of the seven basic and of the
eleven compound classes, and the lines of the manual annotation were read in public loaders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, split_name
from mien.corpora.reading import (
    Entry,
    Tree,
    class_folders,
    first_of,
    folders,
    has_class_folders,
    image_reading,
    lines_of,
)
from mien.labels import COMPOUND_EXPRESSIONS, LABEL_SPACES, LabelSpace

BASIC = dict(enumerate(LABEL_SPACES["rafdb"].names, 1))
COMPOUND = dict(enumerate(COMPOUND_EXPRESSIONS, 1))
"""Names by the codes in the list of labels."""

SEX = {0: "male", 1: "female", 2: "unsure"}
RACE = {0: "Caucasian", 1: "African-American", 2: "Asian"}
AGE_GROUP = {0: "0-3", 1: "4-19", 2: "20-39", 3: "40-69", 4: "70+"}

_LISTS = ("EmoLabel/list_patition_label.txt", "EmoLabel/list_partition_label.txt")
_FIELDS = (
    pa.field("sex", pa.string()),
    pa.field("race", pa.string()),
    pa.field("age_group", pa.string()),
    pa.field("points", pa.list_(pa.float32())),
)
_POINTS_NOTE = (
    "points are the five manual landmarks, x, y of eyes, nose and corners of the mouth, in pixels "
    "of the original picture"
)


def _tree(kind: str, codes: Mapping[int, str]) -> Tree:
    names = ", ".join(f"{code} {name}" for code, name in codes.items())
    return Tree(
        f"RAF-DB ({kind})",
        f"  [{kind}/]EmoLabel/list_patition_label.txt        lines: train_00001.jpg 5\n"
        f"                                                  ({names})\n"
        f"  [{kind}/]Image/aligned/train_00001_aligned.jpg   or Image/original/train_00001.jpg\n"
        f"  [{kind}/]Annotation/manual/train_00001_manu_attri.txt   optional: 5 landmarks, then\n"
        f"                                                  sex, race and age group\n"
        f"  or a copy in folders: {{train,valid,test}}/{{1 to {len(codes)}, or names}}/*.jpg",
    )


def _read(
    source: Path, options: Options, *, kind: str, codes: Mapping[int, str], space: LabelSpace
) -> Reading:
    """Read the aligned faces where they are there, else the original pictures."""
    tree = _tree(kind, codes)
    labels = first_of(source, (f"{top}{name}" for top in ("", f"{kind}/") for name in _LISTS))
    if labels is not None:
        root = labels.parent.parent
        if not any((root / "Image" / folder).is_dir() for folder in ("aligned", "original")):
            raise tree.error(source, f"no folder {root / 'Image'} with pictures")
        return image_reading(
            lambda: _listed(labels, root, codes),
            source,
            options,
            tree,
            space,
            fields=_FIELDS,
            notes=[_POINTS_NOTE],
        )
    if has_class_folders(source):
        names = {str(code): name for code, name in codes.items()}
        return image_reading(lambda: _copy(source, names), source, options, tree, space)
    raise tree.error(source)


def _copy(source: Path, names: Mapping[str, str]) -> Iterator[Entry]:
    """Class folders. The corpus has no part valid: a copy without test calls its test so."""
    without_test = not any(split_name(top.name) == "test" for top in folders(source))
    for entry in class_folders(source, names):
        if isinstance(entry, LeftOut):
            yield entry
            continue
        test = entry.split == "valid" and without_test
        yield replace(entry, tight=True, split="test" if test else entry.split)


def _listed(labels: Path, root: Path, codes: Mapping[int, str]) -> Iterator[Entry]:
    aligned = (root / "Image" / "aligned").is_dir()
    for number, line in enumerate(lines_of(labels), 1):
        if not line:
            continue
        name, _, code = line.partition(" ")
        split = name.partition("_")[0]
        label = codes.get(int(code)) if code.strip().isdigit() else None
        if label is None or split not in ("train", "test"):
            yield LeftOut(name, f"{labels.name}:{number}", f"no label of the corpus: {line!r}")
            continue
        stem = name.removesuffix(".jpg")
        path = f"aligned/{stem}_aligned.jpg" if aligned else f"original/{name}"
        yield Item(
            id=name,
            source=f"Image/{path}",
            image=root / "Image" / path,
            split=split,
            label=label,
            tight=aligned,
            extra=_attributes(root / "Annotation" / "manual" / f"{stem}_manu_attri.txt"),
        )


def _attributes(path: Path) -> Mapping[str, Any]:
    """Five lines of landmarks, then three codes; nothing where the file is absent or other."""
    if not path.is_file():
        return {}
    lines = [line for line in lines_of(path) if line]
    try:
        points = [float(number) for line in lines[:5] for number in line.split()]
        sex, race, age = (int(line) for line in lines[5:8])
    except ValueError:
        return {}
    return {
        "sex": SEX.get(sex),
        "race": RACE.get(race),
        "age_group": AGE_GROUP.get(age),
        "points": points if len(points) == 10 else None,
    }


_LICENSE_TERMS = (
    "Agreement with Beijing University of Posts and Telecommunications: research only, not "
    "commercial, no redistribution."
)
_ASK = "the authors' page, whdeng.cn/RAF/model1.html, from an address of your institution"

CORPUS = Corpus(
    name="rafdb",
    description="RAF-DB, basic (Li et al., 2017): 15,339 web faces, 7 classes, 12,271 in train",
    layout=str(_tree("basic", BASIC)),
    license_terms=_LICENSE_TERMS,
    commercial_use="no",
    ask=_ASK,
    read=partial(_read, kind="basic", codes=BASIC, space=LABEL_SPACES["rafdb"]),
    label_space=LABEL_SPACES["rafdb"],
)
COMPOUND_CORPUS = Corpus(
    name="rafdb-compound",
    description="RAF-DB, compound (Li et al., 2017): web faces with 11 compound expressions",
    layout=str(_tree("compound", COMPOUND)),
    license_terms=_LICENSE_TERMS,
    commercial_use="no",
    ask=_ASK,
    read=partial(_read, kind="compound", codes=COMPOUND, space=LABEL_SPACES["rafdb-compound"]),
    label_space=LABEL_SPACES["rafdb-compound"],
)
