"""Files and folders that appear under their name whole or not at all.

Everything is written to a temporary sibling, which takes the final name in one step. A process
that is killed leaves at most such a sibling behind, never half a file under the final name.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from mien.schema import MienError

ADVICE = "free some space or choose another place"


@contextmanager
def replacing(
    path: str | os.PathLike[str], *, advice: str = ADVICE, explain: bool = True
) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``, which takes the name of ``path`` on success.

    Missing parent folders are created. When the block raises, the sibling is removed, and an
    older file of that name stays as it was. Every ``OSError`` becomes a
    :class:`~mien.schema.MienError` with ``advice`` as what to do. A block that does more than
    write passes ``explain=False``, which leaves its own errors unchanged, and wraps what writes
    in :func:`explaining`.
    """
    path = Path(path)
    temporary = temporary_sibling(path)
    with explaining(path, advice):
        if path.is_dir():
            raise IsADirectoryError(None, "a folder of this name")
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if explain:
            with explaining(path, advice):
                yield temporary
        else:
            yield temporary
        with explaining(path, advice):
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new temporary folder beside ``path``, which takes the name of ``path`` on success.

    ``path`` must not exist, or be an empty folder. When the block raises, the temporary folder is
    removed with everything in it; the block's own errors pass unchanged.
    """
    path = Path(path)
    temporary = temporary_sibling(path)
    with explaining(path):
        temporary.mkdir(parents=True)
    try:
        yield temporary
        with explaining(path):
            os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_text(path: str | os.PathLike[str], text: str, *, advice: str = ADVICE) -> Path:
    """Write ``text`` to ``path`` in UTF-8, as :func:`replacing` does; return the path."""
    return write_bytes(path, text.encode("utf-8"), advice=advice)


def write_bytes(path: str | os.PathLike[str], content: bytes, *, advice: str = ADVICE) -> Path:
    """Write ``content`` to ``path``, as :func:`replacing` does; return the path."""
    with replacing(path, advice=advice) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def write_json(path: str | os.PathLike[str], document: Any, *, advice: str = ADVICE) -> Path:
    """Write ``document`` as indented JSON in UTF-8, as :func:`replacing` does; return the path.

    Raises ``ValueError`` for NaN and infinities, which JSON has no words for.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n", advice=advice)


@contextmanager
def explaining(path: str | os.PathLike[str], advice: str = ADVICE) -> Iterator[None]:
    """Turn an ``OSError`` of writing ``path`` into a MienError: expected, got, what to do."""
    try:
        yield
    except OSError as error:
        raise MienError(
            f"expected to write {str(path)!r}, got {error.strerror or error}; {advice}"
        ) from error


def temporary_sibling(path: Path) -> Path:
    """The hidden name beside ``path`` that this process writes to before it takes the name."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def remove_temporaries(folder: Path) -> None:
    """Delete what killed processes left in a folder that no other process writes to."""
    for path in folder.glob(".*.partial"):
        path.unlink()


def flush_to_disk(stream: IO[Any]) -> None:
    """Wait until what was written is on the disk.

    For files whose loss in a power cut would go unnoticed: the new name may survive one that the
    content before it did not.
    """
    stream.flush()
    os.fsync(stream.fileno())
