"""mien reads affect from faces.

``mien.load()`` gives a predictor; ``predictor(image)`` a list of predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.inference.predictor import Predictor

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(model: str = "fer") -> Predictor:
    """A predictor for a shipped model's name or an ONNX file that ``mien export`` wrote.

    Raises :class:`mien.schema.MienError` for an unknown name or a file that is no model of ours.
    """
    # Imported here so that `import mien` stays light.
    from mien.inference.predictor import Predictor

    return Predictor.load(model)
