"""Damaged files whose pixels are whole: what is broken is left out, or shown not to matter."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND"))
_SIDE = frozenset((b"tRNS", b"eXIf"))
_LARGEST_SIDE = 1 << 20
# Orientation may also be in a note of this keyword; the zeros say that it is not compressed.
_NOTE = b"XML:com.adobe.xmp\0\0"
_END = b"\xff\xd9"
# Arbitrary but fixed: as the rest of a JPEG's data it decodes to something, never to flat gray.
_NOISE = np.random.default_rng(0).integers(0, 255, 512, np.uint8).tobytes()


def png_pixels(file: BinaryIO) -> BinaryIO:
    """A PNG with the chunks that make its pixels and its orientation, and no other.

    Texts and color profiles may be too large or damaged, and change no pixel here. They are
    skipped, not read, so what they would unpack to costs nothing. Pixels whose checksum is wrong
    raise ``ValueError``; a file that ends early ends early here too.
    """
    pixels = io.BytesIO()
    pixels.write(file.read(len(PNG_SIGNATURE)))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind not in _PIXELS and (kind not in _SIDE | {b"iTXt"} or length > _LARGEST_SIDE):
            file.seek(length + 4, io.SEEK_CUR)
            continue
        body, checksum = file.read(length), file.read(4)
        right = checksum == struct.pack(">I", zlib.crc32(kind + body))
        if kind in _PIXELS:
            if not right and len(checksum) == 4:
                raise ValueError(f"wrong checksum of {kind.decode()}")
        elif not right or (kind == b"iTXt" and not body.startswith(_NOTE)):
            continue
        pixels.write(head + body + checksum)
        if kind == b"IEND":
            break
    pixels.seek(0)
    return pixels


def jpeg_without_end(
    file: BinaryIO, decode: Callable[[BinaryIO], NDArray[np.uint8]]
) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG that lacks nothing but its end; None where pixels are missing too.

    A decoder fills what is missing with gray. So the file is decoded twice, once ended at once
    and once after noise: where the pixels are the same, none of them was missing.
    """
    file.seek(0)
    content = file.read().rstrip(b"\xff")  # half of a marker; in data another byte follows
    first = decode(io.BytesIO(content + _END))
    second = decode(io.BytesIO(content + _NOISE + _END))
    return first if np.array_equal(first, second) else None
