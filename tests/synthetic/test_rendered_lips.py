"""AU25 of a rendered face is whether its lips are parted, whatever parts them."""

import numpy as np
import pytest

from mien.synthetic.actions import face_units
from mien.synthetic.faces import face_shot, subject_of
from mien.synthetic.rendering.lips import lips_parted


def parted(actions: dict[int, float], subject: int = 0) -> float:
    sides = {number: (strength, strength) for number, strength in actions.items()}
    return lips_parted(subject_of(0, subject), face_units(sides))


@pytest.mark.parametrize("subject", range(3))
def test_lips_are_parted_by_the_jaw_and_the_upper_lip_as_by_their_unit(subject: int) -> None:
    assert parted({}, subject) < 0.15
    assert parted({25: 1.0}, subject) > 0.6
    assert parted({25: 1.0}, subject) > parted({25: 0.5}, subject)
    assert parted({26: 1.0}, subject) == parted({27: 1.0}, subject) == 1
    assert parted({10: 1.0}, subject) > 0.5


def test_what_presses_the_lips_together_closes_them() -> None:
    assert parted({12: 1.0}) == parted({17: 1.0}) == parted({24: 1.0}) == 0
    assert parted({25: 0.3, 12: 1.0}) == 0 < parted({25: 0.3})


def test_no_rendered_face_with_a_fallen_jaw_is_labeled_as_closed() -> None:
    rows = [face_shot(0, index).row for index in range(80)]
    jaw = np.array([max(row["au26"], row["au27"]) for row in rows])
    parting = np.array([row["au25"] for row in rows])
    assert (jaw > 0.5).sum() >= 5
    assert parting[jaw > 0.5].min() > 0.4
    assert (parting[[row["label"] == "neutral" for row in rows]] < 0.4).all()
    assert ((parting >= 0) & (parting <= 1)).all()
