"""The place of each face's card: inside the picture, off the faces, off the other cards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mien.schema import Box


def place_cards(
    faces: Sequence[Box], sizes: Sequence[tuple[float, float]], canvas: Box, gap: float
) -> tuple[list[Box], bool]:
    """A place beside its face for each card, and whether the cards hide nothing at all.

    ``sizes`` are the cards' widths and heights. Cards lie ``gap`` from their face and inside
    ``canvas``; where no place is free, the one that hides the least is taken.

    >>> place_cards([Box(10, 10, 20, 20)], [(30, 10)], Box(0, 0, 100, 100), 5)
    ([Box(left=35, top=10, width=30, height=10)], True)
    """
    placed: list[Box] = []
    hidden = 0.0
    for face, (width, height) in zip(faces, sizes, strict=True):
        obstacles = [*faces, *placed]
        card, cost = min(
            (
                (place, sum(_overlap(place, other) for other in obstacles))
                for place in _beside(face, width, height, canvas, gap)
            ),
            key=lambda pair: pair[1],
        )
        placed.append(card)
        hidden += cost
    return placed, hidden == 0


def _beside(face: Box, width: float, height: float, canvas: Box, gap: float) -> Iterator[Box]:
    """Places right, left, below and above a face, best first, moved into the canvas."""
    right, bottom = face.left + face.width + gap, face.top + face.height + gap
    tops = (
        face.top,
        face.top + (face.height - height) / 2,
        face.top + face.height - height,
    )
    lefts = (
        face.left,
        face.left + (face.width - width) / 2,
        face.left + face.width - width,
    )
    corners = [
        *((right, top) for top in tops),
        *((face.left - gap - width, top) for top in tops),
        *((left, bottom) for left in lefts),
        *((left, face.top - gap - height) for left in lefts),
    ]
    for left, top in corners:
        yield Box(
            max(canvas.left, min(left, canvas.left + canvas.width - width)),
            max(canvas.top, min(top, canvas.top + canvas.height - height)),
            width,
            height,
        )


def _overlap(one: Box, two: Box) -> float:
    """The shared area."""
    width = min(one.left + one.width, two.left + two.width) - max(one.left, two.left)
    height = min(one.top + one.height, two.top + two.height) - max(one.top, two.top)
    return max(width, 0.0) * max(height, 0.0)
