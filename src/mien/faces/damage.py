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
_END = b"\xff\xd9"  # of a JPEG and of a JPEG 2000
_TILE = b"\xff\x90\0\n"  # in front of a part of a JPEG 2000, whose length follows
_MOST_MISSING = 16
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


Decode = Callable[[BinaryIO], NDArray[np.uint8]]


def without_end(file: BinaryIO, kind: str, decode: Decode) -> NDArray[np.uint8] | None:
    """The pixels of a file of Pillow's ``kind`` that ends early; None where pixels are missing too.

    ``decode`` is called with files that were completed. An AVIF ends with its pixels, and so do
    BMP and TIFF: nothing can be completed there.
    """
    steps = {"JPEG": jpeg_without_end, "MPO": jpeg_without_end, "WEBP": webp_without_end}
    steps["JPEG2000"] = jpeg2000_without_end
    return steps[kind](file, decode) if kind in steps else None


def webp_without_end(file: BinaryIO, decode: Decode) -> NDArray[np.uint8] | None:
    """The pixels of a WebP that lacks some bytes, if these change no pixel."""
    file.seek(0)
    content = file.read()
    if len(content) < 12 or content[:4] != b"RIFF":
        return None
    missing = struct.unpack("<I", content[4:8])[0] + 8 - len(content)
    if not 0 < missing <= _MOST_MISSING:
        return None
    endings = (bytes(missing), _NOISE[:missing], b"\xff" * missing)
    first, *others = (decode(io.BytesIO(content + ending)) for ending in endings)
    return first if all(np.array_equal(first, other) for other in others) else None


def jpeg2000_without_end(file: BinaryIO, decode: Decode) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG 2000 that lacks nothing but its end marker."""
    file.seek(0)
    content = file.read()
    at = content.find(_TILE)
    while content[at : at + 4] == _TILE and len(content) >= at + 12:
        length = struct.unpack(">I", content[at + 6 : at + 10])[0]
        if not length:
            return None
        at += length
    missing = at + len(_END) - len(content)
    return decode(io.BytesIO(content + _END[-missing:])) if missing in (1, 2) else None


def jpeg_without_end(file: BinaryIO, decode: Decode) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG that lacks nothing but its end; None where pixels are missing too.

    A decoder fills what is missing with gray. So the file is decoded twice, once ended at once
    and once after noise: where the pixels are the same, none of them was missing.
    """
    file.seek(0)
    content = file.read().rstrip(b"\xff")  # half of a marker; in data another byte follows
    first = decode(io.BytesIO(content + _END))
    second = decode(io.BytesIO(content + _NOISE + _END))
    return first if np.array_equal(first, second) else None
