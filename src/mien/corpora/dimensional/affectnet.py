"""AffectNet: web faces with an expression, valence and arousal, in its published forms.

The columns of the original tables, the folders of the 8-label release with its ``.npy`` files
(whose scalars may be text) and the copies in class folders were read in public loaders; that -2
marks a face without valence and arousal is general knowledge. For the soft labels of AffectNet+
no public loader was found: their columns and their file are our assumption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.corpora.affect import valence_arousal
from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, split_name, storable
from mien.corpora.reading import (
    Entry,
    Tree,
    class_folders,
    first_of,
    folders,
    has_class_folders,
    image_reading,
    native,
    pictures,
    table_rows,
)
from mien.data.dataset import VALENCE_AROUSAL_FIELDS
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["affectnet8"]
CODES = {str(code): name for code, name in enumerate(SPACE.names)}
UNLABELED = {"8": "none", "9": "uncertain"}
"""Codes without an expression, whose valence and arousal may be known."""
NO_FACE = "10"
_LABELED_NO_FACE = "labeled as no face"

_TABLES = {"train": ("training.csv",), "valid": ("validation.csv",)}
_COLUMNS = ("subdirectory_filepath", "expression", "valence", "arousal")
_THOUSAND = 1000
_TREE = Tree(
    "AffectNet",
    "  training.csv, validation.csv   subDirectory_filePath, face_x, face_y, face_width,\n"
    "      face_height, expression, valence, arousal; for AffectNet+ also a column of shares for\n"
    "      each class, by name\n"
    "  [Manually_Annotated_Images/]737/abc.jpg\n"
    "  or the release with 8 labels: {train_set,val_set}/images/0.jpg and\n"
    "      {train_set,val_set}/annotations/0_exp.npy, 0_val.npy, 0_aro.npy, for AffectNet+ also\n"
    "      0_soft.npy with a share for each class\n"
    "  or a copy in folders: {train,val,test}/{0 to 7, or names}/*.jpg\n"
    f"  classes: {', '.join(f'{code} {name}' for code, name in CODES.items())}; 8 none,\n"
    "      9 uncertain and 10 no face have no class",
)
_SOFT = "votes are AffectNet+'s soft labels in thousandths"


def read(source: Path, options: Options) -> Reading:
    """Read the original tables, the release with 8 labels, or class folders."""
    tables = {split: first_of(source, names) for split, names in _TABLES.items()}
    present = {split: path for split, path in tables.items() if path is not None}
    if present:
        soft = any(_soft_columns(path) for path in present.values())
        return _reading(lambda: _original(source, present), source, options, soft)
    parts = [top for top in folders(source) if (top / "annotations").is_dir()]
    if parts:
        soft = any(next((top / "annotations").glob("*_soft.npy"), None) for top in parts)
        return _reading(lambda: _release(source, parts), source, options, soft)
    if has_class_folders(source):
        return image_reading(lambda: _copies(source), source, options, _TREE, SPACE)
    raise _TREE.error(source)


def _reading(make: Any, source: Path, options: Options, soft: bool) -> Reading:
    return image_reading(
        make,
        source,
        options,
        _TREE,
        SPACE,
        fields=VALENCE_AROUSAL_FIELDS,
        vote_names=SPACE.names if soft else (),
        notes=[_SOFT] if soft else [],
    )


def _soft_columns(table: Path) -> bool:
    row = next(table_rows(table, _COLUMNS), {})
    return all(name in row for name in SPACE.names)


def _original(source: Path, tables: Mapping[str, Path]) -> Iterator[Entry]:
    root = first_of(source, ("Manually_Annotated_Images", "Manually_Annotated")) or source
    for split, table in tables.items():
        for row in table_rows(table, _COLUMNS):
            name = native(row["subdirectory_filepath"])
            try:
                box = tuple(
                    float(row[key]) for key in ("face_x", "face_y", "face_width", "face_height")
                )
            except (KeyError, ValueError):
                box = ()
            entry = _entry(
                name,
                root / name,
                split,
                row["expression"],
                row["valence"],
                row["arousal"],
                [row[key] for key in SPACE.names] if all(key in row for key in SPACE.names) else (),
            )
            if isinstance(entry, Item) and len(box) == 4 and min(box[2:]) > 0:
                entry = replace(entry, box=box)
            yield entry


def _release(source: Path, parts: list[Path]) -> Iterator[Entry]:
    for part in parts:
        split = split_name(part.name)
        for path in pictures(part / "images"):
            name = storable(path.relative_to(source).as_posix())
            if split is None:
                yield LeftOut(name, name, f"folder of no split: {part.name}")
                continue
            try:
                cells = {
                    key: _scalar(part / "annotations" / f"{path.stem}_{key}.npy")
                    for key in ("exp", "val", "aro")
                }
                soft = part / "annotations" / f"{path.stem}_soft.npy"
                shares = np.load(soft, allow_pickle=False).ravel() if soft.is_file() else ()
            except (OSError, ValueError) as error:
                yield LeftOut(name, name, f"annotation missing or unreadable: {error}")
                continue
            entry = _entry(name, path, split, cells["exp"], cells["val"], cells["aro"], shares)
            yield replace(entry, tight=True) if isinstance(entry, Item) else entry


def _scalar(path: Path) -> str:
    """The one value of an ``.npy`` file, as text: some hold a number and some a string."""
    return str(np.load(path, allow_pickle=False).item()).strip()


def _copies(source: Path) -> Iterator[Entry]:
    for entry in class_folders(source, CODES):
        yield entry if isinstance(entry, LeftOut) else replace(entry, tight=True)


def _entry(
    name: str, path: Path, split: str, code: str, valence: str, arousal: str, shares: Any
) -> Entry:
    code = code.removesuffix(".0")
    if code == NO_FACE:
        return LeftOut(name, name, _LABELED_NO_FACE)
    if code not in CODES and code not in UNLABELED:
        return LeftOut(name, name, f"no label of the corpus: {code!r}")
    try:
        affect = valence_arousal(valence, arousal)
        soft = [float(share) for share in shares]
    except ValueError as error:
        return LeftOut(name, name, str(error))
    if len(soft) not in (0, len(SPACE)) or not all(0 <= share <= 1 for share in soft):
        return LeftOut(name, name, f"soft label is not a share for each class: {soft}")
    return Item(
        id=name,
        source=name,
        image=path,
        split=split,
        label=CODES.get(code),
        votes=tuple(round(_THOUSAND * share) for share in soft) or None,
        extra=affect,
    )


CORPUS = Corpus(
    name="affectnet",
    description="AffectNet (Mollahosseini et al., 2017), AffectNet+ (Fard et al., 2024): web faces",
    layout=str(_TREE),
    license_terms=(
        "Agreement with the University of Denver: research only, not commercial, no redistribution."
    ),
    commercial_use="no",
    ask="the authors' page, mohammadmahoor.com, by the head of a laboratory",
    read=read,
    label_space=SPACE,
    excluded=(_LABELED_NO_FACE,),
)
