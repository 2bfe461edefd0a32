"""Predictions drawn into the picture: a frame and a card with probabilities for each face."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mien.faces.images import load_image
from mien.files import replacing
from mien.inference.attention import draw_attention
from mien.inference.cards import place_cards
from mien.inference.circumplex import draw_circumplex
from mien.inference.drawing import GRAY, WHITE, Color, rounded, text_length, write
from mien.inference.predictor import ImageSource
from mien.schema import Box, MienError, Prediction, Status, UInt8Array

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
"""The color of each expression, the same in every picture."""

_PANEL: Color = (18, 21, 27)
_SHORTEST_SIDE = 640  # smaller pictures are enlarged until text of a readable size fits
_LONGEST_SIDE = 2600
# Bars on a card (0: one stacked strip) and the text's scale, tried until everything fits.
_INSET = 3.2  # the circumplex on a card, in units of the text's height
_LAYOUTS = ((8, 1.0), (8, 0.8), (3, 1.0), (3, 0.8), (0, 1.0), (0, 0.75))


@dataclass(frozen=True)
class _Card:
    """What a card says; lengths are in units of the text's height."""

    title: str
    value: str
    bars: tuple[tuple[str, float, Color], ...]
    shown: int
    note: str
    color: Color
    affect: tuple[float, float] | None = None

    @property
    def width(self) -> float:
        return 11.8 if self.shown or self.note else 9.6

    @property
    def height(self) -> float:
        if self.note:
            return 2.75
        if not self.shown:
            return 2.35
        return 2.25 + 1.14 * self.shown + (_INSET + 0.5 if self.affect else 0.0)


def annotate(image: ImageSource, predictions: Sequence[Prediction]) -> UInt8Array:
    """The picture with its predictions drawn in, ``(H', W', 3)`` uint8 RGB.

    Every face gets a frame in its expression's color and a card beside it with name, confidence
    and bars, and a small circumplex where the model gives valence and arousal; crowded pictures
    get smaller cards. Abstained faces are gray and dashed with the reason. A face with an attention
    map has it laid over, as :func:`~mien.inference.attention.draw_attention` says. A person of a
    video has the number of the track on the frame, and no card without probabilities. Pictures
    under 640 pixels are enlarged by a whole factor; a lone face of a photo that leaves no room
    gets its card in a margin that is added on the right. ``image`` is what the predictor was
    given; it is not changed.
    """
    pixels = load_image(image)
    factor = _enlargement(pixels)
    picture = Image.fromarray(pixels)
    if factor > 1:
        picture = picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC
        )
    seen = [one for one in predictions if one.face is not None]
    if not seen:
        _caption(picture, [one.reason for one in predictions if one.reason])
        return np.asarray(picture)
    for one in seen:
        if one.attention is not None and one.patches:
            draw_attention(picture, one.attention, one.patches, scale=factor)
    boxes = [_scaled(one.face.box, factor) for one in seen if one.face is not None]
    unit = _text_height(picture, boxes)
    for shown, scale in _LAYOUTS:
        cards = [_card(one, shown) for one in seen]
        places, free = _arrange(picture, boxes, cards, unit * scale)
        if free:
            unit *= scale
            break
    else:
        # The frames of a video keep their size.
        if len(seen) == 1 and seen[0].track is None:
            cards = [_card(seen[0], min(8, len(seen[0].probabilities)))]
            picture, places = _with_margin(picture, cards[0], unit)
        else:
            unit *= scale
    for one, box, card, place in zip(seen, boxes, cards, places, strict=True):
        _draw_frame(picture, box, card.color, unit, dashed=one.status is Status.ABSTAINED)
        if one.track is not None:
            _draw_number(picture, box, one.track, unit)
        if one.track is None or one.probabilities:
            _draw_card(picture, place, card, unit)
    return np.asarray(picture)


