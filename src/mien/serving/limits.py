"""What a request may ask of the server; everything beyond is refused with a sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a server, each with the answer to what exceeds it.

    ``body_bytes`` of a request with photos and ``video_bytes`` of a video (413), of up to
    ``images`` photos (413). A body may take ``body_seconds``, and longer only if it comes with
    at least 100 kB a second (408). A photo of more than ``pixels`` is unreadable; a video of larger
    frames, or of more than ``video_seconds``, ends in the state ``failed``. ``queue`` requests are
    received, waiting or running at a time, and ``videos`` waiting or running (429); ``connections``
    are open at a time, whether or not they ask for anything (503). An answer takes
    at most ``request_seconds`` (503 if it never got its turn, else 504). The result of a video is
    deleted after ``result_seconds``.
    """

    body_bytes: int = 32_000_000
    video_bytes: int = 500_000_000
    images: int = 64
    body_seconds: float = 20.0
    pixels: int = 50_000_000
    video_seconds: float = 1800.0
    queue: int = 32
    connections: int = 256
    videos: int = 4
    request_seconds: float = 30.0
    result_seconds: float = 600.0


def megabytes(count: int) -> str:
    """A number of bytes for a message.

    >>> megabytes(32_000_000), megabytes(1_500)
    ('32 MB', '1,500 bytes')
    """
    return f"{count / 1e6:,.0f} MB" if count >= 1_000_000 else f"{count:,} bytes"
