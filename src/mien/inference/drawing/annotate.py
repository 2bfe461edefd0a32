"""Predictions drawn into the picture: a frame, and a card with probabilities, for each face."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mien.errors import MienError
from mien.faces.images import MAX_PIXELS, ImageSource, load_image
from mien.files import replacing
from mien.inference.drawing.attention import draw_attention
from mien.inference.drawing.cards import PANEL, Card, card_of, draw_card, has_card
from mien.inference.drawing.colors import Color
from mien.inference.drawing.placement import place_cards, place_in_margin
from mien.inference.drawing.shapes import rounded, text_length, write
from mien.schema import Box, Prediction, Status, UInt8Array

PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""What pictures are written as, by their suffix."""
_SHORTEST_SIDE = 640  # smaller pictures are enlarged until text of a readable size fits
_LONGEST_SIDE = 2600
_MOST_BARS = 8
# Bars per head (0: one stacked strip) and the text's scale, tried until everything fits.
_LAYOUTS = ((_MOST_BARS, 1.0), (_MOST_BARS, 0.8), (3, 1.0), (3, 0.8), (0, 1.0), (0, 0.75))


def annotate(
    image: ImageSource,
    predictions: Sequence[Prediction],
    *,
    max_pixels: int = MAX_PIXELS,
    enlarge: bool = True,
) -> UInt8Array:
    """The picture with its predictions drawn in, ``(H', W', 3)`` uint8 RGB.

    Every face gets a frame in its expression's color and a card beside it with name, confidence
    and bars, and a small circumplex for valence and arousal; crowded pictures get smaller cards.
    Abstained faces are gray and dashed with the reason. A face with an attention map has it laid
    over, see :func:`~mien.inference.drawing.attention.draw_attention`. A person of a video has the
    number of the track on the frame, and no card where the heads say nothing. Pictures under 640
    pixels are enlarged by a whole factor, unless ``enlarge`` is false. No card lies on a face of
    ``predictions``: where there is no room, the cards of a photo go to a margin that is added on
    the right, with numbers, and a frame of a video goes without the card. ``image`` is what the
    predictor was called with; it is not changed.
    """
    drawn = _annotated(load_image(image, max_pixels=max_pixels), predictions, enlarge=enlarge)
    return np.asarray(drawn)


def _annotated(
    pixels: UInt8Array, predictions: Sequence[Prediction], *, enlarge: bool = True
) -> Image.Image:
    factor = _enlargement(pixels) if enlarge else 1
    picture = Image.fromarray(pixels)
    # Of a large photo, one copy is enough.
    del pixels
    if factor > 1:
        picture = picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC
        )
    faces = [prediction for prediction in predictions if prediction.face is not None]
    if not faces:
        _caption(picture, [each.reason for each in predictions if each.reason])
        return picture
    for face in faces:
        if face.attention is not None and face.patches:
            draw_attention(picture, face.attention, face.patches, scale=factor)
    boxes = [_scaled(each.face.box, factor) for each in faces if each.face is not None]
    unit = _text_height(picture, boxes)
    # The frames of a video keep their size.
    tracked = any(face.track is not None for face in faces)
    for bars, scale in _LAYOUTS:
        cards = [card_of(face, bars) for face in faces]
        places = _arrange(picture, boxes, cards, unit * scale)
        if all(places):
            unit *= scale
            break
    else:
        if tracked:
            unit *= scale
        else:
            cards, places = _in_margin(picture, faces, unit)
    beside = any(place and place.left >= picture.width for place in places)
    for number, (face, box, card) in enumerate(zip(faces, boxes, cards, strict=True), 1):
        _draw_frame(picture, box, card.color, unit, dashed=face.status is Status.ABSTAINED)
        if face.track is not None:
            _draw_tag(picture, box, f"person {face.track}", unit, boxes)
        elif beside and len(faces) > 1:
            _draw_tag(picture, box, str(number), unit, boxes)
    if beside:
        picture = _widened(picture, places, unit)
    for face, card, place in zip(faces, cards, places, strict=True):
        if place is not None and (face.track is None or has_card(face)):
            draw_card(picture, place, card, unit)
    return picture


