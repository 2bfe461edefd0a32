"""Download MediaPipe's face model, when the user asks for it.

That is with ``python -m mien.faces.detection.download``.
"""

from __future__ import annotations

import hashlib
import sys
import urllib.request
from pathlib import Path

from mien.errors import MienError
from mien.faces.detection import model_file
from mien.faces.detection.model_file import HOW_TO_GET_IT, cached_face_model, has_digest
from mien.files import write_bytes

_ADDRESS = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task"
)


def download_face_model() -> Path:
    """Download ``face_landmarker.task`` into the user's cache, unless it is there already.

    Nothing calls this but the user. Raises :class:`mien.errors.MienError` without a connection,
    and for a file that has not the known sha256, which is not kept.
    """
    target = cached_face_model()
    if has_digest(target, model_file.FACE_MODEL_SHA256):
        return target
    try:
        with urllib.request.urlopen(_ADDRESS, timeout=30) as reply:
            content = reply.read()
    except OSError as error:  # URLError, time-out, no route
        reason = getattr(error, "reason", None) or error
        raise MienError(
            f"expected MediaPipe's face model, got none: the download failed ({reason}); "
            f"{HOW_TO_GET_IT}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != model_file.FACE_MODEL_SHA256:
        raise MienError(
            "expected MediaPipe's face model with sha256 "
            f"{model_file.FACE_MODEL_SHA256[:12]}, got a download with {digest[:12]}; "
            f"{HOW_TO_GET_IT}"
        )
    return write_bytes(target, content, advice=HOW_TO_GET_IT)


if __name__ == "__main__":
    try:
        print(download_face_model())
    except MienError as error:
        sys.exit(str(error))
