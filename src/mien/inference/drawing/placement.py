"""The place of each face's card: inside the picture, off the faces, off the other cards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mien.schema import Box


def place_cards(
    faces: Sequence[Box], sizes: Sequence[tuple[float, float]], canvas: Box, gap: float
) -> list[Box | None]:
    """A place beside its face for each card; None where every place would hide something.

    ``sizes`` are the cards' widths and heights. Cards lie ``gap`` from their face and inside
    ``canvas``, off all faces and off each other.

    >>> place_cards([Box(10, 10, 20, 20)], [(30, 10)], Box(0, 0, 100, 100), 5)
    [Box(left=35, top=10, width=30, height=10)]
    """
    placed: list[Box | None] = []
    obstacles = list(faces)
    for face, (width, height) in zip(faces, sizes, strict=True):
        fits = width <= canvas.width and height <= canvas.height
        places = _beside(face, width, height, canvas, gap) if fits else iter(())
        free = (place for place in places if not any(_overlap(place, other) for other in obstacles))
        place = next(free, None)
        placed.append(place)
        if place is not None:
            obstacles.append(place)
    return placed


def place_in_margin(
    sizes: Sequence[tuple[float, float]], left: float, height: float, gap: float
) -> list[Box]:
    """Places for all cards in columns to the right of ``left``, as high as ``height`` allows.

    >>> place_in_margin([(30, 10), (30, 10)], 100, 25, 1)
    [Box(left=101, top=1, width=30, height=10), Box(left=101, top=12, width=30, height=10)]
    """
    placed: list[Box] = []
    x, y, widest = left + gap, gap, 0.0
    for width, tall in sizes:
        if placed and y > gap and y + tall + gap > height:
            x, y, widest = x + widest + gap, gap, 0.0
        placed.append(Box(x, y, width, tall))
        y, widest = y + tall + gap, max(widest, width)
    return placed


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
