"""From the entries of a corpus of images to a reading: counted, fingerprinted, split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from mien.corpora.items import Item, LeftOut, Options, Reading, split_name, stamp, storable
from mien.corpora.splitting import Cuts, cut, rank
from mien.corpora.text_tables import header_of, rows_by_name
from mien.errors import MienError
from mien.faces.kinds import IMAGE_SUFFIXES
from mien.labels import LabelSpace, canonical_expression

Entry = Item | LeftOut

HAS_SPLITS = "it has splits of its own, which no seed changes"
ALL_TIGHT = "all of its images are tight face crops"
ALL_PIXELS = "its pictures are numbers in a table, of one size"


@dataclass(frozen=True)
class Tree:
    """The files that a corpus consists of: its title, and its tree as text, a line for each path.

    Paths are below the folder that the user names.
    """

    title: str
    text: str

    def error(self, source: Path, got: str = "") -> MienError:
        """What a reader raises where the files are not there; it shows the whole tree."""
        got = got or ("something else" if source.exists() else "nothing")
        return MienError(f"expected {self.title} at {source}, got {got}; expected tree:\n{self}")

    def __str__(self) -> str:
        return self.text


def image_reading(
    make: Callable[[], Iterator[Entry]],
    source: Path,
    options: Options,
    tree: Tree,
    space: LabelSpace,
    *,
    fields: Sequence[pa.Field] = (),
    notes: Sequence[str] = (),
    vote_names: Sequence[str] = (),
) -> Reading:
    """Return the reading of the entries that ``make`` yields, the same ones at every call.

    An item whose split is "" gets one: 80, 10 and 10 % of the subjects, else of the videos, else
    of the images, by a hash of their names. ``options.valid_from_train`` moves a fraction of train
    in the same way. Raises :class:`MienError` with the tree where no item is found, and for a
    fraction of train that is none.
    """
    if options.classes is not None:
        raise MienError(
            f"expected no --classes for {tree.title}, which has its own, got some: omit the option"
        )
    digest = hashlib.sha256()
    splits: set[str] = set()
    units = False
    ranks: set[int] = set()
    all_tight = all_pixels = True
    total = 0
    for entry in make():
        total += 1
        if isinstance(entry, LeftOut):
            digest.update(f"{entry.id}\0{entry.reason}\0".encode())
            continue
        image = stamp(entry.image) if isinstance(entry.image, Path) else ""
        labels = f"{entry.label} {entry.votes} {sorted(entry.extra.items())}"
        digest.update(f"{entry.id}\0{entry.split}\0{labels}\0{image}\0".encode())
        splits.add(entry.split)
        all_tight = all_tight and entry.tight
        all_pixels = all_pixels and isinstance(entry.image, np.ndarray)
        units = units or entry.unit is not None
        if entry.split in ("", "train"):
            ranks.add(rank(options.seed, _unit(entry)))
    if not splits:
        raise tree.error(source, f"no usable image in {total} entries")
    made = "" in splits
    if options.valid_from_train and "valid" in splits:
        raise MienError(
            f"expected a source without a valid split for --valid-from-train, got one with it in "
            f"{source}: omit the option"
        )
    if options.valid_from_train and made:
        raise MienError(
            f"expected a source with a split train for --valid-from-train, got one without splits "
            f"in {source}, of which mien makes all three: omit the option"
        )
    valid, test = (0.1, 0.1) if made else (options.valid_from_train, 0.0)
    cuts = cut(ranks, valid=valid, test=test)
    if options.valid_from_train and cuts.valid < 0:
        raise few_in_train(source)
    notes = list(notes)
    if made or valid:
        what = "train, valid and test (80, 10, 10 %)" if made else f"valid ({valid:.0%} of train)"
        notes.append(
            f"the corpus has no such split: mien made {what} by a hash of the names of subjects, "
            f"else of videos or images, seed {options.seed}"
        )

    def items() -> Iterator[Entry]:
        for entry in make():
            yield entry if isinstance(entry, LeftOut) else _split(entry, cuts, options)

    return Reading(
        label_space=space,
        items=items,
        fingerprint=digest.hexdigest(),
        total=total,
        vote_names=tuple(vote_names),
        fields=(*fields, *((pa.field("unit", pa.string()),) if units else ())),
        notes=tuple(notes),
        unused={
            **({} if made or valid else {"seed": HAS_SPLITS}),
            **({"tight": ALL_TIGHT} if all_tight else {}),
            **({"max-pixels": ALL_PIXELS} if all_pixels else {}),
        },
    )


def few_in_train(source: Path) -> MienError:
    """What a reader raises where train is too small for a fraction of it to become valid."""
    return MienError(
        f"expected three or more subjects, videos or images in train for --valid-from-train, got "
        f"fewer in {source}: omit the option"
    )


def _unit(item: Item) -> str:
    """What must not be in two splits: a subject, else a video, else the image."""
    return item.unit or item.subject or item.video or item.id


def _split(item: Item, cuts: Cuts, options: Options) -> Item:
    split = item.split
    if split in ("", "train"):
        split = cuts.split(rank(options.seed, _unit(item)))
    extra = item.extra if item.unit is None else {**item.extra, "unit": item.unit}
    return replace(item, split=split, tight=item.tight or options.tight, extra=extra)


def first_of(source: Path, names: Iterable[str]) -> Path | None:
    """The first of some paths, relative to ``source``, that is there; None where none is.

    >>> first_of(Path("nowhere"), ["a.txt"]) is None
    True
    """
    return next((path for name in names if (path := source / name).exists()), None)


def pictures(folder: Path) -> list[Path]:
    """The images in a folder, by name; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def folders(folder: Path) -> list[Path]:
    """The folders in a folder, by name, without hidden ones; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a text file without white space around them, with or without a byte order mark.

    Raises :class:`MienError` for a file that cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as text:
            for line in text:
                yield line.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MienError(f"expected UTF-8 text at {path}, got {error}: copy it again") from None


def table_rows(path: Path, columns: Iterable[str]) -> Iterator[dict[str, str]]:
    """The rows of a table by lower-case column name, without white space around names and cells.

    Delimiters and encodings are as for :mod:`mien.corpora.text_tables`. Raises :class:`MienError`
    for a file that cannot be read or lacks one of ``columns``.
    """
    header = [name.strip().lower() for name in header_of(path)[0]]
    if missing := [name for name in columns if name not in header]:
        raise MienError(
            f"expected the columns {', '.join(columns)} in {path}, got none of "
            f"{', '.join(missing)}: copy it again"
        )
    yield from rows_by_name(path)


def native(path: str) -> str:
    r"""A relative path with slashes, as some tables were written on Windows.

    >>> native("737\\a.JPG")
    '737/a.JPG'
    """
    return path.strip().replace("\\", "/")


def class_folders(source: Path, codes: Mapping[str, str]) -> Iterator[Entry]:
    """The images of ``SPLIT/CLASS/*``; a class is a name, or a number that ``codes`` names.

    A folder whose name is neither is left out as a whole, with the reason.
    """
    for top in folders(source):
        split = split_name(top.name)
        if split is None:
            continue
        for folder in folders(top):
            relative = storable(folder.relative_to(source).as_posix())
            try:
                label = codes.get(folder.name) or canonical_expression(folder.name)
            except ValueError:
                yield LeftOut(relative, relative, f"folder of no class of the corpus: {relative}")
                continue
            for path in pictures(folder):
                name = storable(path.relative_to(source).as_posix())
                yield Item(id=name, source=name, image=path, split=split, label=label)


def has_class_folders(source: Path) -> bool:
    """Whether there are folders of splits with folders in them."""
    return any(split_name(top.name) and folders(top) for top in folders(source))
