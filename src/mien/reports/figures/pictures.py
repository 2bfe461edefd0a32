"""Pixels as pictures that lie in the page itself."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGEST = 192


class Picture(NamedTuple):
    """A picture of the page: its data URL and its size in pixels."""

    url: str
    width: int
    height: int


def picture(pixels: NDArray[np.uint8], *, longest: int = LARGEST) -> Picture:
    """``(H, W)`` or ``(H, W, 3)`` pixels, made smaller where a side has more than ``longest``."""
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    return Picture(f"data:image/png;base64,{data}", image.width, image.height)