def annotate_file(
    image: ImageSource,
    predictions: Sequence[Prediction],
    out: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Write :func:`annotate`'s picture to a .png, .jpg or .webp file, whole or not at all.

    A new file can be read by its owner only, because it shows faces.

    Raises :class:`~mien.errors.MienError` for another suffix or a file that cannot be written.
    """
    out = Path(out)
    kind = PICTURE_FORMATS.get(out.suffix.lower())
    if kind is None:
        raise MienError(f"expected a picture named {', '.join(PICTURE_FORMATS)}, got {str(out)!r}")
    picture = _annotated(load_image(image, max_pixels=max_pixels), predictions)
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
) -> list[Box | None]:
    edge = 0.5 * unit
    if min(picture.size) <= 2 * edge:
        return [None] * len(cards)
    canvas = Box(edge, edge, picture.width - 2 * edge, picture.height - 2 * edge)
    sizes = [(card.width * unit, card.height * unit) for card in cards]
    # The line of a frame is drawn around its box.
    lines = [
        Box(box.left - edge, box.top - edge, box.width + 2 * edge, box.height + 2 * edge)
        for box in boxes
    ]
    return place_cards(lines, sizes, canvas, gap=0.1 * unit)


def _in_margin(
    picture: Image.Image, faces: Sequence[Prediction], unit: float
) -> tuple[list[Card], list[Box | None]]:
    """The largest cards that take no more room beside the picture than it has, and their places."""
    for bars in (_MOST_BARS, 3, 0):
        cards = [card_of(face, bars) for face in faces]
        if len(cards) > 1:
            cards = [replace(card, title=f"{n}  {card.title}") for n, card in enumerate(cards, 1)]
        sizes = [(card.width * unit, card.height * unit) for card in cards]
        places = place_in_margin(sizes, picture.width, picture.height, 0.5 * unit)
        if max(place.left + place.width for place in places) <= 2 * picture.width:
            break
    return cards, [*places]


def _widened(picture: Image.Image, places: Sequence[Box | None], unit: float) -> Image.Image:
    """The picture with a margin on the right that holds the places."""
    right = max(place.left + place.width for place in places if place)
    bottom = max(place.top + place.height for place in places if place)
    size = (math.ceil(right + 0.5 * unit), max(picture.height, math.ceil(bottom + 0.5 * unit)))
    wide = Image.new("RGB", size, PANEL)
    wide.paste(picture)
    return wide


def _draw_frame(picture: Image.Image, box: Box, color: Color, unit: float, *, dashed: bool) -> None:
    line = 0.17 * unit
    dash = 0.9 * unit if dashed else 0.0
    # A soft dark line underneath keeps the frame visible on any background.
    rounded(picture, box, 0.7 * unit, (0, 0, 0), 0.45, stroke=2.2 * line, soft=2 * line)
    rounded(picture, box, 0.7 * unit, color, 1.0, stroke=line, dash=dash)


def _draw_tag(picture: Image.Image, box: Box, text: str, unit: float, faces: Sequence[Box]) -> None:
    """A few words beside the box, off all faces; within its upper left where there is no room."""
    small = 0.8 * unit
    width, height = text_length(text, small) + 0.8 * unit, 1.3 * unit
    line = 0.2 * unit
    right = box.left + box.width
    places = [
        Box(left, top, width, height)
        for top in (box.top - height - line, box.top + box.height + line)
        for left in (box.left, right - width)
    ]
    places += [
        Box(left, box.top, width, height) for left in (box.left - width - line, right + line)
    ]
    inside = Box(box.left, box.top + 0.3 * unit, width, height)
    tag = next((each for each in places if _is_free(each, picture, faces)), inside)
    rounded(picture, tag, 0.4 * unit, PANEL, 0.7)
    write(picture, tag.left + 0.4 * unit, tag.top + 0.65 * unit, text, small)


def _is_free(place: Box, picture: Image.Image, faces: Sequence[Box]) -> bool:
    """Whether a place lies in the picture and on no face."""
    right, bottom = place.left + place.width, place.top + place.height
    if place.left < 0 or place.top < 0 or right > picture.width or bottom > picture.height:
        return False
    return not any(
        place.left < face.left + face.width
        and face.left < right
        and place.top < face.top + face.height
        and face.top < bottom
        for face in faces
    )


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
