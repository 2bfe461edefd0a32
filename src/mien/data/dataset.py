"""The dataset folder: ``faces.parquet``, ``crops.npy`` and ``dataset.json``, opened and checked.

Opening reads the description and two headers; columns and crops are read when they are used.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from mien.data.crops import Crops, PartialCrops
from mien.labels import ACTION_UNITS, LabelSpace
from mien.scales import Scale
from mien.schema import FloatArray, MienError, Preprocessing

FORMAT = 1
FACES_FILE, CROPS_FILE, INFO_FILE = "faces.parquet", "crops.npy", "dataset.json"
LEFT_OUT_FILE = "left_out.csv"

FACES_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("corpus", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("video", pa.string()),
        pa.field("frame", pa.int64()),
        pa.field("time", pa.float64()),
        pa.field("label", pa.string()),
        pa.field("votes", pa.list_(pa.int16())),
        pa.field("landmarks", pa.list_(pa.float32())),
        pa.field("alignment", pa.string(), nullable=False),
        pa.field("quality", pa.float32()),
    ]
)
"""Columns that every ``faces.parquet`` has; a corpus may add its own after them.

``landmarks`` are x, y pairs in fractions of the crop, flattened; ``quality`` is the detector's
score in [0, 1] where it has found the face; ``time`` is in seconds.
"""

VALENCE_AROUSAL_FIELDS = (pa.field("valence", pa.float32()), pa.field("arousal", pa.float32()))
"""Columns of a corpus with valence and arousal: in [-1, 1], both null in a row without."""

ACTION_UNIT_FIELDS: tuple[pa.Field, ...] = tuple(
    pa.field(f"au{int(unit.removeprefix('AU')):02d}", pa.float32()) for unit in ACTION_UNITS
)
"""Columns of a corpus with action units, ``au01`` to ``au26``, in the order of
:data:`mien.labels.ACTION_UNITS`: 0 absent, 1 present, or an intensity divided by 5; null where
the unit was not annotated."""

SEVERITY_FIELD = pa.field("severity", pa.float32())
"""Column of a corpus with scores: the recording's on the dataset's scale, null without one.

