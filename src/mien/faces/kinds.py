"""What a file is, by its name and its first bytes: a photo, a video, or neither."""

from __future__ import annotations

import os
import stat

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2", ".mpo"}
    | {".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Lower-case suffixes of the pictures that can be read."""

RAW_SUFFIXES: frozenset[str] = frozenset(
    {".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw"}
)
"""Photos as sensors saw them. Many hold a thumbnail that would be read in their place."""

PHOTO_SUFFIXES: frozenset[str] = (
    IMAGE_SUFFIXES | RAW_SUFFIXES | {".heic", ".heics", ".heif", ".hif", ".jxl"}
)
"""Lower-case suffixes of what counts as a photo in a folder, be it readable here or not: a photo
that is passed over in silence would be missing from every count."""

VIDEO_SUFFIXES: frozenset[str] = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m1v", ".m2t", ".m2ts"}
    | {".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm"}
    | {".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
"""Lower-case suffixes of videos. ``.ts`` and ``.mts`` name program text as well, see
:func:`is_video`."""

_TRANSPORT = frozenset({".m2t", ".m2ts", ".mts", ".ts"})
# Magic numbers of Matroska and WebM, MPEG, Windows Media, Flash, Ogg, MXF, Real, IVF, YUV4MPEG.
_MAGIC_NUMBERS = (
    *(b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"),
    *(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FLV\x01", b"OggS"),
    *(b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", b".RMF\x00", b"DKIF\x00", b"YUV4MPEG2 "),
)
# Older QuickTime files begin with one of these boxes, without ftyp.
_QUICKTIME = (b"moov", b"mdat", b"wide", b"pnot")
_PHOTO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_HEAD = 1024


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether this is a file with content: no folder, pipe, socket or device, and not missing.

    A pipe that nobody writes to would be waited for without end, and some devices never end.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return False


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a video, by its suffix or, failing that, by its first bytes.

    A missing file with a video's suffix counts as one; ``.ts`` and ``.mts`` only with the bytes of
    a transport stream, because programs are written in files of these names.
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix in VIDEO_SUFFIXES and suffix not in _TRANSPORT:
        return not os.path.isdir(path)
    if not is_regular(path):
        return suffix in _TRANSPORT and not os.path.exists(path)
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return _begins_like_a_video(head)


def _begins_like_a_video(head: bytes) -> bool:
    if head[4:8] == b"ftyp":
        # Photos from phones use the same container.
        return head[8:12] not in _PHOTO_BRANDS
    if head[4:8] in _QUICKTIME or head.startswith(_MAGIC_NUMBERS):
        return True
    # Packets of 188 bytes, each with the same first byte; on disks 4 bytes of time are in front.
    for first, step in ((0, 188), (4, 192)):
        if len(head) > first + 3 * step and all(
            head[place] == 0x47 for place in range(first, first + 4 * step, step)
        ):
            return True
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "
