"""Valence and arousal of one face as a small picture."""

from __future__ import annotations

from PIL import Image

from mien.heads.wording import signed
from mien.inference.drawing.colors import Color
from mien.inference.drawing.shapes import GRAY, WHITE, rounded, write
from mien.schema import Box


def draw_circumplex(
    picture: Image.Image,
    place: Box,
    valence: float,
    arousal: float,
    color: Color,
    unit: float,
    *,
    right: float,
) -> None:
    """Valence to the right, arousal up: a dot in the unit circle, and both numbers beside it.

    ``place`` is the circle's square, ``unit`` the height of text and ``right`` where the numbers
    end, in pixels. Values outside [-1, 1] stay on the edge of the square.
    """
    middle_x, middle_y = place.left + place.width / 2, place.top + place.height / 2
    radius, line = place.width / 2, 0.09 * unit
    rounded(picture, place, radius, WHITE, 0.06)
    rounded(picture, place, radius, WHITE, 0.4, stroke=line)
    for across, up in ((radius, line / 2), (line / 2, radius)):
        axis = Box(middle_x - across, middle_y - up, 2 * across, 2 * up)
        rounded(picture, axis, 0, WHITE, 0.25)
    x = middle_x + radius * min(max(valence, -1.0), 1.0)
    y = middle_y - radius * min(max(arousal, -1.0), 1.0)
    for reach, tone, opacity in ((0.42, (0, 0, 0), 0.5), (0.32, color, 1.0)):
        dot = Box(x - reach * unit, y - reach * unit, 2 * reach * unit, 2 * reach * unit)
        rounded(picture, dot, reach * unit, tone, opacity)
    left, small = place.left + place.width + 0.9 * unit, 0.74 * unit
    for row, (name, value) in enumerate((("valence", valence), ("arousal", arousal))):
        at = middle_y + (row - 0.5) * 1.14 * unit
        write(picture, left, at, name, small, color=(222, 225, 230))
        write(picture, right, at, signed(value), small, color=GRAY, anchor="rm")
