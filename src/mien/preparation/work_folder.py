"""The partial folder of a dataset in the making: whose it is, and for which plan."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mien.data.dataset import INFO_FILE
from mien.schema import MienError

PLAN_FILE, PARTS = "plan.json", "parts"


@contextlib.contextmanager
def claimed(folder: Path, plan: dict[str, Any]) -> Iterator[None]:
    """Hold the partial folder for this process; refuse other work.

    ``plan`` (JSON) says what decides the bytes of the parts; parts of another plan are never mixed
    with these, and :class:`MienError` names the differences.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / PLAN_FILE).open("a+", encoding="utf-8") as stream:
        _lock(stream, folder)
        stream.seek(0)
        try:
            begun = json.loads(stream.read())
        except json.JSONDecodeError:  # new, or cut off while it was written
            begun = None
        if begun != plan:
            if isinstance(begun, dict) and _has_work(folder):
                keys = ", ".join(sorted(key for key in plan if begun.get(key) != plan[key]))
                raise MienError(
                    f"expected to go on with {folder}, which was begun with another {keys}: run "
                    f"the command that began it, choose another folder, or delete it"
                )
            shutil.rmtree(folder / PARTS, ignore_errors=True)
            stream.truncate(0)
            stream.write(json.dumps(plan, indent=2) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        yield


def _lock(stream: IO[str], folder: Path) -> None:
    """Refuse a folder that another process works in; the system frees it when that one ends."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once would do the same work twice, no more
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MienError(
            f"expected {folder} for this run alone, got another run that works there: wait for it"
        ) from None


def _has_work(folder: Path) -> bool:
    return any((folder / PARTS).glob("*.arrow")) or (folder / INFO_FILE).exists()
