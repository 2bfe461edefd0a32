"""The rows of a table of images: CSV, TSV or Parquet, with paths or with the images."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mien.corpora.action_units import action_unit_columns, action_units
from mien.corpora.affect import valence_arousal
from mien.corpora.items import stamp, storable
from mien.corpora.text_tables import header_of, lines_of, listed_file
from mien.corpora.votes import group_columns, vote_columns, votes
from mien.errors import MienError

SUFFIXES = (".csv", ".tsv", ".parquet")
_COLUMNS = {
    "image": ("path", "file", "filename", "file_name", "image", "image_path"),
    "label": ("label", "expression", "class", "emotion"),
    "split": ("split",),
    "subject": ("subject",),
    "valence": ("valence",),
    "arousal": ("arousal",),
}
_ID_COLUMNS = ("id", "name")


@dataclass(frozen=True)
class Row:
    """One image as named by its folder or table, before classes and splits are known.

    ``stamp`` changes when the file does. ``problem`` is the reason why the row cannot be used.
    ``extra`` holds valence, arousal, action units and groups by column of the dataset, where the
    table has them, ``votes`` the votes by expression.
    """

    id: str
    source: str
    image: Path | bytes
    label: str | None = None
    split: str | None = None
    subject: str | None = None
    stamp: str = ""
    problem: str = ""
    extra: Mapping[str, float | str | None] = field(default_factory=dict)
    votes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns by their role; ``embedded`` images are in the table.

    ``action_units``, ``groups`` and ``votes`` map the dataset's names to the table's.
    """

    image: str
    label: str | None
    split: str | None
    subject: str | None
    identity: str | None
    embedded: bool
    valence: str | None
    arousal: str | None
    action_units: Mapping[str, str]
    groups: Mapping[str, str]
    votes: Mapping[str, str]


def columns_of(path: Path) -> Columns:
    """Find the columns of a table.

    Raises :class:`MienError` where no column holds images, where only one of valence and arousal
    is there, and where two columns name one action unit.
    """
    types: dict[str, Any] = {}
    if path.suffix.lower() == ".parquet":
        try:
            types = {column.name: column.type for column in pq.read_schema(path)}
        except (OSError, pa.ArrowException) as error:
            raise MienError(
                f"expected a Parquet file at {path}, got {error}: copy it again"
            ) from None
    else:
        types = dict.fromkeys(header_of(path)[0])
    names = {name.strip().lower(): name for name in types}
    columns = {
        role: next((names[name] for name in spellings if name in names), None)
        for role, spellings in _COLUMNS.items()
    }
    image = columns["image"]
    if image is None:
        raise MienError(
            f"expected a column {', '.join(_COLUMNS['image'][:-1])} or {_COLUMNS['image'][-1]} in "
            f"{path}, got {', '.join(types) or 'nothing'}: name the column of paths"
        )
    if len(affect := [role for role in ("valence", "arousal") if columns[role]]) == 1:
        raise MienError(
            f"expected both columns valence and arousal in {path}, or neither, got only "
            f"{affect[0]}: add the other"
        )
    try:
        units = action_unit_columns(types)
    except ValueError as error:
        raise MienError(
            f"expected one column for each action unit in {path}, got {error}: remove one"
        ) from None
    kind = types[image]
    embedded = kind is not None and (
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_struct(kind)
    )
    identity = next((names[name] for name in _ID_COLUMNS if embedded and name in names), None)
    return Columns(
        image,
        columns["label"],
        columns["split"],
        columns["subject"],
        identity,
        embedded,
        columns["valence"],
        columns["arousal"],
        units,
        group_columns(types),
        vote_columns(types),
    )


def read_rows(path: Path, columns: Columns, *, with_images: bool) -> Iterator[Row]:
    """Yield the rows of a table in order; embedded images are read only ``with_images``."""
    for index, row in enumerate(_records(path, columns, with_images=with_images)):
        label, split, subject = (
            _text(row.get(column)) if column else None
            for column in (columns.label, columns.split, columns.subject)
        )
        label = re.sub(r"^([+-]?\d+)\.0*$", r"\1", label) if label else None
        extra, counts, extra_problem = _extra(row, columns)
        if columns.embedded:
            image = row.get(columns.image)
            image = image.get("bytes") if isinstance(image, dict) else image
            name = _text(row.get(columns.identity)) if columns.identity else None
            problem = "image unreadable: no bytes" if with_images and not image else ""
            yield Row(
                id=name or f"{path.name}:{index}",
                source=storable(path.name),
                image=image or b"",
                label=label,
                split=split,
                subject=subject,
                problem=problem or extra_problem,
                extra=extra,
                votes=counts,
            )
            continue
        text = _text(row.get(columns.image))
        file = listed_file(path.parent, text or "")
        yield Row(
            id=storable(text or f"{path.name}:{index}"),
            source=storable(text or path.name),
            image=file,
            label=label,
            split=split,
            subject=subject,
            stamp=stamp(file),
            problem=extra_problem if text else "no path in the table",
            extra=extra,
            votes=counts,
        )


def _extra(
    row: Mapping[str, Any], columns: Columns
) -> tuple[Mapping[str, float | str | None], Mapping[str, int], str]:
    """What else a row says and its votes, or the reason why it cannot be used."""
    extra: dict[str, float | str | None] = {}
    try:
        if columns.valence is not None and columns.arousal is not None:
            extra |= valence_arousal(row[columns.valence], row[columns.arousal])
        extra |= action_units({name: row[key] for name, key in columns.action_units.items()})
        counts = votes({name: row[key] for name, key in columns.votes.items()})
    except ValueError as error:
        return {}, {}, str(error)
    extra |= {name: _text(row[key]) for name, key in columns.groups.items()}
    return extra, counts, ""


def _records(path: Path, columns: Columns, *, with_images: bool) -> Iterator[dict[str, Any]]:
    used = [columns.label, columns.split, columns.subject, columns.identity]
    used += [columns.valence, columns.arousal, *columns.action_units.values()]
    used += [*columns.groups.values(), *columns.votes.values()]
    if with_images or not columns.embedded:
        used.append(columns.image)
    if path.suffix.lower() == ".parquet":
        with pq.ParquetFile(path) as table:
            names = [name for name in used if name]
            for batch in table.iter_batches(batch_size=256, columns=names or [columns.image]):
                yield from batch.to_pylist()
        return
    header, _ = header_of(path)
    for number, line in lines_of(path):
        if len(line) != len(header):
            raise MienError(
                f"expected {len(header)} columns in line {number} of {path}, got {len(line)}: "
                "correct it"
            )
        yield dict(zip(header, line, strict=True))


def _text(value: Any) -> str | None:
    """A cell as text; None for empty cells and NaN. Whole floats lose their decimal point."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
