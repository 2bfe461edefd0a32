"""The dataset folder: ``faces.parquet``, ``crops.npy`` and ``dataset.json``, opened and checked.

Opening reads the description and two headers. Columns and crops are read when they are used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.data.crops import Crops, PartialCrops
from mien.data.description import FORMAT as FORMAT
from mien.data.description import INFO_FILE as INFO_FILE
from mien.data.description import check_checksum, check_file, read_description
from mien.errors import MienError
from mien.files import sha256_of as sha256_of
from mien.heads import HEADS
from mien.labels import LabelSpace
from mien.licenses import License, unclear
from mien.scales import Scale
from mien.schema import FloatArray, Preprocessing

FACES_FILE, CROPS_FILE = "faces.parquet", "crops.npy"
LEFT_OUT_FILE = "left_out.csv"
SPLITS = frozenset(("train", "valid", "test"))
"""The splits of a dataset on disk; :meth:`Dataset.with_splits` gives others."""

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
"""Columns of every ``faces.parquet``; a corpus may add its own after them.

``landmarks`` are x, y pairs as fractions of the crop, flattened. ``quality`` is the detector's
score in [0, 1], null where no detector ran. ``time`` is in seconds.
"""

_NEVER_NULL = frozenset(field.name for field in FACES_SCHEMA if not field.nullable)

VALENCE_AROUSAL_FIELDS: tuple[pa.Field, ...] = tuple(
    pa.field(name, pa.float32()) for name in HEADS["valence_arousal"].columns
)
"""Columns of a corpus with valence and arousal: both in [-1, 1], or both null."""

ACTION_UNIT_FIELDS: tuple[pa.Field, ...] = tuple(
    pa.field(name, pa.float32()) for name in HEADS["action_units"].columns
)
"""Columns of a corpus with action units, ``au01`` to ``au26``, in the order of
:data:`mien.labels.ACTION_UNITS`: 0 absent, 1 present, or an intensity divided by 5; null where
the unit was not annotated."""

SEVERITY_FIELD = pa.field("severity", pa.float32())
"""Column of a corpus with scores: the recording's score on the dataset's scale, or null.

