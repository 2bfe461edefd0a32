"""A table that is being made: its inputs one by one, and its rows, until it is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mien.errors import MienError
from mien.inference.inputs.sources import Source
from mien.inference.inputs.watching import FileState, file_state
from mien.inference.work.folder import (
    Plan,
    finish_shard,
    opened_work,
    remove_work,
    shard_folder,
    work_folder,
)
from mien.inference.work.journal import Finished, Journal, Row, read_rows
from mien.inference.work.merging import write_rows


class Item(NamedTuple):
    """An input: its place among all inputs, its file, and what an earlier run made of it.

    ``picture`` is the name of its annotated picture, ``state`` that of the file before it is read.
    """

    number: int
    source: Source
    picture: str = ""
    state: FileState | None = None
    earlier: Finished | None = None


@dataclass
class TableWork:
    """What has been read for one table.

    ``taken`` of ``inputs`` inputs are those of this shard.
    """

    out: Path
    folder: Path
    plan: Plan
    journal: Journal
    inputs: int = 0
    taken: int = 0
    published: bool = False
    _digest: hashlib.blake2b = field(default_factory=hashlib.blake2b)

    def items(
        self, sources: Iterable[Source | None], picture_of: Callable[[Source], str]
    ) -> Iterator[Item | None]:
        """The sources that this shard takes, and None where there is one.

        ``picture_of`` is called with every source, so that names do not depend on the shard.
        """
        for source in sources:
            if source is None:
                yield None
                continue
            number = self.inputs
            self.inputs += 1
            self._digest.update(repr(source).encode("ascii", "backslashreplace"))
            picture = picture_of(source)
            if self.plan.shard is None or self.plan.shard.takes(number):
                self.taken += 1
                state = file_state(source.path)
                yield Item(number, source, picture, state, self.journal.earlier(source))

    def earlier_items(self) -> list[Item]:
        """Everything that earlier runs finished, for folders in which it may be gone since."""
        items = [
            Item(number, Source(each.path, video=each.video), state=each.state, earlier=each)
            for number, each in enumerate(self.journal.all_earlier())
        ]
        self.inputs = self.taken = self.journal.reused = len(items)
        return items

    def rows(self) -> Iterator[Row]:
        """All rows so far, in the order of the inputs."""
        for _, rows in read_rows(self.folder, self.journal.entries()):
            yield from rows

    def publish(self) -> Path:
        """Give the whole table its name, or note that the shard is complete; where it is."""
        if self.plan.shard is not None:
            finish_shard(self.folder, sources=self.inputs, digest=self._digest.hexdigest())
            return self.folder
        write_rows(self.out, self.plan.schema, read_rows(self.folder, self.journal.entries()))
        self.published = True
        return self.out

    @property
    def notes(self) -> list[str]:
        """What a reader must know: which inputs the shard took, and what was there already."""
        notes = []
        if self.plan.shard is not None:
            notes.append(f"shard {self.plan.shard} took {self.taken:,} of {self.inputs:,} inputs")
        counts = {
            "had been read before": self.journal.reused,
            "had changed since and were read again": self.journal.changed,
            "of the earlier run are no longer among the inputs": self.journal.gone,
        }
        phrases = [f"{count:,} {what}" for what, count in counts.items() if count]
        if phrases:
            notes.append("of the inputs, " + ", ".join(phrases))
        return notes


@contextmanager
def table_work(out: Path, plan: Plan, *, resume: bool) -> Iterator[TableWork]:
    """The work on a table, which stays on disk until the table is published.

    Errors and interrupts say where; a folder in which nothing was finished is removed. Raises as
    :func:`~mien.inference.work.folder.opened_work` does.
    """
    folder = work_folder(out) if plan.shard is None else shard_folder(out, plan.shard)
    with opened_work(folder, plan, resume=resume) as journal:
        work = TableWork(out, folder, plan, journal)
        try:
            yield work
        except BaseException as error:
            with suppress(MienError):  # of a disk that is full, which the error is about already
                journal.close()
            if not Journal.exists(folder):
                remove_work(folder)
                raise
            if not isinstance(error, KeyboardInterrupt | MienError):
                raise
            what = str(error) or "interrupted"
            raise type(error)(
                f"{what}; what was read is in {str(folder)!r}: go on with --resume"
            ) from error
    if plan.shard is None and work.published:
        remove_work(folder)
