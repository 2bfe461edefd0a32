"""Text and smooth rounded shapes, drawn into a Pillow image at fractions of a pixel."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.errors import MienError
from mien.inference.drawing.colors import Color
from mien.schema import Box

WHITE: Color = (255, 255, 255)
GRAY: Color = (168, 172, 178)


@lru_cache(maxsize=32)
def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MienError("expected a Pillow with FreeType, got one without; reinstall Pillow")
    return font


def text_length(text: str, size: float) -> float:
    """The width of a line of text in pixels."""
    return _font(size).getlength(text)


def write(
    picture: Image.Image,
    x: float,
    y: float,
    text: str,
    size: float,
    *,
    color: Color = WHITE,
    anchor: str = "lm",
    bold: bool = False,
    room: float = math.inf,
) -> None:
    """One line of text, cut short with an ellipsis where it does not fit into ``room``."""
    if text_length(text, size) > room:
        while text and text_length(text + "…", size) > room:
            text = text[:-1].rstrip()
        text += "…"
    draw = ImageDraw.Draw(picture)
    stroke = size / 60 if bold else 0
    draw.text((x, y), text, color, _font(size), anchor, stroke_width=stroke)


def rounded(
    picture: Image.Image,
    box: Box,
    radius: float,
    color: Color,
    opacity: float,
    *,
    stroke: float = 0.0,
    soft: float = 1.0,
    dash: float = 0.0,
) -> None:
    """A smooth rounded rectangle: filled, or an outline ``stroke`` wide, ``soft`` at its edges."""
    reach = stroke / 2 + soft
    x0, x1 = _clip(box.left - reach, box.left + box.width + reach, picture.width)
    y0, y1 = _clip(box.top - reach, box.top + box.height + reach, picture.height)
    radius = min(radius, box.width / 2, box.height / 2)
    x = np.arange(x0, x1, dtype=np.float32) + 0.5
    dx = np.abs(x - (box.left + box.width / 2)) - (box.width / 2 - radius)
    # In bands, so that a frame around most of a huge photo costs little memory.
    for top in range(y0, y1, 256):
        y = np.arange(top, min(top + 256, y1), dtype=np.float32)[:, None] + 0.5
        dy = np.abs(y - (box.top + box.height / 2)) - (box.height / 2 - radius)
        # The signed distance to the outline: negative inside.
        distance = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) - radius
        distance += np.minimum(np.maximum(dx, dy), 0)
        if stroke:
            distance = np.abs(distance) - stroke / 2
        cover = np.clip(0.5 - distance / soft, 0, 1)
        if dash:
            cover *= (x + y) % dash < 0.55 * dash
        mask = Image.fromarray(np.round(cover * (255 * opacity)).astype(np.uint8))
        picture.paste(color, (x0, top), mask)


def _clip(low: float, high: float, length: int) -> tuple[int, int]:
    return max(0, math.floor(low)), min(length, math.ceil(high))
