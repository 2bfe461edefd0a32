"""What counts as a photo and as a video."""

import os
import socket
from pathlib import Path

import pytest

from mien.errors import MienError
from mien.faces.images import load_image
from mien.faces.kinds import IMAGE_SUFFIXES, PHOTO_SUFFIXES, VIDEO_SUFFIXES, is_regular, is_video

TRANSPORT = b"\x47" + bytes(187)


@pytest.mark.parametrize(
    "head",
    [
        TRANSPORT * 4,
        (bytes(4) + TRANSPORT) * 4,
        b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01",
        b"\0\0\0\x20ftypisom",
        b"\0\0\0\x08wide\0\0\0\0mdat",
        b"YUV4MPEG2 W320",
        b"OggS\0",
    ],
)
def test_videos_are_known_by_their_content(head: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a file without a suffix"
    file.write_bytes(head)
    assert is_video(file)


def test_program_text_is_no_video(tmp_path: Path) -> None:
    for name in ("app.ts", "server.mts"):
        (tmp_path / name).write_text("export const face = 1;\n" * 100)
        assert not is_video(tmp_path / name)
        (tmp_path / name).write_bytes(TRANSPORT * 8)
        assert is_video(tmp_path / name)
    assert is_video(tmp_path / "missing.mts")


def test_suffixes_name_one_kind_each() -> None:
    assert not PHOTO_SUFFIXES & VIDEO_SUFFIXES and IMAGE_SUFFIXES < PHOTO_SUFFIXES
    assert {".heic", ".dng", ".jxl"} <= PHOTO_SUFFIXES - IMAGE_SUFFIXES


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with pipes in folders")
def test_pipes_sockets_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket.jpg"))
    for path in (tmp_path / "pipe.jpg", tmp_path / "socket.jpg", Path("/dev/zero")):
        assert not is_regular(path) and not is_video(path)
        with pytest.raises(MienError, match="a pipe, socket or device"):
            load_image(path)
    server.close()
    assert not is_regular("a\0b") and not is_regular(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.dng", b"II*\0", "a raw photo"),
        ("a.NEF", b"MM\0*", "a raw photo"),
        ("a.jxl", b"\xff\x0a" + bytes(30), "JPEG XL"),
        ("a.jpg", b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        ("a.HEIC", b"\0\0\0\x18ftypheic" + bytes(30), "HEIC"),
    ],
)
def test_photos_that_cannot_be_read_say_so(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MienError, match=message):
        load_image(tmp_path / name)