Rows of such a corpus are frames: all rows of a ``video`` stand together, ``frame`` ascending, and
have one subject, one split and one severity.
"""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared corpus: one row a face, with its crop.

    ``info`` is the whole of ``dataset.json``; ``vote_names`` is empty where there are no votes.
    The folder holds whole crops; :meth:`read_as` gives partial images of them. Pickling carries
    the folder and the preprocessing.
    """

    folder: Path
    label_space: LabelSpace
    preprocessing: Preprocessing
    license_terms: str
    vote_names: tuple[str, ...]
    info: dict[str, Any]
    crops: Crops

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, verify: bool = False) -> Dataset:
        """Open a dataset folder; with ``verify`` also compare every byte with its checksum.

        Raises :class:`MienError` for a folder that is no dataset, is of another format, or whose
        files are missing, cut short, foreign or (with ``verify``) changed.
        """
        folder = Path(folder)
        info = _read_info(folder)
        for name in (FACES_FILE, CROPS_FILE, LEFT_OUT_FILE):
            _check_file(folder / name, info["files"], verify=verify)
        try:
            label_space = LabelSpace.model_validate(info["label_space"])
            preprocessing = Preprocessing.model_validate(info["preprocessing"])
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise MienError(
                f"expected a label space and preprocessing that this version knows in "
                f"{folder / INFO_FILE}, got {first['msg']!r} at {where!r}: prepare it again"
            ) from None
        rows = _check_faces(folder / FACES_FILE)
        crops = _open_crops(folder / CROPS_FILE)
        if crops.shape != (rows, preprocessing.size, preprocessing.size, 3):
            raise MienError(
                f"expected {rows} crops of {preprocessing.size} pixels in {folder}, got shape "
                f"{crops.shape}: its files do not belong together, prepare it again"
            )
        return cls(
            folder=folder,
            label_space=label_space,
            preprocessing=preprocessing,
            license_terms=info["license_terms"],
            vote_names=tuple(info["vote_names"]),
            info=info,
            crops=crops,
        )

    def __len__(self) -> int:
        return len(self.crops)

    def __reduce__(self) -> tuple[Any, tuple[Path, Preprocessing]]:
        return (_open_as, (self.folder, self.preprocessing))

    def read_as(self, preprocessing: Preprocessing) -> Dataset:
        """The same rows, with crops as ``preprocessing`` has them and ``preprocessing`` as theirs.

        With a partial image the crops are composed as they are read, from the regions that each
        row's landmarks outline, or fixed ones without. ``mean``, ``std`` and the order of colors
        act later, on the tensor. Raises :class:`MienError` for crops that are cut otherwise.
        """
        if not preprocessing.cuts_like(self.preprocessing):
            raise MienError(
                f"the recipe's crops ({preprocessing.hash}) are not the dataset's "
                f"({self.preprocessing.hash}): {preprocessing.differences(self.preprocessing)}; "
                "prepare the dataset again with the recipe's settings or change the recipe"
            )
        crops, faces = self.folder / CROPS_FILE, self.folder / FACES_FILE
        whole = preprocessing.partial_image == "full"
        return replace(
            self,
            preprocessing=preprocessing,
            crops=Crops(crops) if whole else PartialCrops(crops, faces, preprocessing),
        )

    def fixed_boxes(self, rows: NDArray[np.int64] | None = None) -> int:
        """How many of ``rows`` (None: all) lack the 478 landmarks that outline their regions.

        Their partial images show fixed fractions of the crop. 0 where crops are read whole.
        """
        if not isinstance(self.crops, PartialCrops):
            return 0
        fixed = self.crops.fixed
        return int(np.count_nonzero(fixed if rows is None else fixed[rows]))

    @cached_property
    def faces(self) -> pa.Table:
        """The whole of ``faces.parquet``; :meth:`column` reads a single column."""
        return pq.read_table(self.folder / FACES_FILE)

    def column(self, name: str) -> NDArray[Any]:
        """One column as ``(N,)``; a missing string or list is None, a missing number NaN."""
        path = self.folder / FACES_FILE
        known = pq.read_schema(path).names
        if name not in known:
            raise MienError(
                f"expected a column of {path} ({', '.join(known)}), got {name!r}: name one of them"
            )
        values: NDArray[Any] = pq.read_table(path, columns=[name])[name].to_numpy()
        return values

    @cached_property
    def splits(self) -> NDArray[Any]:
        """The split of each row, ``(N,)`` strings."""
        return self.column("split")

    def split_indices(self, name: str) -> NDArray[np.int64]:
        """The rows of a split, ascending; raises :class:`MienError` that lists the splits."""
        found = np.flatnonzero(self.splits == name).astype(np.int64)
        if found.size == 0:
            known = ", ".join(sorted(set(self.splits)))
            raise MienError(
                f"expected a split of {self.folder} ({known}), got {name!r}: name one of them"
            )
        return found

    @cached_property
    def subjects(self) -> NDArray[Any] | None:
        """The subject of each row, ``(N,)`` strings or None, or None where no row has one."""
        values = self.column("subject")
        return None if all(value is None for value in values) else values

    @cached_property
    def valence_arousal(self) -> FloatArray:
        """Valence and arousal of each row, ``(N, 2)`` in [-1, 1], NaN where they are unknown.

        A dataset without these columns gives NaN in every row. Raises :class:`MienError` for
        values outside and for a row that has only one of the two.
        """
        path = self.folder / FACES_FILE
        names = [field.name for field in VALENCE_AROUSAL_FIELDS]
        if not set(names) <= set(pq.read_schema(path).names):
            return np.full((len(self), 2), np.nan, np.float32)
        values = np.stack([self.column(name).astype(np.float32) for name in names], axis=1)
        unknown = np.isnan(values)
        if (unknown[:, 0] != unknown[:, 1]).any() or (np.abs(values[~unknown]) > 1).any():
            raise MienError(
                f"expected valence and arousal in [-1, 1], or neither, in each row of {path}, got "
                f"others: prepare it again"
            )
        return values

    @cached_property
    def action_units(self) -> FloatArray:
        """Action units of each row, ``(N, 12)`` float32 in [0, 1], NaN where not annotated.

        Columns are :data:`mien.labels.ACTION_UNITS`; values are 0 (absent), 1 (present) or an
        intensity divided by 5. A column that the dataset lacks is NaN in every row. Raises
        :class:`MienError` for values outside [0, 1].
        """
        path = self.folder / FACES_FILE
        columns = set(pq.read_schema(path).names)
        values = np.full((len(self), len(ACTION_UNIT_FIELDS)), np.nan, np.float32)
        for index, field in enumerate(ACTION_UNIT_FIELDS):
            if field.name in columns:
                values[:, index] = self.column(field.name)
        if ((values < 0) | (values > 1)).any():
            raise MienError(
                f"expected action units in [0, 1] in {path}, got others: prepare it again"
            )
        return values

    @cached_property
    def scale(self) -> Scale | None:
        """The scale of :attr:`severity`; None for a corpus without scores."""
        known = self.info.get("scale")
        return None if known is None else Scale.model_validate(known)

    @cached_property
    def severity(self) -> FloatArray:
        """The score of the recording of each row, ``(N,)``, NaN where it is unknown.

        Raises :class:`MienError` for a score outside the scale.
        """
        path = self.folder / FACES_FILE
        if self.scale is None or SEVERITY_FIELD.name not in pq.read_schema(path).names:
            return np.full(len(self), np.nan, np.float32)
        values = self.column(SEVERITY_FIELD.name).astype(np.float32)
        known = values[~np.isnan(values)]
        if ((known < 0) | (known > self.scale.top)).any():
            raise MienError(
                f"expected scores in [0, {self.scale.top}] in the column severity of {path}, got "
                f"others: prepare it again"
            )
        return values

    @cached_property
    def votes(self) -> NDArray[np.int64] | None:
        """Annotators' votes, ``(N, len(vote_names))``; a row without votes is all zero."""
        if not self.vote_names:
            return None
        rows = self.column("votes")
        none = np.zeros(len(self.vote_names), dtype=np.int64)
        return np.array([none if row is None else row for row in rows], dtype=np.int64)


