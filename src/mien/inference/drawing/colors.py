"""The color of each expression, the same in every picture."""

from __future__ import annotations

from collections.abc import Sequence

Color = tuple[int, int, int]

# Okabe and Ito's palette, which stays distinct for color-blind eyes; the two that are dark on a
# dark card are lightened.
COLORS: dict[str, Color] = {
    "neutral": (222, 222, 222),
    "happiness": (240, 228, 66),
    "surprise": (230, 159, 0),
    "sadness": (86, 180, 233),
    "anger": (229, 98, 24),
    "disgust": (20, 178, 133),
    "fear": (214, 134, 179),
    "contempt": (66, 133, 220),
    "other": (170, 140, 110),
}


def color_of(name: str, names: Sequence[str] = ()) -> Color:
    """An expression's color; any other name gets one by its place in ``names``."""
    if name in COLORS:
        return COLORS[name]
    palette = list(COLORS.values())[1:]
    return palette[list(names).index(name) % len(palette) if name in names else 0]
