"""What a server says of itself: its models, in the words and colors of the pages, and limits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mien import __version__
from mien.heads import HEADS
from mien.inference.drawing.colors import color_of
from mien.inference.units import reading_of
from mien.models import ModelInfo
from mien.schema import Prediction, Status

if TYPE_CHECKING:
    from mien.serving.service import Service


def describe_server(service: Service) -> dict[str, Any]:
    """The answer of ``GET /v1/model``."""
    return {
        "version": __version__,
        "models": [describe_model(reading_of(model.info)) for model in service.models],
        "limits": asdict(service.limits),
    }


def describe_model(info: ModelInfo) -> dict[str, Any]:
    """What a model says of itself, and the color of each name that it gives a share to."""
    return {
        "name": info.name,
        "reads": "faces" if info.clips is None else "clips",
        "heads": {name: head.model_dump(mode="json") for name, head in info.heads.items()},
        "colors": _colors(info),
        "preprocessing": info.preprocessing.model_dump(mode="json"),
        "license_terms": info.license_terms,
        "commercial_use": info.ledger.commercial_use,
        "ledger": info.ledger.document(),
        "card": info.card,
    }


def _colors(info: ModelInfo) -> dict[str, str]:
    import numpy as np

    colors: dict[str, str] = {}
    for name, head_info in info.heads.items():
        head = HEADS[name]
        arrays = {
            output: np.zeros((1, *shape), np.float32)
            for output, shape in head.outputs(head_info).items()
        }
        fields = head.read(head_info, arrays, 0)
        names = list(head.bars(Prediction(Status.OK, **fields)))
        colors |= {each: "#{:02x}{:02x}{:02x}".format(*color_of(each, names)) for each in names}
    return colors
