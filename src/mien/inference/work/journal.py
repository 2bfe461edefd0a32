"""Rows as they come, and which input each belongs to, on disk; and both found again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from mien.errors import MienError
from mien.files import explaining, flush_to_disk
from mien.inference.inputs.sources import Source
from mien.inference.inputs.watching import FileState, file_state

ROWS_FILE, SOURCES_FILE = "rows.jsonl", "sources.jsonl"
_BEGIN = b'"a run begins"'
# What a power cut may cost, in seconds; a killed process loses at most what it was reading.
_SYNC_SECONDS = 10.0

Row = dict[str, Any]


class Finished(NamedTuple):
    """An input that was read: its place among the inputs, and where its rows are.

    ``state`` is that of the file when it was read, None where there was none. ``rows`` are the
    first byte and the end in ``rows.jsonl``. ``statuses`` counts rows by status, ``incomplete``
    says that the file could not be read, or not to its end, and ``uses`` are the statements of use
    that go with the rows.
    """

    number: int
    path: str
    video: bool
    state: FileState | None
    statuses: dict[str, int]
    incomplete: bool = False
    uses: Sequence[str] = ()
    rows: tuple[int, int] = (0, 0)

    def line(self) -> bytes:
        """The entry as a line of JSON; names that are no text keep their bytes."""
        return json.dumps(self._asdict(), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Finished | None:
        """The entry in a line; None for another line, such as one that was cut off."""
        try:
            fields = json.loads(line)
            state = fields["state"]
            first, end = fields["rows"]
            return cls(
                **fields
                | {"state": None if state is None else FileState(*state), "rows": (first, end)}
            )
        except (ValueError, LookupError, TypeError):
            return None


class Journal:
    """The files of a work folder, opened to be added to; what earlier runs finished is found.

    ``changed`` counts the inputs that have changed since they were read, ``reused`` those that
    have not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed = self.reused = 0
        with explaining(folder):
            self._rows = _opened(folder / ROWS_FILE)
            self._sources = _opened(folder / SOURCES_FILE)
            self._index = _Index(folder / SOURCES_FILE, self._rows.seek(0, os.SEEK_END))
            # Behind the last whole line there may be half of one, and rows of half a source.
            self._first = self._rows.seek(self._rows.truncate(self._index.rows_end))
            self._begun = self._sources.seek(self._sources.truncate(self._index.end))
            self._sources.write(_BEGIN + b"\n")
            self._flush()
        self._synced = time.monotonic()

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether an input was finished in a work folder."""
        try:
            with (folder / SOURCES_FILE).open("rb") as stream:
                return any(Finished.parse(line) for line in stream)
        except FileNotFoundError:
            return False

    def earlier(self, source: Source) -> Finished | None:
        """What an earlier run finished of a source that has not changed since; None without."""
        finished = self._index.find(source)
        if finished is None or source.fault:
            return None
        if file_state(source.path) != finished.state:
            self.changed += 1
            return None
        self.reused += 1
        return finished

    def all_earlier(self) -> Iterator[Finished]:
        """Everything that earlier runs finished, each once, in the order in which it was read."""
        seen = set()
        for finished in self._entries(0, self._begun):
            if finished.rows not in seen:
                seen.add(finished.rows)
                yield finished

    @property
    def gone(self) -> int:
        """How many inputs of earlier runs were not asked for in this one."""
        return self._index.unused

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Add rows of the source that is being read."""
        lines = [
            json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            for row in rows
        ]
        with explaining(self.folder):
            self._rows.writelines(line + b"\n" for line in lines)

    def finish(self, entry: Finished) -> None:
        """Note that the rows since the last call are all that an input gives."""
        end = self._rows.tell()
        self._note(entry._replace(rows=(self._first, end)))
        self._first = end

    def repeat(self, number: int, finished: Finished) -> None:
        """Note that a source has the rows that it had in an earlier run."""
        self._note(finished._replace(number=number))

    def close(self) -> None:
        """Close the files; what was finished stays."""
        self._index.close()
        if not self._rows.closed:
            with explaining(self.folder), self._rows, self._sources:
                self._flush()

    def entries(self) -> Iterator[Finished]:
        """What this run finished, in the order of the inputs."""
        self._flush()
        return self._entries(self._begun, None)

    def _entries(self, first: int, end: int | None) -> Iterator[Finished]:
        with (self.folder / SOURCES_FILE).open("rb") as stream:
            stream.seek(first)
            for line in stream:
                if end is not None and stream.tell() > end:
                    return
                finished = Finished.parse(line)
                if finished is not None:
                    yield finished

    def _note(self, finished: Finished) -> None:
        with explaining(self.folder):
            # The rows must be there before the line that says so.
            self._rows.flush()
            self._sources.write(finished.line())
            self._sources.flush()
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                self._flush()
                self._synced = time.monotonic()

    def _flush(self) -> None:
        flush_to_disk(self._rows)
        flush_to_disk(self._sources)


