"""What a corpus reader returns: items in a fixed order, and what they have in common."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from mien.corpora.about import ABOUT, About
from mien.labels import LabelSpace
from mien.licenses import Answer, License
from mien.scales import Scale
from mien.schema import UInt8Array


@dataclass(frozen=True)
class Options:
    """How a corpus is read, where it leaves a choice.

    - ``tight``: the images are tight face crops, so no face is detected.
    - ``classes``: names of numeric labels, in order from 0, or each as ``"1=surprise"``.
    - ``seed``: for splits that the corpus lacks.
    - ``valid_from_train``: the fraction in [0, 1) of train that becomes a split valid.
    - ``landmarks``: detect landmarks in tight crops too.
    - ``fps``: frames per second to keep of a recording, None for all.
    - ``task``: the only task of the recordings to read.
    - ``scale``: the scale of the scores in a table of recordings.
    - ``disjoint``: make splits of recordings that share no subject.
    """

    tight: bool = False
    classes: tuple[str, ...] | None = None
    seed: int = 0
    valid_from_train: float = 0.0
    landmarks: bool = False
    fps: float | None = 5.0
    task: str | None = None
    scale: str | None = None
    disjoint: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.valid_from_train < 1:
            raise ValueError(f"expected a fraction in [0, 1), got {self.valid_from_train}")
        if self.fps is not None and not self.fps > 0:
            raise ValueError(f"expected fps above 0, got {self.fps}")


@dataclass(frozen=True, eq=False)
class Item:
    """One image that may become a row. ``image`` is a path, the bytes of a file, or pixels.

    ``label`` is a name of the reading's label space; ``votes`` follow its vote names. A ``tight``
    image is resized, not aligned. ``box`` says which of several faces is meant: left, top, width,
    height in pixels. ``unit`` is what must not be in two splits, where that is neither the subject
    nor the video; it becomes a column of that name. ``extra`` holds values of the reading's
    additional columns.
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
    box: tuple[float, float, float, float] | None = None
    unit: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class VideoItem:
    """One recording whose frames may become rows.

    ``severity`` is its score and ``task`` what its subject does. Recordings of one ``session`` of
    a subject share one score.
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
    """A row that cannot be used; reasons that agree up to the colon are counted together."""

    id: str
    source: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """A corpus on disk. ``items()`` yields the same entries in the same order every time.

    ``fingerprint`` changes with the names, sizes and times of the source's files. ``total`` is
    the number of entries. ``fields`` are columns beyond those of every dataset. ``notes`` go into
    ``dataset.json``. ``unused`` are options that change nothing in this source, such as ``"seed"``
    where it has splits of its own, each with the reason.
    """

    label_space: LabelSpace
    items: Callable[[], Iterator[Item | VideoItem | LeftOut]]
    fingerprint: str
    total: int
    vote_names: tuple[str, ...] = ()
    fields: tuple[pa.Field, ...] = ()
    notes: tuple[str, ...] = ()
    scale: Scale | None = None
    unused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be prepared; ``layout`` describes the files that its reader expects.

    ``ask`` says where its owners give it away; empty where it comes with no owner.
    ``commercial_use`` is what the license terms say of it; ``works`` are the parts of a corpus
    with terms of their own; what is ``yours`` has the terms that you state. ``color`` is the best
    color for its crops: gray where all of its images are gray. A corpus with ``videos`` consists
    of recordings instead of images. ``excluded`` are the reasons, up to the colon, of rows
    that the corpus itself leaves out, so that none is missing for them.
    """

    name: str
    description: str
    layout: str
    license_terms: str
    read: Callable[[Path, Options], Reading]
    label_space: LabelSpace | None = None
    color: Literal["rgb", "gray"] = "rgb"
    videos: bool = False
    ask: str = ""
    excluded: tuple[str, ...] = ()
    commercial_use: Answer = "unclear"
    works: tuple[License, ...] = ()
    yours: bool = False

    @property
    def about(self) -> About:
        """How the corpus came about, for metadata."""
        return ABOUT[self.name]

    @property
    def licenses(self) -> tuple[License, ...]:
        """What a dataset of the corpus says of licenses."""
        return self.works or (
            License(
                kind="data",
                name=self.about.title,
                license_terms=self.license_terms,
                commercial_use=self.commercial_use,
                attribution="yes" if self.about.citation else "unclear",
                stated_by=f"mien corpora {self.name}",
            ),
        )


def stamp(path: Path) -> str:
    """The size and time of a file, as text; ``"-"`` where there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return "-"
    return f"{status.st_size} {status.st_mtime_ns}"


def fingerprint_of(parts: Iterable[str]) -> str:
    """Compute a hex digest of texts in their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def storable(text: str | os.PathLike[str]) -> str:
    """Convert a file name to valid Unicode: bytes that are not UTF-8 become hex escapes."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def split_name(text: str) -> str | None:
    """Return ``train``, ``valid`` or ``test`` for the usual names of splits, None for others.

    >>> split_name("Validation"), split_name("happy")
    ('valid', None)
    """
    return _SPLITS.get(re.sub(r"[^a-z]", "", text.lower()))


_SPLITS = {
    **dict.fromkeys(("train", "training", "trainset", "trainingset"), "train"),
    **dict.fromkeys(
        (
            *("val", "valid", "validation", "dev", "development", "valset", "validationset"),
            "publictest",
        ),
        "valid",
    ),
    **dict.fromkeys(("test", "testing", "testset", "privatetest"), "test"),
}
