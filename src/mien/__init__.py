"""mien reads affect from faces.

``mien.load()`` gives a predictor, and ``predictor(image)`` a list of predictions; ``mien.prepare``,
``mien.train``, ``mien.evaluate``, ``mien.compare``, ``mien.export`` and ``mien.predict`` are what
the commands of the same names call. Everything is imported when it is first used, so that
``import mien`` is fast and needs no torch.
"""

from __future__ import annotations

import os
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# onnxruntime sends telemetry and keeps a device's number in the user's cache, unless this is set
# before it is imported; this module always comes first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Dataset",
    "MienError",
    "Prediction",
    "Predictor",
    "Recipe",
    "__version__",
    "compare",
    "corpora",
    "evaluate",
    "export",
    "heads",
    "list_models",
    "list_recipes",
    "load",
    "losses",
    "metrics",
    "networks",
    "predict",
    "prepare",
    "train",
]

_ROOMS = ("corpora", "heads", "losses", "metrics", "networks")
_HOMES = {
    "Dataset": "mien.data.dataset",
    "MienError": "mien.errors",
    "Prediction": "mien.schema",
    "Predictor": "mien.inference.predictor",
    "Recipe": "mien.training.recipe",
    "compare": "mien.evaluation.compare",
    "evaluate": "mien.evaluation.evaluate",
    "export": "mien.training.export",
    "list_models": "mien.models",
    "list_recipes": "mien.recipes",
    "predict": "mien.inference.predict",
    "prepare": "mien.preparation.prepare",
    "train": "mien.training.train",
}

if TYPE_CHECKING:
    from mien import corpora, heads, losses, metrics, networks
    from mien.data.dataset import Dataset
    from mien.errors import MienError
    from mien.evaluation.compare import compare
    from mien.evaluation.evaluate import evaluate
    from mien.faces.detection.detect import Detector
    from mien.inference.predict import predict
    from mien.inference.predictor import Predictor
    from mien.models import list_models
    from mien.preparation.prepare import prepare
    from mien.recipes import list_recipes
    from mien.schema import Prediction
    from mien.training.export import export
    from mien.training.recipe import Recipe
    from mien.training.train import train


def load(
    model: str | PathLike[str] = "fer",
    *,
    detector: Detector | None = None,
    threads: int | None = None,
    abstain_below: float | None = None,
) -> Predictor:
    """A predictor for a shipped model's name or an ONNX file that ``mien export`` wrote.

    ``detector`` finds the faces, mien's own unless one is given; ``threads`` are those of the
    network (default: one per core); ``abstain_below`` is the confidence in an expression below
    which it abstains (default: the model's own; 0: never). Raises :class:`MienError` for an
    unknown name or a file that is not such a model.
    """
    from mien.inference.predictor import Predictor

    return Predictor.load(model, detector=detector, threads=threads, abstain_below=abstain_below)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"mien.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
