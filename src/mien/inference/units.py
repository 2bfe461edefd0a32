"""Action units by the blendshapes of faces, for models that have no head for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.faces.action_units import BY_BLENDSHAPES, intensities
from mien.models import ModelInfo
from mien.schema import Face, ModelOutput

NAME = "action_units"
NO_UNITS = "no action units: the face has no mesh"


def reading_of(info: ModelInfo) -> ModelInfo:
    """What predictions of a model of faces are read by: its description, with action units.

    Where it has no head ``action_units``, it gets one whose source is the blendshapes of faces.
    """
    if NAME in info.heads or info.clips is not None:
        return info
    return info.model_copy(update={"heads": {**info.heads, NAME: BY_BLENDSHAPES}})


def reads_blendshapes(reading: ModelInfo) -> bool:
    """Whether action units come from blendshapes."""
    head = reading.heads.get(NAME)
    return head is not None and getattr(head, "source", "") == "blendshapes"


def with_units(reading: ModelInfo, faces: Sequence[Face], output: ModelOutput) -> ModelOutput:
    """The output for N faces, with ``action_units`` ``(N, K)`` where they come from blendshapes.

    The row of a face without a mesh is NaN.
    """
    if NAME in output.heads or not reads_blendshapes(reading):
        return output
    rows = np.stack([intensities(face.blendshapes) for face in faces])
    return output._replace(heads={**output.heads, NAME: rows})