def annotate_file(
    image: ImageSource, predictions: Sequence[Prediction], out: str | os.PathLike[str]
) -> None:
    """Write :func:`annotate`'s picture to a .png, .jpg or .webp file, whole or not at all.

    Raises :class:`~mien.schema.MienError` for another suffix or a file that cannot be written.
    """
    out = Path(out)
    formats = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
    if out.suffix.lower() not in formats:
        raise MienError(f"expected a picture named {', '.join(formats)}, got {str(out)!r}")
    picture = Image.fromarray(annotate(image, predictions))
    with replacing(out) as partial:
        picture.save(partial, formats[out.suffix.lower()], quality=92)


def color_of(expression: str, names: Sequence[str] = ()) -> Color:
    """An expression's color; a class of the user's own gets one by its place in ``names``."""
    if expression in COLORS:
        return COLORS[expression]
    palette = list(COLORS.values())[1:]
    return palette[list(names).index(expression) % len(palette) if expression in names else 0]


def _enlargement(pixels: UInt8Array) -> int:
    height, width, _ = pixels.shape
    short: int = min(height, width)
    long: int = max(height, width)
    return max(1, min(math.ceil(_SHORTEST_SIDE / short), _LONGEST_SIDE // long))


def _text_height(picture: Image.Image, boxes: Sequence[Box]) -> float:
    """The height of text that fits the faces and can be read in a picture of this size."""
    short = min(picture.size)
    face = float(np.median([box.height for box in boxes]))
    return max(min(max(face * 0.115, short / 42), short / 26), 12.0)


def _scaled(box: Box, factor: int) -> Box:
    return Box(box.left * factor, box.top * factor, box.width * factor, box.height * factor)


def _card(prediction: Prediction, shown: int) -> _Card:
    names = tuple(prediction.probabilities)
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    bars = tuple((name, value, color_of(name, names)) for name, value in ranked)
    if prediction.status is Status.ABSTAINED:
        return _Card("abstained", "", bars, 0, prediction.reason.split(";")[0], GRAY)
    name = prediction.expression or ""
    affect = None
    if prediction.valence is not None and prediction.arousal is not None:
        affect = prediction.valence, prediction.arousal
    return _Card(
        title=name,
        value=percent(prediction.confidence or 0.0),
        bars=bars,
        shown=min(shown, len(bars)),
        note="",
        color=color_of(name, names),
        affect=affect,
    )


def percent(value: float) -> str:
    """A probability for a reader, such as ``87 %``."""
    # Rounded to 100 % a probability would claim a certainty that the model never has.
    return ">99 %" if 0.995 <= value < 1 else f"{100 * value:.0f} %"


def _arrange(
    picture: Image.Image, boxes: Sequence[Box], cards: Sequence[_Card], unit: float
) -> tuple[list[Box], bool]:
    edge = 0.5 * unit
    canvas = Box(edge, edge, picture.width - 2 * edge, picture.height - 2 * edge)
    sizes = [(card.width * unit, card.height * unit) for card in cards]
    fits = all(width <= canvas.width and height <= canvas.height for width, height in sizes)
    places, free = place_cards(boxes, sizes, canvas, gap=0.6 * unit)
    return places, free and fits


def _with_margin(picture: Image.Image, card: _Card, unit: float) -> tuple[Image.Image, list[Box]]:
    width, height = card.width * unit, card.height * unit
    wide = Image.new(
        "RGB",
        (picture.width + math.ceil(width + 2 * unit), max(picture.height, math.ceil(height))),
        _PANEL,
    )
    wide.paste(picture)
    return wide, [Box(picture.width + unit, max((wide.height - height) / 2, 0), width, height)]


def _draw_frame(picture: Image.Image, box: Box, color: Color, unit: float, *, dashed: bool) -> None:
    line = 0.17 * unit
    dash = 0.9 * unit if dashed else 0.0
    # A soft dark line underneath keeps the frame visible on any background.
    rounded(picture, box, 0.7 * unit, (0, 0, 0), 0.45, stroke=2.2 * line, soft=2 * line)
    rounded(picture, box, 0.7 * unit, color, 1.0, stroke=line, dash=dash)


def _draw_number(picture: Image.Image, box: Box, number: int, unit: float) -> None:
    """The number of a person on the upper left of the box, or within it where there is no room."""
    small, text = 0.8 * unit, f"person {number}"
    width = text_length(text, small) + 0.8 * unit
    top = box.top - 1.5 * unit
    tag = Box(box.left, top if top >= 0 else box.top + 0.3 * unit, width, 1.3 * unit)
    rounded(picture, tag, 0.4 * unit, _PANEL, 0.7)
    write(picture, tag.left + 0.4 * unit, tag.top + 0.65 * unit, text, small)


def _draw_card(picture: Image.Image, place: Box, card: _Card, unit: float) -> None:
    rounded(picture, place, 0.5 * unit, _PANEL, 0.82)
    left, right = place.left + 0.75 * unit, place.left + place.width - 0.65 * unit
    accent = Box(place.left + 0.28 * unit, place.top + 0.5 * unit, 0.17 * unit, 1.0 * unit)
    rounded(picture, accent, 0.085 * unit, card.color, 1.0)
    title = place.top + 1.0 * unit
    room = right - left - text_length(card.value, unit)
    write(picture, left, title, card.title, unit, room=room, bold=True)
    write(picture, right, title, card.value, unit, color=card.color, anchor="rm", bold=True)
    if card.note:
        write(picture, left, place.top + 2.05 * unit, card.note, 0.74 * unit, room=right - left)
    elif not card.shown:
        _draw_strip(picture, Box(left, place.top + 1.72 * unit, right - left, 0.24 * unit), card)
    if card.shown and card.affect:
        top = place.top + place.height - (_INSET + 0.55) * unit
        inset = Box(left + 0.1 * unit, top, _INSET * unit, _INSET * unit)
        draw_circumplex(picture, inset, *card.affect, card.color, unit, right=right)
    for row, (name, value, color) in enumerate(card.bars[: card.shown]):
        middle = place.top + (2.36 + 1.14 * row) * unit
        small = 0.74 * unit
        start, width = left + 3.9 * unit, right - left - 5.95 * unit
        write(picture, left, middle, name, small, color=(222, 225, 230), room=3.8 * unit)
        write(picture, right, middle, percent(value), small, color=GRAY, anchor="rm")
        track = Box(start, middle - 0.17 * unit, width, 0.34 * unit)
        rounded(picture, track, 0.17 * unit, WHITE, 0.13)
        # Never narrower than its round ends, so that small probabilities are still dots.
        full = Box(start, track.top, max(width * value, 0.34 * unit), track.height)
        rounded(picture, full, 0.17 * unit, color, 1.0 if value >= 0.005 else 0.35)


def _draw_strip(picture: Image.Image, strip: Box, card: _Card) -> None:
    """All probabilities side by side in one bar."""
    left = strip.left
    for _, value, color in card.bars:
        width = strip.width * value
        if width >= 0.5:
            rounded(picture, Box(left, strip.top, width, strip.height), 0, color, 1.0)
        left += width


def _caption(picture: Image.Image, reasons: Sequence[str]) -> None:
    """Why there is nothing to draw, at the bottom left."""
    if not reasons:
        return
    unit = max(min(picture.size) / 30, 12.0)
    width = min(text_length(reasons[0], unit) + 1.4 * unit, picture.width - unit)
    panel = Box(0.5 * unit, picture.height - 2.4 * unit, width, 1.9 * unit)
    rounded(picture, panel, 0.5 * unit, _PANEL, 0.82)
    middle = panel.top + 0.95 * unit
    write(picture, panel.left + 0.7 * unit, middle, reasons[0], unit, room=width - 1.3 * unit)
