"""An index on disk: embeddings, what is known of each face, and the model that made both.

A folder with ``embeddings.usearch``, ``faces.arrow`` (a row per face, in the same order),
``left_out.csv``, ``thumbnails.rgb`` where crops were asked for, and ``index.json``. Everything in
it derives from faces, so only its owner can read it.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import MienError
from mien.files import sha256_of
from mien.inference.model import OnnxModel, open_onnx
from mien.models import find_model, shipped_models
from mien.schema import FloatArray, UInt8Array

if TYPE_CHECKING:
    from usearch.index import Index as UsearchIndex

FORMAT = 1
INFO_FILE = "index.json"
FACES_FILE, EMBEDDINGS_FILE = "faces.arrow", "embeddings.usearch"
LEFT_OUT_FILE, THUMBNAILS_FILE = "left_out.csv", "thumbnails.rgb"

CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 32, 128, 128
"""Edges of each face in the graph, and how many candidates are looked at when a face is added and
when one is searched for (our choice, measured in ``benchmarks/search.md``)."""
_EXACT_SHARE = 4  # where more than one in so many is asked for, comparing all costs no more

Origin = Literal["labels", "network", "blendshapes"]
"""Where numbers come from: labels of a dataset, the model, or the blendshapes of faces."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class IndexedModel(_Part):
    """The model that made the embeddings: its name, its file as it was named, and its digest."""

    name: str
    file: str
    sha256: str
    width: int = Field(ge=1)


class IndexedDataset(_Part):
    """The dataset whose rows are in the index."""

    folder: str
    checksum: str


class IndexedUnits(_Part):
    """Which action units the rows have, from where, and from which value each is present."""

    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    origin: Origin


class FileState(_Part):
    """The size and the digest of a file of the index."""

    bytes: int = Field(ge=0)
    sha256: str


class IndexInfo(_Part):
    """What ``index.json`` says.

    ``valence_arousal`` and ``units`` say where these come from, None where no row has them;
    ``thumbnails`` is the side of the stored crops, None without; ``fps`` are the frames per second
    that were read of videos; ``left_out`` counts by status what was not indexed.
    """

    format: int = FORMAT
    model: IndexedModel
    faces: int = Field(ge=1)
    dataset: IndexedDataset | None = None
    split: str | None = None
    valence_arousal: Origin | None = None
    units: IndexedUnits | None = None
    thumbnails: int | None = None
    fps: float | None = None
    left_out: dict[str, int] = Field(default_factory=dict)
    license_terms: str = ""
    files: dict[str, FileState]
    created_with: str = ""


