"""Predictions drawn into the picture: a frame, and a card with probabilities, for each face."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mien.faces.images import MAX_PIXELS, ImageSource, load_image
from mien.files import replacing
from mien.inference.drawing.attention import draw_attention
from mien.inference.drawing.cards import PANEL, Card, card_of, draw_card, has_card
from mien.inference.drawing.colors import Color
from mien.inference.drawing.placement import place_cards
from mien.inference.drawing.shapes import rounded, text_length, write
from mien.schema import Box, MienError, Prediction, Status, UInt8Array

PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""What pictures are written as, by their suffix."""
_SHORTEST_SIDE = 640  # smaller pictures are enlarged until text of a readable size fits
_LONGEST_SIDE = 2600
_MOST_BARS = 8
# Bars per head (0: one stacked strip) and the text's scale, tried until everything fits.
_LAYOUTS = ((_MOST_BARS, 1.0), (_MOST_BARS, 0.8), (3, 1.0), (3, 0.8), (0, 1.0), (0, 0.75))


def annotate(
    image: ImageSource, predictions: Sequence[Prediction], *, max_pixels: int = MAX_PIXELS
) -> UInt8Array:
    """The picture with its predictions drawn in, ``(H', W', 3)`` uint8 RGB.

    Every face gets a frame in its expression's color and a card beside it with name, confidence
    and bars, and a small circumplex for valence and arousal; crowded pictures get smaller cards.
    Abstained faces are gray and dashed with the reason. A face with an attention map has it laid
    over, see :func:`~mien.inference.drawing.attention.draw_attention`. A person of a video has the
    number of the track on the frame, and no card where the heads say nothing. Pictures under 640
    pixels are enlarged by a whole factor; a lone face of a photo that leaves no room gets its card
    in a margin that is added on the right. ``image`` is what the predictor was called with; it is
    not changed.
    """
    pixels = load_image(image, max_pixels=max_pixels)
    factor = _enlargement(pixels)
    picture = Image.fromarray(pixels)
    if factor > 1:
        picture = picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC
        )
    faces = [prediction for prediction in predictions if prediction.face is not None]
    if not faces:
        _caption(picture, [each.reason for each in predictions if each.reason])
        return np.asarray(picture)
    for face in faces:
        if face.attention is not None and face.patches:
            draw_attention(picture, face.attention, face.patches, scale=factor)
    boxes = [_scaled(each.face.box, factor) for each in faces if each.face is not None]
    unit = _text_height(picture, boxes)
    for bars, scale in _LAYOUTS:
        cards = [card_of(face, bars) for face in faces]
        places, free = _arrange(picture, boxes, cards, unit * scale)
        if free:
            unit *= scale
            break
    else:
        # The frames of a video keep their size.
        if len(faces) == 1 and faces[0].track is None:
            cards = [card_of(faces[0], _MOST_BARS)]
            picture, places = _with_margin(picture, cards[0], unit)
        else:
            unit *= scale
    for face, box, card, place in zip(faces, boxes, cards, places, strict=True):
        _draw_frame(picture, box, card.color, unit, dashed=face.status is Status.ABSTAINED)
        if face.track is not None:
            _draw_number(picture, box, face.track, unit)
        if face.track is None or has_card(face):
            draw_card(picture, place, card, unit)
    return np.asarray(picture)


def annotate_file(
    image: ImageSource,
    predictions: Sequence[Prediction],
    out: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Write :func:`annotate`'s picture to a .png, .jpg or .webp file, whole or not at all.

    A new file can be read by its owner only, because it shows faces.

    Raises :class:`~mien.schema.MienError` for another suffix or a file that cannot be written.
    """
    out = Path(out)
    kind = PICTURE_FORMATS.get(out.suffix.lower())
    if kind is None:
        raise MienError(f"expected a picture named {', '.join(PICTURE_FORMATS)}, got {str(out)!r}")
    picture = Image.fromarray(annotate(image, predictions, max_pixels=max_pixels))
    with replacing(out, private=True) as partial:
        picture.save(partial, kind, quality=92)


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


def _arrange(
    picture: Image.Image, boxes: Sequence[Box], cards: Sequence[Card], unit: float
) -> tuple[list[Box], bool]:
    edge = 0.5 * unit
    canvas = Box(edge, edge, picture.width - 2 * edge, picture.height - 2 * edge)
    sizes = [(card.width * unit, card.height * unit) for card in cards]
    fits = all(width <= canvas.width and height <= canvas.height for width, height in sizes)
    places, free = place_cards(boxes, sizes, canvas, gap=0.6 * unit)
    return places, free and fits


def _with_margin(picture: Image.Image, card: Card, unit: float) -> tuple[Image.Image, list[Box]]:
    width, height = card.width * unit, card.height * unit
    wide = Image.new(
        "RGB",
        (picture.width + math.ceil(width + 2 * unit), max(picture.height, math.ceil(height))),
        PANEL,
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
    rounded(picture, tag, 0.4 * unit, PANEL, 0.7)
    write(picture, tag.left + 0.4 * unit, tag.top + 0.65 * unit, text, small)


def _caption(picture: Image.Image, reasons: Sequence[str]) -> None:
    """Why there is nothing to draw, at the bottom left."""
    if not reasons:
        return
    unit = max(min(picture.size) / 30, 12.0)
    width = min(text_length(reasons[0], unit) + 1.4 * unit, picture.width - unit)
    panel = Box(0.5 * unit, picture.height - 2.4 * unit, width, 1.9 * unit)
    rounded(picture, panel, 0.5 * unit, PANEL, 0.82)
    middle = panel.top + 0.95 * unit
    write(picture, panel.left + 0.7 * unit, middle, reasons[0], unit, room=width - 1.3 * unit)
