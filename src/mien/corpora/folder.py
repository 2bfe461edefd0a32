"""A user's own images: one folder per class, with or without splits, or a table of paths."""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from mien.corpora.items import (
    Corpus,
    Item,
    LeftOut,
    Options,
    Reading,
    split_name,
    stamp,
    storable,
)
from mien.corpora.manifest import SUFFIXES, Row, columns_of, read_rows
from mien.corpora.reading import HAS_SPLITS, few_in_train
from mien.corpora.splitting import cut, rank
from mien.corpora.votes import NO_CLASS
from mien.data.dataset import ACTION_UNIT_FIELDS, VALENCE_AROUSAL_FIELDS
from mien.errors import MienError
from mien.faces.kinds import IMAGE_SUFFIXES, PHOTO_SUFFIXES
from mien.labels import EXPRESSIONS, LabelSpace, label_space_of

_LAYOUT = (
    "a folder with one folder of images per class (happy/a.jpg), or train, valid and test folders "
    "with such folders in them (train/happy/a.jpg), or a .csv, .tsv or .parquet file with a column "
    "path (or image bytes in a column image) and, if you have them, label, split, subject, "
    "valence and arousal in [-1, 1], action units (AU1, AU2, ...) in [0, 1], votes in a column for "
    "each expression (votes_anger, ... as counts or shares), and groups (sex, age_group, ... or "
    "group_...); paths are relative to the file"
)
_IGNORED = re.compile(r"\..*|__MACOSX|(readme|licen[cs]e)(\..*)?|thumbs\.db|desktop\.ini", re.I)
_NUMERIC = re.compile(r"[+-]?\d{1,18}")


def read(source: Path, options: Options) -> Reading:
    """Read class folders or a table; see ``CORPUS.layout``.

    Raises :class:`MienError` where neither is found, for numeric labels without
    ``options.classes``, and for unknown names of splits.
    """
    if source.is_dir():
        tops = _top_folders(source)
        with_splits = all(split_name(name) for name in tops)
        return _arrange(lambda _: _folder_rows(source, tops, with_splits), source, options)
    if source.is_file() and source.suffix.lower() in SUFFIXES:
        columns = columns_of(source)
        return _arrange(
            lambda with_images: read_rows(source, columns, with_images=with_images),
            source,
            options,
        )
    got = "something else" if source.exists() else "nothing"
    raise MienError(f"expected at {source} {_LAYOUT}; got {got}")


_NO_IMAGE = "not an image file"  # notes and lists beside the images are no faces that are missing

CORPUS = Corpus(
    name="folder",
    description="your own images, in class folders or listed in a table",
    layout=_LAYOUT,
    license_terms="Your own images, under the terms that you state.",
    yours=True,
    read=read,
    excluded=(_NO_IMAGE,),
)


def _arrange(rows: Callable[[bool], Iterator[Row]], source: Path, options: Options) -> Reading:
    """Collect classes and splits in a first pass over ``rows`` without images; then read items."""
    digest = hashlib.sha256(stamp(source).encode() if source.is_file() else b"")
    total = 0
    voted: set[str] = set()
    columns: set[str] = set()
    labels: set[str] = set()
    splits: set[str] = set()
    subjects: set[str] = set()
    ranks: defaultdict[str | None, array[int]] = defaultdict(lambda: array("Q"))
    for row in rows(False):
        total += 1
        digest.update(f"{row.source}\0{row.stamp}\0".encode())
        if row.problem:
            continue
        columns.update(row.extra)
        voted.update(row.votes)
        split = _split(row, source)
        if row.label is not None:
            labels.add(row.label)
        if split is not None:
            splits.add(split)
        if split in (None, "train"):
            if row.subject is not None:
                subjects.add(row.subject)
            ranks[row.label].append(rank(options.seed, row.id))
    if total == 0:
        raise MienError(f"expected {_LAYOUT}; got no image in {source}; add images")

    space, names = _classes(labels | (voted - set(NO_CLASS.values())), options.classes, source)
    vote_names = (*space.names, *sorted(voted & set(NO_CLASS.values()))) if voted else ()
    valid, test = options.valid_from_train, 0.0
    notes = [
        f"read as one class, {name}: {', '.join(words)}"
        for name, words in _spellings(names).items()
        if len(words) > 1
    ]
    if not splits:
        if valid:
            raise MienError(
                f"expected a source with a split train for --valid-from-train, got one without "
                f"splits in {source}, of which mien makes all three: omit the option"
            )
        valid, test = 0.1, 0.1
    elif valid and "valid" in splits:
        raise MienError(
            f"expected a source without a valid split for --valid-from-train, got one with it in "
            f"{source}: omit the option"
        )
    by_label = {label: cut(values, valid=valid, test=test) for label, values in ranks.items()}
    by_subject = cut((rank(options.seed, name) for name in subjects), valid=valid, test=test)
    if (
        options.valid_from_train
        and max(cuts.valid for cuts in ([by_subject] if subjects else by_label.values())) < 0
    ):
        raise few_in_train(source)
    if valid:
        unit = "by subject" if subjects else "within each class"
        new_splits = (
            "the splits train, valid and test (80, 10, 10 %)"
            if test
            else f"the split valid ({valid:.0%} of train)"
        )
        notes.append(f"mien made {new_splits} {unit} by a hash of the names, seed {options.seed}")

    def items() -> Iterator[Item | LeftOut]:
        for row in rows(True):
            split = _split(row, source)
            if row.problem:
                yield LeftOut(row.id, row.source, row.problem)
                continue
            if splits and split is None:
                yield LeftOut(row.id, row.source, "no split in the table")
                continue
            if split in (None, "train"):
                cuts = by_subject if subjects else by_label[row.label]
                split = cuts.split(rank(options.seed, row.subject or row.id))
            yield Item(
                id=row.id,
                source=row.source,
                image=row.image,
                split=split,
                subject=row.subject,
                label=names[row.label] if row.label is not None else None,
                votes=_votes(row, names, vote_names) if row.votes else None,
                tight=options.tight,
                extra=row.extra,
            )

    return Reading(
        label_space=space,
        items=items,
        fingerprint=digest.hexdigest(),
        total=total,
        vote_names=vote_names,
        fields=_fields(columns),
        notes=tuple(notes),
        unused={} if valid else {"seed": HAS_SPLITS},
    )


