"""The table of a live session, whose rows are on disk from the first second on."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.inference.rows import Entry, Rows
from mien.inference.tables import checked_schema
from mien.inference.work.folder import Plan, opened_work, remove_work, work_folder
from mien.inference.work.journal import ROWS_FILE, Finished, Journal, read_rows
from mien.inference.work.merging import write_rows

_PART_SECONDS = 1.0


class LiveTable:
    """Takes the rows of one frame after the other; ``statuses`` counts them."""

    def __init__(self, journal: Journal, rows: Rows, source: str) -> None:
        self._journal, self._rows, self._source = journal, rows, source
        self.statuses: Counter[str] = Counter()
        self._part: Counter[str] = Counter()
        self._parts, self._begun = 0, time.monotonic()

    def add(self, entries: Sequence[Entry]) -> None:
        """Add the rows of a frame."""
        self._part.update(entry.prediction.status.value for entry in entries)
        self._journal.add_rows([self._rows.row(entry) for entry in entries])
        if time.monotonic() - self._begun > _PART_SECONDS:
            self.finish_part()

    def finish_part(self) -> None:
        """Note that the rows so far are whole."""
        part = Finished(self._parts, self._source, True, None, dict(self._part))
        self._journal.finish(part)
        self.statuses.update(self._part)
        self._part.clear()
        self._parts, self._begun = self._parts + 1, time.monotonic()


@contextmanager
def live_table(
    out: str | os.PathLike[str], rows: Rows, source: str, settings: Mapping[str, Any]
) -> Iterator[LiveTable]:
    """A table that appears under its name at the end.

    Whatever ends the block by an error leaves the rows as JSON lines beside it. Raises
    :class:`~mien.errors.MienError` where it cannot be written, and for rows of an earlier session
    that are there still.
    """
    out = Path(out)
    schema, folder = checked_schema(out, rows), work_folder(out)
    left = folder / ROWS_FILE
    if Journal.exists(folder):
        raise MienError(
            f"expected no unfinished work, got rows of an earlier run in {str(left)!r}; move them "
            f"elsewhere and delete {str(folder)!r}, or choose another --out"
        )
    with opened_work(folder, Plan(dict(settings), None, schema), resume=False) as journal:
        table = LiveTable(journal, rows, source)
        try:
            yield table
            table.finish_part()
            write_rows(out, schema, read_rows(folder, journal.entries()))
        except BaseException as error:
            with suppress(MienError):  # of a disk that is full, which the error is about already
                table.finish_part()
                journal.close()
            if isinstance(error, MienError):
                raise MienError(f"{error}; the rows so far are in {str(left)!r}") from error
            raise
    remove_work(folder)