def last_run(folder: Path) -> Iterator[Finished]:
    """What the last run in a work folder finished, in the order of the inputs."""
    with (folder / SOURCES_FILE).open("rb") as stream:
        first = 0
        for line in stream:
            if line.startswith(_BEGIN):
                first = stream.tell()
        stream.seek(first)
        yield from filter(None, map(Finished.parse, stream))


def read_rows(
    folder: Path, entries: Iterable[Finished]
) -> Iterator[tuple[Finished, Iterator[Row]]]:
    """Each entry with its rows, which must be read before the next entry.

    Raises :class:`~mien.errors.MienError` where the disk has lost some.
    """
    with (folder / ROWS_FILE).open("rb") as stream:
        for entry in entries:
            yield entry, _rows_of(folder, stream, entry)


def _rows_of(folder: Path, stream: BinaryIO, entry: Finished) -> Iterator[Row]:
    place, end = entry.rows
    stream.seek(place)
    while place < end:
        line = stream.readline()
        place += len(line)
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or place > end:
            raise MienError(
                f"expected whole rows in {str(folder / ROWS_FILE)!r}, got damaged ones; delete "
                f"{str(folder)!r} and begin anew"
            )
        yield row


def _opened(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


class _Index:
    """Where the line of each path is: 16 bytes for each, however long its name."""

    def __init__(self, sources: Path, rows_size: int) -> None:
        hashes, places = array("Q"), array("Q")
        self.end = self.rows_end = place = 0
        self._stream = sources.open("rb")
        for line in self._stream:
            finished = Finished.parse(line)
            if finished is not None and finished.rows[1] <= rows_size:
                hashes.append(_hash(finished.path))
                places.append(place)
                self.rows_end = max(self.rows_end, finished.rows[1])
            place += len(line)
            if line.endswith(b"\n"):
                self.end = place
        self._hashes = np.frombuffer(hashes, np.uint64) if hashes else np.empty(0, np.uint64)
        order = np.argsort(self._hashes, kind="stable")
        self._hashes = self._hashes[order]
        self._places = np.array(places, np.uint64)[order]
        self._used = np.zeros(len(order), np.bool_)

    def find(self, source: Source) -> Finished | None:
        """The last entry of a source; it counts as used."""
        key = np.uint64(_hash(source.path))
        first = int(np.searchsorted(self._hashes, key, "left"))
        end = int(np.searchsorted(self._hashes, key, "right"))
        self._used[first:end] = True
        for place in self._places[first:end][::-1].tolist():
            self._stream.seek(place)
            finished = Finished.parse(self._stream.readline())
            if finished and (finished.path, finished.video) == (source.path, source.video):
                return finished
        return None

    @property
    def unused(self) -> int:
        """How many paths were never looked for."""
        return len(np.unique(self._hashes[~self._used]))

    def close(self) -> None:
        """Close the file that the entries are read from."""
        self._stream.close()


def _hash(path: str) -> int:
    content = path.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
