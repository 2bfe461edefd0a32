"""Votes of annotators for clips, from a table beside the lists: text, or a sheet of a workbook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.corpora.text_tables import rows_by_name
from mien.errors import MienError

_NOT_READ = (
    'the votes in {name} were not read: pip install "mien[xlsx]", or save the table as {stem}.csv'
)
_OTHERS = "votes that do not agree with a clip's label are not read"


@dataclass(frozen=True)
class Votes:
    """Counts by clip, in the order of the classes; ``notes`` say what was not read."""

    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.counts)

    def of(self, clip: str, label: str) -> tuple[int, ...] | None:
        """The votes for a clip, None where there are none or most are for another class."""
        counts = self.counts.get(_plain(clip))
        if counts is None or counts[self.names.index(label)] < max(1, *counts):
            return None
        return counts


def votes_of(folder: Path, stem: str, key: str, columns: Mapping[str, str]) -> Votes:
    """Read ``STEM.csv``, or else ``STEM.xlsx``: a row for each clip, named by the column ``key``.

    ``columns`` maps the columns of votes to classes, in their order. A row that has no whole
    numbers there is passed over. Without a file, or without the package openpyxl for a workbook,
    there are no votes. Raises :class:`MienError` for a table that cannot be read or lacks a column.
    """
    table, workbook = folder / f"{stem}.csv", folder / f"{stem}.xlsx"
    if table.is_file():
        path, rows = table, rows_by_name(table)
    elif workbook.is_file():
        try:
            import openpyxl  # noqa: F401
        except ImportError:
            return Votes(notes=(_NOT_READ.format(name=workbook.name, stem=stem),))
        path, rows = workbook, _rows(workbook)
    else:
        return Votes()
    counts: dict[str, tuple[int, ...]] = {}
    for row in rows:
        if missing := [name for name in (key, *columns) if name not in row]:
            raise MienError(
                f"expected the columns {key}, {', '.join(columns)} in {path}, got none of "
                f"{', '.join(missing)}: copy it again, or remove it to read no votes"
            )
        try:
            cells = tuple(_count(row[name]) for name in columns)
        except (TypeError, ValueError, OverflowError):
            continue
        counts[_plain(row[key])] = cells
    return Votes(counts, tuple(columns.values()), (_OTHERS,))


def _count(cell: Any) -> int:
    value = float(cell if cell is not None and str(cell).strip() else 0)
    if not (value.is_integer() and 0 <= value < 2**15):
        raise ValueError("no count")
    return int(value)


def _plain(name: Any) -> str:
    """The name of a clip without what a spreadsheet or a list adds: 00012, 12.0 and 12 are one."""
    text = str(name).strip().removesuffix(".0")
    return text.lstrip("0") or "0"


def _rows(workbook: Path) -> Iterator[dict[str, Any]]:
    """The rows of the first sheet by lower-case name of the column."""
    import openpyxl

    try:
        with (
            workbook.open("rb") as stream,
            closing(openpyxl.load_workbook(stream, read_only=True, data_only=True)) as book,
        ):
            rows = book.worksheets[0].iter_rows(values_only=True)
            header = [str(cell).strip().lower() for cell in next(rows, ())]
            for row in rows:
                if any(cell is not None for cell in row):
                    yield dict(zip(header, row, strict=False))
    # openpyxl's errors for a damaged file share no class but Exception.
    except Exception as error:
        raise MienError(
            f"expected a workbook at {workbook}, got {error}: copy it again, or save the table as "
            f"{workbook.stem}.csv"
        ) from None