The rows of such a corpus are frames. All rows of one ``video`` are adjacent, ordered by
``frame``, and share one subject, one split and one severity.
"""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared corpus: one row per face, with its crop.

    ``info`` is the content of ``dataset.json``. ``vote_names`` names the columns of
    :attr:`votes` and is empty where there are none. ``crops`` is indexed like an array of shape
    ``(N, S, S, 3)``, uint8 RGB. ``assigned_splits`` is set by :meth:`with_splits`,
    ``assigned_classes`` by :meth:`with_classes`. Pickling carries the folder and the settings, not
    the pixels.
    """

    folder: Path
    label_space: LabelSpace
    preprocessing: Preprocessing
    license_terms: str
    vote_names: tuple[str, ...]
    info: dict[str, Any]
    crops: Crops
    assigned_splits: NDArray[Any] | None = None
    assigned_classes: LabelSpace | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, verify: bool = False) -> Dataset:
        """Open a dataset folder; with ``verify``, also check the checksum of every file.

        Raises :class:`MienError` for a folder that is not a dataset or has another format, and
        for files that are missing, truncated, from another dataset, or (with ``verify``) changed.
        """
        folder = Path(folder)
        description, info = read_description(folder)
        for name in (FACES_FILE, CROPS_FILE, LEFT_OUT_FILE):
            check_file(folder / name, info["files"], verify=verify)
        if verify:
            check_checksum(folder, info)
        preprocessing = description.preprocessing
        rows = _check_faces(folder / FACES_FILE)
        counted = [sum(of_split.values()) for of_split in description.counts.values()]
        if rows != info.get("rows", rows) or (counted and sum(counted) != rows):
            raise MienError(
                f"expected the rows that {folder / INFO_FILE} counts, got {rows:,} in "
                f"{FACES_FILE}: its files do not belong together, prepare it again"
            )
        crops = _open_crops(folder / CROPS_FILE)
        if crops.shape != (rows, preprocessing.size, preprocessing.size, 3):
            raise MienError(
                f"expected {rows} crops of {preprocessing.size} pixels in {folder}, got shape "
                f"{crops.shape}: its files do not belong together, prepare it again"
            )
        return cls(
            folder=folder,
            label_space=description.label_space,
            preprocessing=preprocessing,
            license_terms=description.license_terms,
            vote_names=description.vote_names,
            info=info,
            crops=crops,
        )

    @property
    def licenses(self) -> tuple[License, ...]:
        """What is known about the licenses of the data.

        A dataset that mien wrote before there were such entries has one, which is unclear.
        """
        if entries := self.info.get("licenses"):
            return tuple(License.model_validate(entry) for entry in entries)
        name = str(self.info.get("corpus") or self.folder.name)
        return (unclear("data", name, self.license_terms, stated_by="the dataset's license terms"),)

    def __len__(self) -> int:
        return len(self.crops)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({str(self.folder)!r}, faces={len(self)}, "
            f"size={self.preprocessing.size}, label_space={self.label_space.name!r})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        assigned = (self.assigned_splits, self.assigned_classes)
        return (_reopen, (self.folder, self.preprocessing, *assigned))

    def with_preprocessing(self, preprocessing: Preprocessing) -> Dataset:
        """Return a view of the same rows whose crops and tensors follow ``preprocessing``.

        Crops are stored whole. Where ``preprocessing`` asks for a partial image, each crop is
        composed when it is read, from the regions that its landmarks outline, or from fixed
        regions where it has none. ``mean``, ``std`` and the color order apply to the tensor.
        Raises :class:`MienError` where ``preprocessing`` would cut the crops differently.
        """
        if not preprocessing.cuts_like(self.preprocessing):
            raise MienError(
                f"expected crops as in the dataset ({self.preprocessing.hash}), got a recipe with "
                f"others ({preprocessing.hash}): "
                f"{preprocessing.differences(self.preprocessing)}; prepare the dataset again with "
                "the recipe's settings or change the recipe"
            )
        crops, faces = self.folder / CROPS_FILE, self.folder / FACES_FILE
        whole = preprocessing.partial_image == "full"
        return replace(
            self,
            preprocessing=preprocessing,
            crops=Crops(crops) if whole else PartialCrops(crops, faces, preprocessing),
        )

    def with_splits(self, splits: Sequence[str] | NDArray[Any]) -> Dataset:
        """Return a view of the same rows with other splits, for folds and protocols.

        ``splits`` ``(N,)`` holds a name for each row, such as train, valid or test. The folder
        and ``info`` stay as they are. Raises ``ValueError`` for another number of rows and for
        entries that are not names.
        """
        names = np.array(splits, object)
        if names.shape != (len(self),) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"expected {len(self)} names of splits, got shape {names.shape}")
        return replace(self, assigned_splits=names)

    def with_classes(self, space: LabelSpace) -> Dataset:
        """Return a view of the same rows with the classes of ``space``, matched by name.

        A label that it lacks becomes no label. Raises :class:`MienError` for spaces that share
        fewer than two classes.
        """
        try:
            self.label_space.projection(space)
        except ValueError as error:
            raise MienError(
                f"expected classes of {self.folder}, got others: {error}; choose some of them"
            ) from None
        return replace(self, label_space=space, assigned_classes=space)

    def fixed_boxes(self, rows: NDArray[np.int64] | None = None) -> int:
        """Count the ``rows`` (None: all) without the 478 landmarks that outline their regions.

        Their partial images show fixed regions of the crop. 0 where crops are read whole.
        """
        if not isinstance(self.crops, PartialCrops):
            return 0
        fixed = self.crops.fixed
        return int(np.count_nonzero(fixed if rows is None else fixed[rows]))

    @cached_property
    def faces(self) -> pa.Table:
        """The whole table, with ``N`` rows; :meth:`column` reads a single column."""
        path = self.folder / FACES_FILE
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise _damaged_faces(path, error) from None
        assigned = {"split": self.assigned_splits, "label": self.assigned_classes}
        for name in (name for name, value in assigned.items() if value is not None):
            index = table.schema.get_field_index(name)
            values = pa.array(self.column(name), pa.string())
            table = table.set_column(index, table.schema.field(index), values)
        return table

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(pq.read_schema(self.folder / FACES_FILE).names)

    def names(self, column: str) -> NDArray[np.str_]:
        """A column of names as ``(N,)`` text, "" where one is missing; as :meth:`column` else."""
        return np.array([name or "" for name in self.column(column)], str)

    def column(self, name: str) -> NDArray[Any]:
        """One column as ``(N,)``; a missing string or list is None, a missing number is NaN.

        Raises :class:`MienError` that lists the columns for an unknown name.
        """
        if name == "split" and self.assigned_splits is not None:
            return self.assigned_splits.copy()
        path = self.folder / FACES_FILE
        names = self.column_names
        if name not in names:
            raise MienError(
                f"expected a column of {path} ({', '.join(names)}), got {name!r}: name one of them"
            )
        try:
            column = pq.read_table(path, columns=[name])[name]
            values: NDArray[Any] = column.to_numpy()
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            raise _damaged_faces(path, error) from None
        if name in _NEVER_NULL and column.null_count:
            raise MienError(
                f"expected a {name} in every row of {path}, got {column.null_count} rows without: "
                "prepare the dataset again"
            )
        if name == "label" and self.assigned_classes is not None:
            known = set(self.label_space.names)
            values = np.array([value if value in known else None for value in values], object)
        return values

    @cached_property
    def splits(self) -> NDArray[Any]:
        """The split of each row, ``(N,)`` names.

        Raises :class:`MienError` for others than train, valid and test in the folder.
        """
        names = self.column("split")
        if self.assigned_splits is None and (others := sorted(set(names) - SPLITS)):
            raise MienError(
                f"expected the splits {', '.join(sorted(SPLITS))} in {self.folder / FACES_FILE}, "
                f"got {others[0]!r}: prepare the dataset again"
            )
        return names

    def split_indices(self, name: str) -> NDArray[np.int64]:
        """The rows of a split, ascending, ``(n,)`` int64.

        Raises :class:`MienError` that lists the splits for a split without rows.
        """
        rows = np.flatnonzero(self.splits == name).astype(np.int64)
        if rows.size == 0:
            names = ", ".join(sorted(set(self.splits)))
            raise MienError(
                f"expected a split of {self.folder} ({names}), got {name!r}: name one of them"
            )
        return rows

    @cached_property
    def subjects(self) -> NDArray[Any] | None:
        """The subject of each row, ``(N,)`` names or None; None where no row has a subject."""
        values = self.column("subject")
        return None if all(value is None for value in values) else values

    @cached_property
    def valence_arousal(self) -> FloatArray:
        """Valence and arousal of each row, ``(N, 2)`` float32 in [-1, 1], NaN where unknown.

        NaN in every row of a dataset without these columns. Raises :class:`MienError` for values
        outside [-1, 1] and for a row with only one of the two.
        """
        path = self.folder / FACES_FILE
        names = [field.name for field in VALENCE_AROUSAL_FIELDS]
        if not set(names) <= set(self.column_names):
            return np.full((len(self), 2), np.nan, np.float32)
        values = np.stack([self.column(name).astype(np.float32) for name in names], axis=1)
        unknown = np.isnan(values)
        if (unknown[:, 0] != unknown[:, 1]).any() or (np.abs(values[~unknown]) > 1).any():
            raise MienError(
                f"expected valence and arousal in [-1, 1], or neither, in each row of {path}, got "
                f"others: prepare it again"
            )
        return values

    def numbers(self, head: str) -> FloatArray | None:
        """Return the numeric labels of a head, ``(N,)`` or ``(N, K)``; None without its columns.

        ``head`` is a name in :data:`mien.heads.HEADS`. A missing number is NaN.
        """
        columns = HEADS[head].columns
        if not set(columns) & set(self.column_names):
            return None
        values: FloatArray = getattr(self, head)
        return values

    @cached_property
    def action_units(self) -> FloatArray:
        """Action units of each row, ``(N, 12)`` float32 in [0, 1], NaN where not annotated.

        Columns are :data:`mien.labels.ACTION_UNITS`; values are 0 (absent), 1 (present) or an
        intensity divided by 5. A column that the dataset lacks is NaN in every row. Raises
        :class:`MienError` for values outside [0, 1].
        """
        path = self.folder / FACES_FILE
        columns = set(self.column_names)
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
        scale = self.info.get("scale")
        return None if scale is None else Scale.model_validate(scale)

    @cached_property
    def severity(self) -> FloatArray:
        """The score of each row's recording, ``(N,)`` float32 in points, NaN where unknown.

        Raises :class:`MienError` for a score outside the scale.
        """
        path = self.folder / FACES_FILE
        if self.scale is None or SEVERITY_FIELD.name not in self.column_names:
            return np.full(len(self), np.nan, np.float32)
        values = self.column(SEVERITY_FIELD.name).astype(np.float32)
        if ((values < 0) | (values > self.scale.top)).any():
            raise MienError(
                f"expected scores in [0, {self.scale.top}] in the column severity of {path}, got "
                f"others: prepare it again"
            )
        return values

    @cached_property
    def votes(self) -> NDArray[np.int64] | None:
        """Annotators' votes, ``(N, len(vote_names))`` int64, all zero in a row without votes.

        None for a dataset without votes.
        """
        if not self.vote_names:
            return None
        no_votes = np.zeros(len(self.vote_names), dtype=np.int64)
        rows = [no_votes if row is None else row for row in self.column("votes")]
        whole = all(len(row) == len(no_votes) and not np.isnan(row).any() for row in rows)
        if not whole or not set(self.label_space.names) <= set(self.vote_names):
            raise MienError(
                f"expected a number for each of {', '.join(self.vote_names)} in the votes of "
                f"{self.folder / FACES_FILE}, and a name among them for each class, got others: "
                "prepare the dataset again"
            )
        votes = np.array(rows, dtype=np.int64).reshape(len(rows), len(no_votes))
        if (votes < 0).any():
            raise MienError(
                f"expected votes from 0 in {self.folder / FACES_FILE}, got {votes.min()}: prepare "
                "the dataset again"
            )
        return votes


