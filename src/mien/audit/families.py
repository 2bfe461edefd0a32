"""Files whose names say that they belong together: versions of one picture, frames of one video.

Only rows whose video the corpus does not name are looked at.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.audit.hashing import Hashes, bit_distances
from mien.audit.rows import Names, Rows
from mien.corpora.items import split_name

ALIKE = 0.01
"""The share of unrelated pairs that are as alike as the neighbors of a series (our choice)."""

_LEAST_FILES = 5
_SAMPLE = 20_000
_VERSION = re.compile(
    r"(?:[ _.-]+(?:crop(?:ped)?|align(?:ed)?|[hv]?flip(?:ped)?|mirror(?:ed)?|aug(?:mented)?"
    r"|rot(?:ated)?|copy|edit(?:ed)?|resized?|scaled|blur(?:red)?|nois[ey])(?:[ _-]?\d+)?"
    r"|[ _-]*\(\d+\)"
    # Exports of labeling tools: name_jpg.rf.HASH
    r"|_(?:jpe?g|png|bmp|webp)\.rf\.[0-9a-f]+)+$",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(.*?)(\d+)$")


def shared_versions(rows: Rows) -> Names:
    """The picture that each row's file is a version of, ``(N,)``, "" unless parts share it.

    IMG_001.jpg and IMG_001_crop.jpg are versions of one picture. Nothing follows from names that
    are given to several files, as where each split counts from 1.
    """
    files: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for row, folder, stem in _files(rows):
        files[folder + (_VERSION.sub("", stem) or stem)].append((folder + stem, row))
    groups = {
        key: [row for _, row in versions]
        for key, versions in files.items()
        if len({name for name, _ in versions}) == len(versions) > 1
    }
    return _shared(rows, groups)


def shared_series(rows: Rows, hashes: Hashes) -> Names:
    """The series that each row's file is of, ``(N,)``, "" unless parts share it.

    frame_0012.jpg and frame_0013.jpg are of one series if its neighbors look alike, as frames of
    a video do: at the median, their ``hashes`` differ in no more bits than those of the nearest
    1 % of unrelated rows. Numbers alone say nothing, because most corpora number their pictures.
    """
    members: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, folder, stem in _files(rows):
        if match := _NUMBERED.fullmatch(stem):
            members[folder + match[1]].append((int(match[2][-18:]), row))
    large = {key: sorted(each) for key, each in members.items() if len(each) >= _LEAST_FILES}
    if not large:
        return np.full(len(rows), "", object)
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, len(rows), (2, _SAMPLE))
    apart = bit_distances(hashes[first], hashes[second])[first != second]
    most = float(np.quantile(apart, ALIKE))
    groups: dict[str, Sequence[int]] = {}
    for key, numbered in large.items():
        numbers = np.array([row for _, row in numbered])
        steps = bit_distances(hashes[numbers[:-1]], hashes[numbers[1:]])
        if float(np.median(steps)) <= most:
            groups[key] = numbers.tolist()
    return _shared(rows, groups)


def _files(rows: Rows) -> Iterator[tuple[int, str, str]]:
    """Rows without a video: their folder without splits, after the scope of names, and the stem."""
    videos, scopes = rows.people("video"), rows.scopes
    for row in np.flatnonzero(videos == "").tolist():
        path = PurePosixPath(str(rows.ids[row]).replace("\\", "/"))
        folders = [each for each in path.parts[:-1] if split_name(each) is None]
        folder = "/".join([f"{scopes[row]}\n", *folders, ""]).replace("\n/", "\n")
        yield row, folder, path.stem


def _shared(rows: Rows, groups: Mapping[str, Sequence[int]]) -> NDArray[Any]:
    keys = np.full(len(rows), "", object)
    for key, numbers in groups.items():
        if len(set(rows.parts[list(numbers)].tolist())) > 1:
            keys[list(numbers)] = key
    return keys
