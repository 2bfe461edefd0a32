from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mien.faces.cuts import THUMBNAIL, with_cuts
from mien.schema import UInt8Array

WIDTH, HEIGHT = THUMBNAIL


def scene(seed: int, level: float = 1.0) -> UInt8Array:
    """A gray picture with a spread of 60 levels."""
    rough = np.random.default_rng(seed).uniform(80, 140, (HEIGHT, WIDTH))
    return (rough * level).astype(np.uint8)


def cuts(pictures: list[UInt8Array]) -> list[int]:
    marked = list(with_cuts(pictures, lambda picture: picture))
    assert [id(picture) for picture, _ in marked] == [id(picture) for picture in pictures]
    return [number for number, (_, cut) in enumerate(marked) if cut]


def test_a_cut_lies_before_the_first_picture_of_another_scene() -> None:
    one, two = scene(1), scene(2)
    assert cuts([one] * 8 + [two] * 8 + [one] * 8) == [8, 16]


def test_a_cut_may_change_a_small_part_of_the_picture() -> None:
    one, two = scene(1), scene(1)
    two[10:30, 20:40] = scene(2)[10:30, 20:40]
    assert cuts([one] * 8 + [two] * 8) == [8]


def test_what_moves_is_no_cut() -> None:
    moving = [np.roll(scene(1), step, axis=1) for step in range(12)]
    assert cuts(moving) == []
    # A movement begins at once and goes on.
    assert cuts([scene(1)] * 8 + moving[1:]) == []
    # The same movement, then another scene that moves as well, is not told apart.
    assert cuts(moving + [np.roll(scene(2), step, axis=1) for step in range(12)]) == []


def test_a_dissolve_a_flash_and_a_lamp_are_no_cuts() -> None:
    one, two = scene(1), scene(2)
    mixed = [(one * (1 - n / 6) + two * (n / 6)).astype(np.uint8) for n in range(1, 6)]
    assert cuts([one] * 8 + mixed + [two] * 8) == []
    assert cuts([one] * 8 + [scene(1, 1.5)] + [one] * 8) == []
    assert cuts([one] * 8 + [scene(1, 1 + n / 10) for n in range(5)] + [scene(1, 1.5)] * 8) == []


def test_a_video_may_be_short() -> None:
    assert cuts([]) == cuts([scene(1)]) == cuts([scene(1), scene(2)]) == []


def test_what_comes_before_damage_is_yielded() -> None:
    def damaged() -> Iterator[UInt8Array]:
        yield scene(1)
        yield scene(2)
        raise ValueError("damage")

    seen = []
    with pytest.raises(ValueError, match="damage"):
        for picture, _ in with_cuts(damaged(), lambda picture: picture):
            seen.append(picture)
    assert len(seen) == 2
