"""A finished work folder as a table, and the shards of a table as one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import MienError
from mien.inference.tables import open_table
from mien.inference.work.folder import (
    DONE_FILE,
    Plan,
    Shard,
    differing,
    read_plan,
    remove_work,
    shards_folder,
)
from mien.inference.work.journal import Finished, Row, last_run, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 1000


@dataclass
class Totals:
    """What a table holds: rows by status, photos, videos, incomplete inputs, statements of use."""

    rows: Counter[str] = field(default_factory=Counter)
    photos: int = 0
    videos: int = 0
    incomplete: int = 0
    uses: dict[str, None] = field(default_factory=dict)

    def add(self, entry: Finished) -> None:
        """Count one input."""
        self.rows.update(entry.statuses)
        self.photos += not entry.video
        self.videos += entry.video
        self.incomplete += entry.incomplete
        self.uses.update(dict.fromkeys(entry.uses))


def merge_shards(out: Path) -> Totals:
    """Join the shards of ``out`` into one table, in the order of the inputs, and remove them.

    The table takes its name in one step, when it is whole. Raises
    :class:`~mien.errors.MienError` for a shard that is missing, there twice or unfinished, and for
    shards of different settings, models or inputs.
    """
    folders = _shards(out)
    plan, total = _common_plan(folders)
    totals = write_rows(out, plan.schema, _in_turn(folders, total))
    for folder in folders:
        remove_work(folder)
    return totals


def write_rows(
    out: Path, schema: pa.Schema, entries: Iterable[tuple[Finished, Iterator[Row]]]
) -> Totals:
    """Write the rows of finished inputs as the table ``out``, whole or not at all."""
    totals = Totals()

    def each_row() -> Iterator[Row]:
        for entry, rows in entries:
            totals.add(entry)
            yield from rows

    stream = each_row()
    with open_table(out, lambda: schema) as write:
        while batch := list(islice(stream, _ROWS_AT_ONCE)):
            write(batch)
    return totals


def _shards(out: Path) -> list[Path]:
    """The folders of all shards, in order."""
    parent = shards_folder(out)
    shards: dict[Shard, Path] = {}
    for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
        index, between, count = folder.name.partition("-of-")
        if between and index.isdecimal() and count.isdecimal():
            shards[Shard(int(index), int(count))] = folder
    if not shards:
        raise MienError(
            f"expected shards of {str(out)!r} in {str(parent)!r}, got none; make them with "
            f"--out {out} --shard I/N"
        )
    counts = sorted({shard.total for shard in shards})
    if len(counts) > 1:
        raise MienError(
            f"expected shards of one division in {str(parent)!r}, got some of "
            f"{' and some of '.join(map(str, counts))}; delete those that are too many"
        )
    missing = [i for i in range(1, counts[0] + 1) if Shard(i, counts[0]) not in shards]
    if missing:
        raise MienError(
            f"expected {counts[0]} shards in {str(parent)!r}, got none for "
            f"{', '.join(f'{i}/{counts[0]}' for i in missing)}; run these"
        )
    return [folder for _, folder in sorted(shards.items())]


def _common_plan(folders: list[Path]) -> tuple[Plan, int]:
    """The plan that all shards share, and how many inputs they have in all."""
    plans, done = [], []
    for number, folder in enumerate(folders, 1):
        plan, ended = read_plan(folder), _done(folder)
        shard = Shard(number, len(folders))
        if plan is None or ended is None:
            raise MienError(
                f"expected finished shards, got {str(folder)!r}, which is not; finish it with "
                f"--shard {shard} --resume"
            )
        if plan.shard != shard:
            raise MienError(
                f"expected shard {shard} in {str(folder)!r}, got shard {plan.shard}, which is then "
                "there twice; put it back where it was, and run the one that is missing"
            )
        plans.append(plan)
        done.append(ended)
    for number, (plan, ended) in enumerate(zip(plans, done, strict=True), 1):
        names = f"1/{len(folders)} and {number}/{len(folders)}"
        if differences := " and another ".join(differing(plans[0], plan)):
            raise MienError(
                f"expected shards of the same settings, got another {differences} in {names}; run "
                "one of them again"
            )
        if ended != done[0]:
            raise MienError(
                f"expected shards of the same inputs, got {done[0][0]:,} and {ended[0]:,} inputs, "
                f"not all the same, in {names}; run one of them again with --resume"
            )
    return plans[0], done[0][0]


def _done(folder: Path) -> tuple[int, str] | None:
    try:
        document = json.loads((folder / DONE_FILE).read_text("utf-8"))
        return int(document["sources"]), str(document["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _in_turn(folders: list[Path], total: int) -> Iterator[tuple[Finished, Iterator[Row]]]:
    """The inputs of all shards in order: each shard holds every N-th."""
    shards = [read_rows(folder, last_run(folder)) for folder in folders]
    for number in range(total):
        folder = folders[number % len(folders)]
        entry = next(shards[number % len(shards)], None)
        if entry is None or entry[0].number != number:
            got = "none" if entry is None else f"input {entry[0].number}"
            raise MienError(
                f"expected input {number} in {str(folder)!r}, got {got}; delete this shard and run "
                "it again"
            )
        yield entry
    for folder, shard in zip(folders, shards, strict=True):
        if (entry := next(shard, None)) is not None:
            raise MienError(
                f"expected {total} inputs in all, got input {entry[0].number} in {str(folder)!r}; "
                "delete this shard and run it again"
            )
