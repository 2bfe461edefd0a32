"""Files and folders that appear under their name whole or not at all.

Everything is written to a temporary sibling, which takes the final name in one step. A process
that is killed leaves at most such a sibling behind, never half a file under the final name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from mien.errors import MienError

ADVICE = "free some space or choose another place"
_LONGEST_NAME, _SHORTENED = 255, 200  # bytes; room for suffixes that are added to it


@contextmanager
def replacing(
    path: str | os.PathLike[str],
    *,
    advice: str = ADVICE,
    explain: bool = True,
    private: bool = False,
) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``, which takes the name of ``path`` on success.

    Missing parent folders are created. When the block raises, the sibling is removed, and an
    older file of that name stays as it was. Every ``OSError`` becomes a
    :class:`~mien.errors.MienError` with ``advice`` as what to do. A block that does more than
    write passes ``explain=False``, which leaves its own errors unchanged, and wraps what writes
    in :func:`explaining`. A ``private`` file, such as one with faces or what was read from them,
    can be read by its owner only, unless an older file of that name had other permissions.
    """
    path = Path(path)
    temporary = temporary_sibling(path)
    with explaining(path, advice):
        if path.is_dir():
            raise IsADirectoryError(None, "a folder of this name")
        path.parent.mkdir(parents=True, exist_ok=True)
        if private:
            _create_private(temporary, like=path)
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


def _create_private(file: Path, *, like: Path) -> None:
    """Make an empty file for its owner only; what writes to it later keeps its permissions."""
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with suppress(OSError):
        os.chmod(file, stat.S_IMODE(like.stat().st_mode))


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new temporary folder beside ``path``, which takes the name of ``path`` on success.

    ``path`` must not exist, or be an empty folder. When the block raises, the temporary folder is
    removed with everything in it; the block's own errors pass unchanged. Only its owner can look
    into the new folder.
    """
    path = Path(path)
    temporary = temporary_sibling(path)
    with explaining(path):
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(mode=0o700)
    try:
        yield temporary
        with explaining(path):
            os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_text(
    path: str | os.PathLike[str], text: str, *, advice: str = ADVICE, private: bool = False
) -> Path:
    """Write ``text`` to ``path`` in UTF-8, as :func:`replacing` does; return the path."""
    return write_bytes(path, text.encode("utf-8"), advice=advice, private=private)


def write_bytes(
    path: str | os.PathLike[str], content: bytes, *, advice: str = ADVICE, private: bool = False
) -> Path:
    """Write ``content`` to ``path``, as :func:`replacing` does; return the path."""
    with replacing(path, advice=advice, private=private) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def write_json(
    path: str | os.PathLike[str], document: Any, *, advice: str = ADVICE, private: bool = False
) -> Path:
    """Write ``document`` as indented JSON in UTF-8, as :func:`replacing` does; return the path.

    Raises ``ValueError`` for NaN and infinities, which JSON has no words for.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n", advice=advice, private=private)


def is_text(document: Any) -> bool:
    """Whether every string in lists and dicts can be written.

    JSON and YAML can spell one half of a letter of UTF-16, which no file takes.
    """
    waiting, seen = [document], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            try:
                node.encode("utf-8")
            except UnicodeEncodeError:
                return False
        elif isinstance(node, dict | list) and id(node) not in seen:
            seen.add(id(node))
            waiting.extend(node)
            waiting.extend(node.values() if isinstance(node, dict) else ())
    return True


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
    return path.with_name(short_name(f".{path.name}.{os.getpid()}", ".partial"))


def short_name(stem: str, suffix: str = "") -> str:
    """``stem`` and ``suffix``, or where the system takes no name as long, part of it and a hash.

    >>> short_name("a", ".png"), len(short_name("a" * 300, ".png"))
    ('a.png', 200)
    """
    if len(os.fsencode(stem + suffix)) <= _LONGEST_NAME:
        return stem + suffix
    digest = hashlib.sha256(os.fsencode(stem)).hexdigest()[:12]
    room = _SHORTENED - len(os.fsencode(f"-{digest}{suffix}"))
    start = os.fsencode(stem)[:room].decode("utf-8", "ignore")
    return f"{start}-{digest}{suffix}"


@contextmanager
def claimed(path: str | os.PathLike[str], expected: str) -> Iterator[None]:
    """Hold the file ``path`` for this process; the system lets go of it when the process ends.

    Raises :class:`~mien.errors.MienError`, which begins with ``expected``, where another process
    holds it. Systems without such locks, as Windows, let several processes hold it.
    """
    with open(path, "a", encoding="utf-8") as stream:
        try:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except BlockingIOError:
            raise MienError(f"{expected}, got another run that uses it: wait for its end") from None
        yield


def remove_temporaries(folder: Path) -> None:
    """Delete what killed processes left in a folder that no other process writes to."""
    for path in folder.glob(".*.partial"):
        path.unlink()


def spreadsheet_text(text: str, *, is_path: bool = False) -> str:
    """``text`` for a cell of a CSV file, such that a spreadsheet never runs it as a formula.

    A text that begins like one gets a quote in front, which spreadsheets show as text; a relative
    path gets ``./``, so that it still leads to its file. Numbers are not passed through here.

    >>> spreadsheet_text("=1+1"), spreadsheet_text("-a.jpg", is_path=True), spreadsheet_text("a=1")
    ("'=1+1", './-a.jpg', 'a=1')
    """
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")):
        return text
    return f"./{text}" if is_path else f"'{text}"


def sha256_of(path: Path) -> str:
    """The hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def flush_to_disk(stream: IO[Any]) -> None:
    """Wait until what was written is on the disk.

    For files whose loss in a power cut would go unnoticed: the new name may survive one that the
    content before it did not.
    """
    stream.flush()
    os.fsync(stream.fileno())