def _open_as(folder: Path, preprocessing: Preprocessing) -> Dataset:
    return Dataset.open(folder).read_as(preprocessing)


def _read_info(folder: Path) -> dict[str, Any]:
    path = folder / INFO_FILE
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        got = f"no {INFO_FILE} in it" if folder.is_dir() else "no such folder"
        raise MienError(
            f"expected a dataset folder at {folder}, got {got}: make one with mien prepare"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MienError(
            f"expected a dataset description in {path}, got {error}: prepare it again"
        ) from None
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        version = info.get("format") if isinstance(info, dict) else type(info).__name__
        raise MienError(
            f"expected a dataset of format {FORMAT} in {path}, got {version!r}: prepare it again, "
            f"or use the version of mien that made it"
        )
    needed = {"label_space", "preprocessing", "license_terms", "vote_names", "files"}
    if missing := sorted(needed - set(info)):
        raise MienError(
            f"expected {', '.join(missing)} in {path}, got a description without: prepare it again"
        )
    return info


def sha256_of(path: Path) -> str:
    """The hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_file(path: Path, files: dict[str, Any], *, verify: bool) -> None:
    try:
        expected, digest = int(files[path.name]["bytes"]), files[path.name]["sha256"]
    except (KeyError, TypeError, ValueError):
        raise MienError(
            f"expected the size and sha256 of {path.name} in {path.parent / INFO_FILE}, got none: "
            f"prepare it again"
        ) from None
    if not path.is_file():
        raise MienError(f"expected {path.name} in {path.parent}, got none: prepare it again")
    size = path.stat().st_size
    if size != expected:
        raise MienError(
            f"expected {expected:,} bytes in {path}, got {size:,}: the file was cut short "
            f"or replaced, copy it again or prepare it again"
        )
    if verify and sha256_of(path) != digest:
        raise MienError(
            f"expected {path} as it was prepared, got other bytes (sha256 differs): copy it again "
            f"or prepare it again"
        )


def _check_faces(path: Path) -> int:
    """The number of rows of ``faces.parquet``, whose columns must be there."""
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise MienError(
            f"expected a Parquet file at {path}, got {error}: prepare the dataset again"
        ) from None
    missing = sorted(set(FACES_SCHEMA.names) - set(metadata.schema.to_arrow_schema().names))
    if missing:
        raise MienError(
            f"expected the columns {', '.join(missing)} in {path}, got a table without: prepare "
            f"the dataset again"
        )
    return int(metadata.num_rows)


def _open_crops(path: Path) -> Crops:
    try:
        crops = Crops(path)
        stored = crops._stored
        if stored.dtype != np.uint8 or stored.ndim != 4 or stored.shape[3] not in (1, 3):
            raise ValueError(f"an array of {stored.dtype} and shape {stored.shape}")
    except (OSError, ValueError, EOFError) as error:
        raise MienError(
            f"expected crops of shape (N, S, S, 1 or 3) in uint8 in {path}, got {error}: prepare "
            f"the dataset again"
        ) from None
    return crops
