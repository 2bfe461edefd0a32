"""The work folder of a dataset that is being written: one process, one plan, resumable."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mien.data.dataset import INFO_FILE
from mien.errors import MienError
from mien.files import flush_to_disk, short_name

PLAN_FILE, PARTS = "plan.json", "parts"


def work_folder(out: Path) -> Path:
    """The folder ``OUT.partial``, which holds the parts until ``out`` is complete."""
    return out.with_name(short_name(out.name, ".partial"))


@contextlib.contextmanager
def claimed(folder: Path, plan: dict[str, Any]) -> Iterator[None]:
    """Claim a work folder for this process and this ``plan``.

    ``plan`` (JSON) holds everything that decides the bytes of the parts, so that parts of
    different plans are never mixed. Raises :class:`MienError` for a folder that another process
    works in, and for parts of another plan, whose differences it names.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Crops show faces, so only the owner can look into the folder, which becomes the dataset.
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / PLAN_FILE).open("a+", encoding="utf-8") as stream:
        _lock(stream, folder)
        stream.seek(0)
        try:
            previous = json.loads(stream.read())
        except json.JSONDecodeError:  # new, or truncated by a crash
            previous = None
        if previous != plan:
            if isinstance(previous, dict) and _has_work(folder):
                keys = ", ".join(sorted(key for key in plan if previous.get(key) != plan[key]))
                raise MienError(
                    f"expected the settings that {folder} was started with, got another {keys}: "
                    f"run the command that started it, choose another folder, or delete it"
                )
            shutil.rmtree(folder / PARTS, ignore_errors=True)
            stream.truncate(0)
            stream.write(json.dumps(plan, indent=2) + "\n")
            flush_to_disk(stream)
        yield


def publish(folder: Path, out: Path) -> None:
    """Turn a work folder with a complete dataset into the dataset folder ``out``."""
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    os.replace(folder, out)
    (out / PLAN_FILE).unlink()


def _lock(stream: IO[str], folder: Path) -> None:
    """Refuse a folder that another process works in; the system releases it with the process."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once only do the same work twice
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MienError(
            f"expected {folder} for this run only, got another run that uses it: wait for its end"
        ) from None


def _has_work(folder: Path) -> bool:
    return any((folder / PARTS).glob("*.arrow")) or (folder / INFO_FILE).exists()