def _reopen(
    folder: Path,
    preprocessing: Preprocessing,
    splits: NDArray[Any] | None,
    classes: LabelSpace | None = None,
) -> Dataset:
    dataset = Dataset.open(folder).with_preprocessing(preprocessing)
    if classes is not None:
        dataset = dataset.with_classes(classes)
    return dataset if splits is None else dataset.with_splits(splits)


def _check_faces(path: Path) -> int:
    """The number of rows of ``faces.parquet``, which must have all columns."""
    try:
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise _damaged_faces(path, error) from None
    missing = sorted(set(FACES_SCHEMA.names) - set(schema.names))
    if missing:
        raise MienError(
            f"expected the columns {', '.join(missing)} in {path}, got none: prepare the dataset "
            f"again"
        )
    for field in (*FACES_SCHEMA, *VALENCE_AROUSAL_FIELDS, *ACTION_UNIT_FIELDS, SEVERITY_FIELD):
        types = [each.type for each in schema if each.name == field.name]
        if types and types != [field.type]:
            raise MienError(
                f"expected one column {field.name} of {field.type} in {path}, got "
                f"{' and '.join(map(str, types))}: prepare the dataset again"
            )
    return int(metadata.num_rows)


def _damaged_faces(path: Path, error: Exception) -> MienError:
    reason = " ".join(str(error).split())[:200]
    return MienError(f"expected a Parquet file at {path}, got {reason}: prepare the dataset again")


def _open_crops(path: Path) -> Crops:
    try:
        crops = Crops(path)
        stored = crops._stored
        if stored.dtype != np.uint8 or stored.ndim != 4 or stored.shape[3] not in (1, 3):
            raise ValueError(f"an array of {stored.dtype} and shape {stored.shape}")
    # numpy has errors of all kinds for damaged headers.
    except Exception as error:
        raise MienError(
            f"expected crops of shape (N, S, S, 1 or 3) in uint8 in {path}, got {error}: prepare "
            f"the dataset again"
        ) from None
    return crops
