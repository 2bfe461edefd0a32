"""The card of one face: its expression, bars of what the heads list, a circumplex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from PIL import Image

from mien.heads import HEADS
from mien.heads.expression import NOT_SURE, leading
from mien.heads.head import Head
from mien.inference.drawing.circumplex import draw_circumplex
from mien.inference.drawing.colors import Color, color_of
from mien.inference.drawing.shapes import GRAY, WHITE, rounded, text_length, write
from mien.schema import Box, Prediction, Status

PANEL: Color = (18, 21, 27)
_INSET = 3.2  # the circumplex, in units of the text's height
_LEAST_SHARE = 0.02
_TEXT: Color = (222, 225, 230)


class Bar(NamedTuple):
    """One line of a card: a name, its share in [0, 1], and the number beside it."""

    name: str
    value: float
    color: Color
    text: str


@dataclass(frozen=True)
class Card:
    """What a card shows; lengths are in units of the text's height.

    ``bars`` are listed, with the circumplex of ``affect`` below; without bars, ``strip`` is one bar
    of all shares of the first head that has some. ``note`` replaces all of these.
    """

    title: str
    value: str
    color: Color
    bars: tuple[Bar, ...] = ()
    strip: tuple[Bar, ...] = ()
    note: str = ""
    affect: tuple[float, float] | None = None

    @property
    def width(self) -> float:
        """With the widest text."""
        return 11.8 if self.bars or self.note or self.inset else 9.6

    @property
    def height(self) -> float:
        """With all lines."""
        if self.note:
            return 2.75
        if not self.bars and not self.inset:
            return 2.35
        return 2.25 + 1.14 * len(self.bars) + (_INSET + 0.5 if self.inset else 0.0)

    @property
    def inset(self) -> bool:
        """Whether the circumplex is drawn: on a small card the strip takes its place."""
        return self.affect is not None and bool(self.bars or not self.strip)


def has_card(prediction: Prediction) -> bool:
    """Whether there is anything to show of a face, or at least why a model says nothing."""
    if prediction.crop is not None:
        return True
    return prediction.valence is not None or any(head.bars(prediction) for head in HEADS.values())


def card_of(prediction: Prediction, most_bars: int) -> Card:
    """The card of a face, with at most ``most_bars`` bars of each head, the largest first.

    Bars of less than 2 % are left out, but for the first two.
    """
    ranked: list[tuple[Bar, ...]] = []
    bars: list[Bar] = []
    for head in HEADS.values():
        if of_head := _ranked(head, prediction):
            ranked.append(of_head)
            shown = of_head[: min(most_bars, head.most_bars)]
            bars += shown[:2] + tuple(bar for bar in shown[2:] if bar.value >= _LEAST_SHARE)
    if prediction.status is Status.ABSTAINED:
        note = prediction.reason.split(";")[0]
        title, _, shares = note.partition(": ")
        if title != NOT_SURE:
            title, shares = "abstained", note
        return Card(title, "", GRAY, note=shares)
    top = ranked[0][0] if ranked else Bar("affect", 0.0, WHITE, "")
    affect = None
    if prediction.valence is not None and prediction.arousal is not None:
        affect = prediction.valence, prediction.arousal
    tie = leading(prediction.probabilities)
    return Card(
        title=" or ".join(tie) if len(tie) > 1 else top.name,
        value=top.text,
        color=top.color,
        bars=tuple(bars),
        strip=ranked[0] if ranked else (),
        affect=affect,
    )


def draw_card(picture: Image.Image, place: Box, card: Card, unit: float) -> None:
    """Draw a card into its place; ``unit`` is the height of text in pixels."""
    rounded(picture, place, 0.5 * unit, PANEL, 0.82)
    left, right = place.left + 0.75 * unit, place.left + place.width - 0.65 * unit
    accent = Box(place.left + 0.28 * unit, place.top + 0.5 * unit, 0.17 * unit, 1.0 * unit)
    rounded(picture, accent, 0.085 * unit, card.color, 1.0)
    title = place.top + 1.0 * unit
    room = right - left - text_length(card.value, unit)
    write(picture, left, title, card.title, unit, room=room, bold=True)
    write(picture, right, title, card.value, unit, color=card.color, anchor="rm", bold=True)
    if card.note:
        write(picture, left, place.top + 2.05 * unit, card.note, 0.74 * unit, room=right - left)
    elif card.inset and card.affect:
        top = place.top + place.height - (_INSET + 0.55) * unit
        inset = Box(left + 0.1 * unit, top, _INSET * unit, _INSET * unit)
        draw_circumplex(picture, inset, *card.affect, card.color, unit, right=right)
    elif not card.bars:
        _draw_strip(picture, Box(left, place.top + 1.72 * unit, right - left, 0.24 * unit), card)
    for row, bar in enumerate(card.bars):
        _draw_bar(picture, bar, left, right, place.top + (2.36 + 1.14 * row) * unit, unit)


def _ranked(head: Head[Any, Any], prediction: Prediction) -> tuple[Bar, ...]:
    shares = head.bars(prediction)
    names = tuple(shares)
    ranked = sorted(shares.items(), key=lambda pair: -pair[1])
    return tuple(
        Bar(name, value, color_of(name, names), head.bar_text(value)) for name, value in ranked
    )


def _draw_bar(
    picture: Image.Image, bar: Bar, left: float, right: float, middle: float, unit: float
) -> None:
    small = 0.74 * unit
    # Room for the longest number, so that all bars are of one length and touch none.
    number = text_length(">99 %", small) + 0.35 * unit
    start, width = left + 3.9 * unit, right - left - 3.9 * unit - number
    write(picture, left, middle, bar.name, small, color=_TEXT, room=3.8 * unit)
    write(picture, right, middle, bar.text, small, color=GRAY, anchor="rm")
    track = Box(start, middle - 0.17 * unit, width, 0.34 * unit)
    rounded(picture, track, 0.17 * unit, WHITE, 0.13)
    # Never narrower than its round ends, so that small probabilities are still dots.
    full = Box(start, track.top, max(width * bar.value, 0.34 * unit), track.height)
    rounded(picture, full, 0.17 * unit, bar.color, 1.0 if bar.value >= 0.005 else 0.35)


def _draw_strip(picture: Image.Image, strip: Box, card: Card) -> None:
    """All shares of a head side by side in one bar."""
    left, total = strip.left, max(1.0, sum(bar.value for bar in card.strip))
    for bar in card.strip:
        width = strip.width * bar.value / total
        if width >= 0.5:
            rounded(picture, Box(left, strip.top, width, strip.height), 0, bar.color, 1.0)
        left += width
