"""Tables as text, however a program wrote them: delimiters, encodings, paths and numbers."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from mien.errors import MienError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def header_of(path: Path) -> tuple[list[str], str]:
    """The names of a table's columns, and the delimiter: comma, semicolon or tab.

    It is the one that is most frequent among the names; Excel writes semicolons in half of Europe.
    Raises :class:`MienError` for a file that is no text.
    """
    with text_of(path) as text:
        first = text.readline()
        delimiter = max(",;\t", key=first.count)
        return next(csv.reader([first], delimiter=delimiter), []), delimiter


def lines_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table below its header, each with its line; empty lines are left out."""
    _, delimiter = header_of(path)
    with text_of(path) as text:
        lines = csv.reader(text, delimiter=delimiter)
        next(lines, None)
        for line in lines:
            if line:
                yield lines.line_num, line


def rows_by_name(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table by lower-case column name; missing cells are empty, more are ignored."""
    names = [name.strip().lower() for name in header_of(path)[0]]
    for _, line in lines_of(path):
        cells = [cell.strip() for cell in line] + [""] * (len(names) - len(line))
        yield dict(zip(names, cells, strict=False))


def listed_file(folder: Path, name: str) -> Path:
    r"""The file that a table in ``folder`` names; ``a\b.png``, from Windows, may be ``a/b.png``."""
    path = folder / name
    if "\\" in name and not _exists(path):
        turned = folder / name.replace("\\", "/")
        return turned if _exists(turned) else path
    return path


def number_of(cell: Any) -> float:
    """A cell as a number; a comma is a decimal point where there is no other point.

    Raises ``ValueError`` for other text.

    >>> number_of("1,5"), number_of(2)
    (1.5, 2.0)
    """
    if isinstance(cell, str) and cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    try:
        return float(cell)
    except (TypeError, OverflowError):
        raise ValueError("no number") from None


@contextmanager
def text_of(path: Path) -> Iterator[TextIO]:
    """The text of a table, which may begin with a byte order mark, also that of UTF-16.

    Raises :class:`MienError` for a file that cannot be read or is no text, here and while it is
    read.
    """
    try:
        with path.open("rb") as file:
            marked = file.read(2) in _UTF16
        with path.open(encoding="utf-16" if marked else "utf-8-sig", newline="") as text:
            yield text
    except (OSError, UnicodeError, csv.Error) as error:
        raise MienError(
            f"expected a table as UTF-8 text at {path}, got {error}: save it again"
        ) from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or with a null byte
        return False
