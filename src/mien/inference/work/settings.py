"""What decides the rows of a table beside its inputs, spelled such that it can be compared."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mien.inference.model import OnnxModel
from mien.models import find_model

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector


def model_settings(models: Sequence[str | os.PathLike[str] | OnnxModel]) -> dict[str, str]:
    """The names of models, each with a digest of its file; of an opened one, of what it says."""
    settings = {}
    for each in models:
        if isinstance(each, OnnxModel):
            name, content = each.info.name, each.info.model_dump_json().encode()
        else:
            path = find_model(each)
            name, content = path.stem, path.read_bytes()
        settings[name] = hashlib.sha256(content).hexdigest()
    return settings


def detector_settings(detector: Detector | None) -> str | None:
    """The kind of a detector, with a digest of its settings where it can be pickled."""
    if detector is None:
        return None
    name = type(detector).__name__
    try:
        content = pickle.dumps(detector)
    except Exception:  # pickling raises nearly anything
        return name
    return f"{name} {hashlib.sha256(content).hexdigest()[:12]}"
