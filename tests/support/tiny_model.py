"""The tiny model and the detector of one face that the tests of inference have."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def tiny_inference() -> ModuleType:
    """The fixtures of ``tests/inference``, for tests elsewhere that need its model."""
    if "tiny_inference" in sys.modules:
        return sys.modules["tiny_inference"]
    place = Path(__file__).parents[1] / "inference" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_inference", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
