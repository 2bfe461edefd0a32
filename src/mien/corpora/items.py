"""What a corpus reader gives: items in a fixed order, and what belongs to all of them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from mien.labels import LabelSpace
from mien.scales import Scale
from mien.schema import UInt8Array


@dataclass(frozen=True)
class Options:
    """How a corpus is read, where it leaves a choice.

    ``tight``: the images are tight face crops, no face is searched for. ``classes`` names the
    numeric labels, in order from 0, or each as ``"1=surprise"``. ``seed`` and
    ``valid_from_train`` (a fraction in [0, 1)) belong to the splits that a corpus lacks.
    ``landmarks``: landmarks are looked for in tight crops too. Of recordings, ``rate`` frames a
    second are kept (None: all), ``task`` names the only one that is read, ``scale`` is that of a
    table's scores, and ``disjoint`` makes splits in which no subject is twice.
    """

    tight: bool = False
    classes: tuple[str, ...] | None = None
    seed: int = 0
    valid_from_train: float = 0.0
    landmarks: bool = False
    rate: float | None = 5.0
    task: str | None = None
    scale: str | None = None
    disjoint: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.valid_from_train < 1:
            raise ValueError(f"expected a fraction in [0, 1), got {self.valid_from_train}")
        if self.rate is not None and not self.rate > 0:
            raise ValueError(f"expected a rate above 0, got {self.rate}")


@dataclass(frozen=True, eq=False)
class Item:
    """One image that may become a row. ``image`` is a path, a file's bytes or pixels.

    ``label`` is a name of the reading's label space; ``votes`` follow its vote names. A ``tight``
    image is resized, not aligned. ``extra`` fills the reading's own columns.
    """

    id: str
    source: str
    image: Path | bytes | UInt8Array
    split: str
    subject: str | None = None
    label: str | None = None
    votes: tuple[int, ...] | None = None
    tight: bool = False
    video: str | None = None
    frame: int | None = None
    time: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class VideoItem:
    """One recording whose frames may become rows; ``severity`` is its score, ``task`` what is done.

    ``session`` is the subject's sitting: recordings of one have one score.
    """

    id: str
    source: str
    path: Path
    split: str
    subject: str | None = None
    severity: float | None = None
    task: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A row that cannot be used; what stands before a colon in ``reason`` is counted together."""

    id: str
    source: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """A corpus that was found. ``items()`` gives the same entries in the same order every time.

    ``fingerprint`` changes with the source's names, sizes and times; ``total`` counts the
    entries; ``fields`` are columns beyond the common ones; ``notes`` go into ``dataset.json``.
    """

    label_space: LabelSpace
    items: Callable[[], Iterator[Item | VideoItem | LeftOut]]
    fingerprint: str
    total: int
    vote_names: tuple[str, ...] = ()
    fields: tuple[pa.Field, ...] = ()
    notes: tuple[str, ...] = ()
    scale: Scale | None = None


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be prepared; ``layout`` says what its reader expects to find.

    ``color`` is how its crops are best kept: gray where all of its images are gray. A corpus of
    ``videos`` gives recordings instead of images.
    """

    name: str
    description: str
    layout: str
    license_terms: str
    read: Callable[[Path, Options], Reading]
    label_space: LabelSpace | None = None
    color: Literal["rgb", "gray"] = "rgb"
    videos: bool = False


def stamp(path: Path) -> str:
    """Size and time of a file, as text; ``"-"`` where there is none."""
    try:
        status = path.stat()
    except OSError:
        return "-"
    return f"{status.st_size} {status.st_mtime_ns}"


def fingerprint_of(parts: Iterable[str]) -> str:
    """A hex digest of texts and their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def storable(text: str | os.PathLike[str]) -> str:
    """A file name as valid Unicode: bytes that are not UTF-8 become hex escapes."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def split_name(text: str) -> str | None:
    """``train``, ``valid`` or ``test`` for the names that folders and tables use, else None.

    >>> split_name("Validation"), split_name("happy")
    ('valid', None)
    """
    return _SPLITS.get(re.sub(r"[^a-z]", "", text.lower()))


_SPLITS = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(
        ("val", "valid", "validation", "dev", "development", "valset", "publictest"), "valid"
    ),
    **dict.fromkeys(("test", "testing", "testset", "privatetest"), "test"),
}
