"""What the people in view and the person at the terminal are told, in words and in the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mien.inference.drawing.cards import PANEL
from mien.inference.drawing.shapes import GRAY, WHITE, text_length, write
from mien.schema import UInt8Array

TELL_FIRST = (
    "Tell the people in view first: whoever is exposed to emotion recognition must be informed of "
    "it (EU AI Act, article 50(3))."
)
_RUNNING = "Emotion recognition is running."


def notice(stored: Sequence[str]) -> str:
    """The notice for the people in view; ``stored`` names what is written to disk."""
    if not stored:
        return f"{_RUNNING} Nothing is stored."
    return f"{_RUNNING} Stored: {' and '.join(stored)}."


def with_strip(picture: UInt8Array, lines: Sequence[str]) -> UInt8Array:
    """The picture with lines of text below it, where they hide nothing; the first is white."""
    height, width = picture.shape[:2]
    unit = min(max(min(width, 2 * height) / 40, 11.0), 22.0)
    strip = Image.new("RGB", (width, round((0.7 + 1.35 * len(lines)) * unit)), PANEL)
    room = width - 1.4 * unit
    for row, line in enumerate(lines):
        # Told in full: a notice that is cut short is none.
        size = unit * min(1.0, room / max(text_length(line, unit), 1.0))
        color = GRAY if row else WHITE
        write(strip, 0.7 * unit, (1.0 + 1.35 * row) * unit, line, size, color=color, bold=not row)
    return np.concatenate([picture, np.asarray(strip)])
