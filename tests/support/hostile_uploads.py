"""Bodies of requests that somebody could send to harm a server that reads pictures."""

from __future__ import annotations

import io
import random
import zlib

from PIL import Image


def claiming(kind: str) -> bytes:
    """A small picture whose header claims 60,000 x 60,000 pixels."""
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, kind)
    content = bytearray(file.getvalue())
    if kind == "PNG":
        content[16:24] = (60_000).to_bytes(4, "big") * 2
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    else:
        start = content.index(b"\xff\xc0")
        content[start + 5 : start + 9] = (60_000).to_bytes(2, "big") * 2
    return bytes(content)


HUGE = [claiming("PNG"), claiming("JPEG")]


def hostile(photo: bytes, rng: random.Random) -> tuple[bytes, str]:
    """A body that somebody could send, and its content type."""

    def cut() -> bytes:
        return photo[: rng.randrange(len(photo))]

    def flipped() -> bytes:
        content = bytearray(photo)
        for _ in range(rng.randrange(1, 200)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        return bytes(content)

    def noise() -> bytes:
        return rng.randbytes(rng.randrange(5000))

    def huge() -> bytes:
        return rng.choice([bytes(40_000_000), *HUGE])

    def lying() -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (rng.randrange(1, 40), rng.randrange(1, 40))).save(file, "BMP")
        content = bytearray(file.getvalue())
        content[18:26] = rng.randbytes(8)
        return bytes(content)

    def header_only() -> bytes:
        return rng.choice([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF", b"II*\0"])

    content = rng.choice([cut, flipped, noise, huge, lying, header_only, bytes])()
    if rng.random() < 0.5:
        return content, rng.choice(["image/jpeg", "image/png", "", "text/plain", "multipart/x"])
    name = rng.choice(["a.jpg", "", "../../x", "a" * 3000, "\0", "\x1b[31m", '"', "é😀", "=1+1"])
    head = f'Content-Disposition: form-data; name="image"; filename="{name}"'.encode()
    boundary = rng.choice([b"b", b"-" * 70, b"b b"])
    body = b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n--" + boundary
    body += rng.choice([b"--\r\n", b"--", b"", b"\r\n"])
    return body, f"multipart/form-data; boundary={boundary.decode()}"
