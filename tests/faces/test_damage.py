"""Damage that leaves the pixels whole, and damage that does not."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from mien.errors import MienError
from mien.faces.images import load_image
from mien.schema import UInt8Array

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    checksum = zlib.crc32(kind + body) ^ wrong
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def with_chunk(extra: bytes) -> bytes:
    whole = encoded("PNG")
    return whole[:33] + extra + whole[33:]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 3_000_000)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000)),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"tEXt", b"Comment\0from a scanner", wrong=True),
        chunk(b"eXIf", b"MM\0*garbage"),
        chunk(b"eXIf", b"MM\0*", wrong=True),
        chunk(b"tRNS", b"\0\0\0\0\0\0", wrong=True),
        chunk(b"gAMA", b""),
        chunk(b"qqqq", b"private"),
    ],
)
def test_what_is_no_pixel_of_a_png_does_not_matter(extra: bytes) -> None:
    np.testing.assert_array_equal(load_image(with_chunk(extra)), PIXELS)


def test_a_bomb_beside_the_pixels_is_not_unpacked() -> None:
    bomb = with_chunk(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000))))
    tracemalloc.start()
    load_image(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_damaged_pixels_of_a_png_are_an_error() -> None:
    whole = encoded("PNG")
    place = whole.index(b"IDAT")
    for offset in (10, 2000, len(whole) - place - 20):
        data = bytearray(whole)
        data[place + offset] ^= 1
        with pytest.raises(MienError, match="damaged"):
            load_image(bytes(data))


@pytest.mark.parametrize("cut", [12, 4])
def test_a_png_may_lack_its_end(cut: int) -> None:
    np.testing.assert_array_equal(load_image(encoded("PNG")[:-cut]), PIXELS)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_may_lack_its_end_but_no_pixel(progressive: bool) -> None:
    whole = encoded("JPEG", quality=90, progressive=progressive)
    expected = load_image(whole)
    for cut in (1, 2):
        np.testing.assert_array_equal(load_image(whole[:-cut]), expected)
    np.testing.assert_array_equal(load_image(whole[:-2] + bytes(100)), expected)
    for share in (0.4, 0.8, 0.97):
        with pytest.raises(MienError, match="truncated"):
            load_image(whole[: int(share * len(whole))])


def photo(image: UInt8Array, kind: str, **settings: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[:260, 100:333]).save(file, kind, **settings)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "settings", "missing"),
    [
        ("WEBP", {"quality": 80}, 2),
        ("WEBP", {"lossless": True}, 1),
        ("JPEG2000", {}, 1),
        ("JPEG2000", {}, 2),
        ("JPEG2000", {"no_jp2": True}, 2),
    ],
)
def test_other_formats_may_lack_what_holds_no_pixel(
    astronaut: UInt8Array, kind: str, settings: dict[str, object], missing: int
) -> None:
    whole = photo(astronaut, kind, **settings)
    np.testing.assert_array_equal(load_image(whole[:-missing]), load_image(whole))


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("WEBP", 12), ("WEBP", 4000), ("JPEG2000", 4), ("JPEG2000", 4000), ("AVIF", 1), ("BMP", 4)],
)
def test_what_lacks_pixels_stays_unreadable(astronaut: UInt8Array, kind: str, missing: int) -> None:
    with pytest.raises(MienError, match="damaged"):
        load_image(photo(astronaut, kind)[:-missing])