def _fields(columns: set[str]) -> tuple[pa.Field, ...]:
    """The columns of the dataset beyond those of every one: numbers, then groups."""
    numbers = [
        field
        for fields in (VALENCE_AROUSAL_FIELDS, ACTION_UNIT_FIELDS)
        if columns & {field.name for field in fields}
        for field in fields
    ]
    groups = sorted(columns - {field.name for field in numbers})
    return (*numbers, *(pa.field(name, pa.string()) for name in groups))


def _votes(row: Row, names: dict[str, str], vote_names: tuple[str, ...]) -> tuple[int, ...]:
    counts = {names.get(name, name): count for name, count in row.votes.items()}
    return tuple(counts.get(name, 0) for name in vote_names)


def _split(row: Row, source: Path) -> str | None:
    if row.split is None:
        return None
    split = split_name(row.split)
    if split is None:
        raise MienError(
            f"expected train, valid or test as the split of {row.id!r} in {source}, got "
            f"{row.split!r}: correct it"
        )
    return split


def _classes(
    labels: set[str], classes: tuple[str, ...] | None, source: Path
) -> tuple[LabelSpace, dict[str, str]]:
    """The label space, and its name for each label that the source uses."""
    codes: dict[str, str] = {}
    for index, entry in enumerate(classes or ()):
        code, _, name = entry.rpartition("=")
        codes[code.strip() or str(index)] = name.strip()
    numeric = sorted((label for label in labels if _NUMERIC.fullmatch(label)), key=int)
    if numeric and not codes:
        raise MienError(
            f"expected class names in {source}, got the numbers {', '.join(numeric)}, whose order "
            f"corpora do not share: name them with --classes, as anger,disgust,... from 0 or as "
            f"1=surprise,2=fear,..."
        )
    if unknown := [label for label in numeric if label not in codes]:
        raise MienError(
            f"expected labels among {', '.join(codes)} in {source}, got {', '.join(unknown)}: name "
            f"every number in --classes, as 1=surprise,2=fear,... if they do not start at 0"
        )
    if not labels and not codes:
        return LabelSpace(name="expressions", names=EXPRESSIONS), {}
    try:
        space = label_space_of(list(codes.values()) or sorted(labels))
        return space, {label: space.names[space.index(codes.get(label, label))] for label in labels}
    except ValidationError:
        got = ", ".join(codes.values()) or ", ".join(sorted(labels))
        raise MienError(
            f"expected at least two distinct classes in {source}, got {got}: add the others, or "
            f"name them all with --classes"
        ) from None
    except ValueError as error:
        raise MienError(
            f"expected --classes that name the labels of {source}, got others: {error}; name every "
            f"label"
        ) from None


def _spellings(names: Mapping[str, str]) -> dict[str, list[str]]:
    """The words of the source for each class."""
    words: defaultdict[str, list[str]] = defaultdict(list)
    for word, name in sorted(names.items()):
        words[name].append(word)
    return words


def _top_folders(source: Path) -> list[str]:
    """The folders in ``source`` that contain images, sorted; these are splits or classes."""
    with _listing(source) as entries:
        folders = sorted(entry.name for entry in entries if _is_folder(entry))
    used = [name for name in folders if next(_walk(source / name), None)]
    splits = [name for name in used if split_name(name)]
    if splits and len(splits) < len(used):
        other = next(name for name in used if name not in splits)
        raise MienError(
            f"expected either split folders or class folders in {source}, got both ({splits[0]}, "
            f"{other}): put all classes into splits, or none"
        )
    if not used:
        raise MienError(f"expected at {source} {_LAYOUT}; got no folder with images in it")
    return used


def _folder_rows(source: Path, tops: list[str], with_splits: bool) -> Iterator[Row]:
    for path in sorted(source.iterdir()):
        if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file():
            name = storable(path.name)
            yield Row(name, name, path, stamp=stamp(path), problem="not in a class folder")
    for top in tops:
        for file in _walk(source / top):
            path = file.relative_to(source)
            name = storable(path.as_posix())
            depth = 1 if with_splits else 0
            problem = ""
            suffix = file.suffix.lower()
            if suffix not in PHOTO_SUFFIXES:
                problem = f"{_NO_IMAGE}: {storable(file.suffix) or 'no suffix'}"
            elif len(path.parts) < depth + 2:
                problem = "not in a class folder"
            elif suffix not in IMAGE_SUFFIXES:
                problem = f"an image format that cannot be read: {suffix}"
            yield Row(
                id=name,
                source=name,
                image=file,
                label=None if problem else storable(path.parts[depth]),
                split=top if with_splits else None,
                stamp=stamp(file),
                problem=problem,
            )


def _walk(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yield the files below ``folder``, sorted; links are followed unless they lead back up."""
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    with _listing(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if _is_folder(entry):
            yield from _walk(folder / entry.name, above | {identity})
        elif not _IGNORED.fullmatch(entry.name):
            yield folder / entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not _IGNORED.fullmatch(entry.name)


def _listing(folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    try:
        return os.scandir(folder)
    except OSError as error:
        raise MienError(
            f"expected to read the folder {folder}, got {error.strerror}: change its permissions"
        ) from None
