"""Lists of paths as programs write them: one per line, or parted by null bytes."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

_CHUNK = 1 << 16
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def listed_paths(stream: BinaryIO) -> Iterator[str]:
    """The paths of a list, as they come; empty lines are left out.

    Paths may be parted by null bytes (``find -print0``); line ends then belong to the names. A
    byte order mark is no part of a name, and UTF-16 (PowerShell) is read as text. Other bytes need
    not be valid text, as file names need not be.
    """
    read = getattr(stream, "read1", stream.read)
    head = b""
    # Enough to see a mark and what parts the first two paths; a slow program writes bit by bit.
    while (chunk := read(_CHUNK)) and not (len(head := head + chunk) >= 4 and _parter(head)):
        pass
    rest = iter(lambda: read(_CHUNK), b"")
    encoding = _utf16(head)
    if encoding:
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        texts = (decoder.decode(part) for part in _chained(head, rest))
        texts = (text.replace("\ufeff", "").replace("\0", "\n") for text in texts)
        pieces = (text.encode("utf-8", "surrogatepass") for text in texts)
        yield from _paths(pieces, b"\n")
    else:
        head = head.removeprefix(codecs.BOM_UTF8)
        yield from _paths(_chained(head, rest), _parter(head) or b"\n")


def _chained(head: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _parter(head: bytes) -> bytes:
    return b"\0" if b"\0" in head else b"\n" if b"\n" in head else b""


def _utf16(head: bytes) -> str | None:
    """UTF-16 by its mark, or where nearly every second byte is null, which no list has else."""
    marked = _UTF16.get(head[:2])
    if marked or len(head) < 8:
        return marked
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        high, low = head[first::2], head[1 - first :: 2]
        if high.count(0) > 0.6 * len(high) and low.count(0) < 0.3 * len(low):
            return encoding
    return None


def _paths(pieces: Iterable[bytes], parter: bytes) -> Iterator[str]:
    left = b""
    for piece in pieces:
        *lines, left = (left + piece).split(parter)
        for line in lines:
            yield from _path(line)
    yield from _path(left)


def _path(line: bytes) -> Iterator[str]:
    if path := line.rstrip(b"\r\n"):
        yield os.fsdecode(path)