class FaceIndex:
    """An opened index of ``N`` faces; :func:`open_index` opens one.

    ``info`` says what it holds; ``faces`` is the table of its rows, mapped from the disk.
    """

    def __init__(self, folder: Path, info: IndexInfo, faces: pa.Table) -> None:
        self.folder, self.info, self.faces = folder, info, faces
        self._mapped: memoryview | None = None

    def __len__(self) -> int:
        return self.info.faces

    def __repr__(self) -> str:
        return f"FaceIndex({str(self.folder)!r}, faces={len(self)}, model={self.info.model.name!r})"

    def row(self, number: int) -> dict[str, Any]:
        """Every column of one row by name, None where it has no value."""
        row: dict[str, Any] = self.faces.slice(number, 1).to_pylist()[0]
        return row

    def numbers(self, name: str) -> NDArray[np.float32]:
        """A column of numbers, ``(N,)`` float32, NaN where a row has none."""
        column = self.faces[name].combine_chunks()
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float32)

    def unit_numbers(self, names: tuple[str, ...]) -> NDArray[np.float32]:
        """The values of some action units, ``(N, K)`` float32 in [0, 1], NaN where unknown."""
        columns = [pc.struct_field(self.faces["action_units"], name) for name in names]
        return np.stack(
            [np.asarray(column.to_numpy(zero_copy_only=False), np.float32) for column in columns],
            axis=1,
        )

    def nearest(
        self, embeddings: FloatArray, count: int, *, exact: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows nearest to ``embeddings`` ``(Q, D)`` by cosine, nearest first.

        Returns rows ``(Q, count)`` and their cosines in [-1, 1], both narrower in an index of
        fewer faces. The graph is searched, which misses a few of the nearest; ``exact`` compares
        with all, and so does a search for much of the index.
        """
        count = min(count, len(self))
        if embeddings.ndim != 2 or embeddings.shape[1] != self.info.model.width:
            raise ValueError(
                f"expected embeddings (Q, {self.info.model.width}), got {embeddings.shape}"
            )
        graph, shape = self._embeddings, (len(embeddings), count)
        exact = exact or count * _EXACT_SHARE > len(self)
        asked = np.ascontiguousarray(embeddings, np.float32)
        matches = graph.search(asked, count, exact=exact, threads=1)
        if (
            matches.keys.size < math.prod(shape)
            or np.min(getattr(matches, "counts", count)) < count
        ):
            # The graph has led to fewer.
            matches = graph.search(asked, count, exact=True, threads=1)
        rows = np.asarray(matches.keys, np.int64).reshape(shape)
        return rows, 1 - np.asarray(matches.distances, np.float32).reshape(shape)

    def open_model(
        self, name_or_file: str | os.PathLike[str] | None = None, *, threads: int | None = None
    ) -> OnnxModel:
        """The model that the index was made with, or another file of it.

        Raises :class:`~mien.errors.MienError` for another model, as embeddings of two models have
        nothing to do with each other.
        """
        name = self.info.model.file if name_or_file is None else os.fspath(name_or_file)
        path = find_model(name)
        self.check_model(path, name)
        return open_onnx(path, threads=threads)

    def check_model(self, path: Path, name: str) -> None:
        """Raise :class:`~mien.errors.MienError` unless a file is the model of the index.

        ``name`` is what the user called it.
        """
        made_with = self.info.model
        if (digest := sha256_of(path)) != made_with.sha256:
            raise MienError(
                f"expected the model {made_with.name!r} with which {str(self.folder)!r} was made "
                f"(sha256 {made_with.sha256[:12]}), got {name!r} ({digest[:12]}); name that model "
                "with --model, or make the index again"
            )

    @cached_property
    def thumbnails(self) -> UInt8Array:
        """The stored crops, ``(N, S, S, 3)``, mapped from the disk; only where there are some."""
        path, side = self.folder / THUMBNAILS_FILE, self.info.thumbnails
        assert side is not None
        _check_file(path, self.info.files)
        try:
            return np.memmap(path, np.uint8, "r", shape=(len(self), side, side, 3))
        except ValueError:
            raise _damaged(path, "fewer pixels") from None

    @cached_property
    def _embeddings(self) -> UsearchIndex:
        from usearch.index import Index

        path = self.folder / EMBEDDINGS_FILE
        # A graph with a wrong edge would end the process, so no byte may have changed.
        _check_file(path, self.info.files)
        try:
            # Mapped here, as usearch takes no path that is not valid text; it keeps no reference.
            self._mapped = np.memmap(path, np.uint8, "r").data
            index = Index.restore(self._mapped, view=True, expansion_search=EXPANSION_SEARCH)
            fits = index is not None and (index.size, index.ndim) == (
                len(self),
                self.info.model.width,
            )
        # usearch's errors share no class but Exception.
        except Exception:
            index, fits = None, False
        if index is None or not fits:
            raise _damaged(path, "others")
        return index


def open_index(folder: str | os.PathLike[str]) -> FaceIndex:
    """Open an index that ``mien index`` made.

    Raises :class:`~mien.errors.MienError` for a folder that is none or of another format, and for
    files that are missing or have changed.
    """
    folder = Path(folder)
    info = _read_info(folder)
    path = folder / FACES_FILE
    _check_file(path, info.files)
    try:
        with pa.memory_map(os.fspath(path)) as stream:
            faces = pa.ipc.open_file(stream).read_all()
    except (OSError, pa.ArrowException):
        raise _damaged(path, "others") from None
    if faces.num_rows != info.faces:
        raise _damaged(path, f"{faces.num_rows:,} rows")
    return FaceIndex(folder, info, faces)


def model_of_index(name_or_file: str | os.PathLike[str]) -> tuple[OnnxModel, Path]:
    """Open the model of faces that an index is to be made with, and its file.

    Raises :class:`~mien.errors.MienError` for a model of clips.
    """
    model, path = open_onnx(name_or_file), find_model(name_or_file)
    if model.info.clips is not None:
        raise MienError(
            f"expected a model of faces for an index, got {model.info.name!r}, which reads clips; "
            "name another with --model"
        )
    return model, path


def describe_model(path: Path, name: str, width: int) -> IndexedModel:
    """What the index says of its model; a shipped one is named, others are named by their path."""
    shipped = {str(file): each for each, file in shipped_models().items()}
    file = shipped.get(str(path)) or os.path.abspath(path)
    return IndexedModel(name=name, file=file, sha256=sha256_of(path), width=width)


def file_state(path: Path) -> FileState:
    """The size and the digest of a file."""
    return FileState(bytes=path.stat().st_size, sha256=sha256_of(path))


def _read_info(folder: Path) -> IndexInfo:
    path = folder / INFO_FILE
    try:
        document = json.loads(path.read_text("utf-8"))
        version = document["format"]
    except (FileNotFoundError, NotADirectoryError):
        got = f"no {INFO_FILE} in it" if folder.is_dir() else "no such folder"
        raise MienError(
            f"expected an index at {str(folder)!r}, got {got}; make one with: mien index"
        ) from None
    # RecursionError: lists in lists without end; ValueError: no JSON, or a NUL in the name.
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = reprlib.repr(str(error))
        raise MienError(
            f"expected the description of an index in {str(path)!r}, got {reason}; make it again"
        ) from None
    if version != FORMAT:
        raise MienError(
            f"expected an index of format {FORMAT} in {str(folder)!r}, got "
            f"{reprlib.repr(version)}; make it again"
        )
    try:
        return IndexInfo.model_validate(document)
    except (ValidationError, RecursionError) as error:
        where = ""
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where = f" at {'.'.join(map(str, first['loc']))!r} ({first['msg']})"
        raise MienError(
            f"expected a complete description of an index in {str(path)!r}, got a fault{where}; "
            "make it again"
        ) from None


def _check_file(path: Path, files: dict[str, FileState]) -> None:
    expected = files.get(path.name)
    if expected is None or not path.is_file():
        raise MienError(f"expected {path.name} in {str(path.parent)!r}, got none; make it again")
    if path.stat().st_size != expected.bytes:
        raise _damaged(path, f"{path.stat().st_size:,} bytes instead of {expected.bytes:,}")
    if sha256_of(path) != expected.sha256:
        raise _damaged(path, "another sha256")


def _damaged(path: Path, got: str) -> MienError:
    return MienError(
        f"expected {str(path)!r} as it was written, got {got}: the index is damaged or its files "
        "do not belong together; make it again"
    )
