"""The nearest faces of an index, as an answer shows them."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from mien.schema import FloatArray, UInt8Array
from mien.search.neighbors import Neighbors

_SIDE = 96


def shown_neighbors(neighbors: Neighbors, embedding: FloatArray) -> list[dict[str, Any]]:
    """Label, cosine and a small picture of each, without the names of files.

    ``picture`` is a data URL, None where a file has gone.
    """
    nearest = neighbors.of(embedding)
    return [
        {
            "label": each.label or None,
            "similarity": each.similarity,
            "picture": None if pixels is None else _data_url(pixels),
        }
        for each, pixels in zip(nearest, neighbors.pictures(nearest), strict=True)
    ]


def _data_url(pixels: UInt8Array) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
