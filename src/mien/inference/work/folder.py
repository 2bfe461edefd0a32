"""The work folder of a table: what has been read, kept such that any end loses nothing.

``TABLE.partial/`` holds ``plan.json`` (the settings), ``rows.jsonl`` (the rows, which anybody can
read) and ``sources.jsonl`` (one line per input that is finished, with where its rows are). Both
are only ever added to, rows first, so a process may be killed at any moment.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mien.errors import MienError
from mien.files import claimed, explaining, short_name, write_json
from mien.inference.work.journal import Journal

if TYPE_CHECKING:
    import pyarrow as pa

PLAN_FILE, DONE_FILE = "plan.json", "done.json"


class Shard(NamedTuple):
    """Part ``number`` (from 1) of ``total`` parts: every ``total``-th input."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``; raise :class:`~mien.errors.MienError` for anything else.

        >>> Shard.parse("2/5")
        Shard(number=2, total=5)
        """
        number, _, total = text.partition("/")
        if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
            raise MienError(
                f"expected a shard I/N such as 2/5, with I from 1 to N, got {text!r}; write that"
            )
        return cls(int(number), int(total))

    def takes(self, place: int) -> bool:
        """Whether the input at ``place`` among all, counted from 0, is in this shard."""
        return place % self.total == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def work_folder(out: Path) -> Path:
    """The folder that holds what has been read until the table ``out`` is whole."""
    return out.with_name(short_name(out.name, ".partial"))


def shards_folder(out: Path) -> Path:
    """The folder with one work folder for each shard of the table ``out``."""
    return out.with_name(short_name(out.name, ".shards"))


def shard_folder(out: Path, shard: Shard) -> Path:
    """The work folder of one shard of the table ``out``."""
    return shards_folder(out) / f"{shard.number}-of-{shard.total}"


class Plan(NamedTuple):
    """What decides the rows: settings (JSON) by name, the shard, and the table's columns."""

    settings: dict[str, Any]
    shard: Shard | None
    schema: pa.Schema

    def document(self) -> dict[str, Any]:
        """The plan as JSON."""
        schema = base64.b64encode(self.schema.serialize()).decode()
        return {
            "settings": self.settings,
            "shard": None if self.shard is None else str(self.shard),
            "schema": schema,
        }


def read_plan(folder: Path) -> Plan | None:
    """The plan of a work folder; None where there is none that can be read."""
    import pyarrow as pa

    try:
        document = json.loads((folder / PLAN_FILE).read_text("utf-8"))
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(document["schema"])))
        shard = None if document["shard"] is None else Shard.parse(document["shard"])
        return Plan(dict(document["settings"]), shard, schema)
    except (OSError, ValueError, LookupError, TypeError, MienError):
        return None


@contextlib.contextmanager
def opened_work(folder: Path, plan: Plan, *, resume: bool) -> Iterator[Journal]:
    """The journal of a work folder that is this process's alone while the block lasts.

    Raises :class:`~mien.errors.MienError` for a folder that another process works in, for work
    that is there unless ``resume``, and for work that was begun with other settings.
    """
    with explaining(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    with claimed(folder / ".lock", f"expected {str(folder)!r} for this run only"):
        if Journal.exists(folder):
            _check(folder, plan, resume=resume)
        else:
            try:
                write_json(folder / PLAN_FILE, plan.document(), private=True)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)  # there is nothing to go on from
                raise
        with contextlib.suppress(FileNotFoundError):
            (folder / DONE_FILE).unlink()
        with contextlib.closing(Journal(folder)) as journal:
            yield journal


def _check(folder: Path, plan: Plan, *, resume: bool) -> None:
    delete = f"delete {str(folder)!r} to begin anew"
    if not resume and (folder / DONE_FILE).exists():
        raise MienError(
            f"expected a shard that is still to be read, got a finished one in {str(folder)!r}; "
            f"join the shards with --merge, or {delete}"
        )
    if not resume:
        raise MienError(
            f"expected no unfinished work, got that of an earlier run in {str(folder)!r}; "
            f"go on with --resume, or {delete}"
        )
    earlier = read_plan(folder)
    if earlier is None:
        raise MienError(f"expected a plan in {str(folder)!r}, got none that can be read; {delete}")
    differences = differing(earlier, plan)
    if differences:
        raise MienError(
            f"expected the settings that {str(folder)!r} was begun with, got another "
            f"{' and another '.join(differences)}; use the earlier ones, or {delete}"
        )


def differing(earlier: Plan, later: Plan) -> list[str]:
    """The names of settings that differ, with both values where these are short."""
    names = dict.fromkeys([*earlier.settings, *later.settings])
    differences = []
    for name in names:
        before, now = earlier.settings.get(name), later.settings.get(name)
        if before == now:
            continue
        values = f"{_spelled(before)}, now {_spelled(now)}"
        differences.append(f"{name} ({values})" if len(values) < 120 else name)
    if not differences and earlier.schema != later.schema:
        differences.append("set of columns")
    return differences


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return " and ".join(f"{name} {digest[:8]}" for name, digest in value.items())
    return "none" if value is None else str(value)


def finish_shard(folder: Path, *, sources: int, digest: str) -> None:
    """Note that a shard is complete, and which inputs there are in all."""
    write_json(folder / DONE_FILE, {"sources": sources, "digest": digest}, private=True)


def remove_work(folder: Path) -> None:
    """Remove a work folder whose table is whole."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.name.endswith(".shards"):
        with contextlib.suppress(OSError):  # other shards are still there
            os.rmdir(folder.parent)
