"""Action units of blendshapes: the map on worked numbers, and what it stands on."""

import numpy as np
import pytest

from mien.faces.action_units import BY_BLENDSHAPES, REST, WEIGHTS, intensities
from mien.faces.detection.mesh import BLENDSHAPES
from mien.labels import ACTION_UNIT_TITLES

AT_REST = {name: REST.get(name.removesuffix("Left").removesuffix("Right"), 0.0)
           for name in BLENDSHAPES}  # fmt: skip


def units(**changes: float) -> dict[str, float]:
    values = intensities(AT_REST | changes)
    return dict(zip(WEIGHTS, values.tolist(), strict=True))


def test_every_part_of_it_is_a_blendshape() -> None:
    both = {name.removesuffix("Left").removesuffix("Right") for name in BLENDSHAPES}
    names = {name for parts in WEIGHTS.values() for name in parts} | set(REST)
    assert names <= both | set(BLENDSHAPES)
    # These two are 0 on every face.
    assert not names & {"cheekSquint", "noseSneer"}


def test_the_units_are_those_of_facs_that_were_asked_for() -> None:
    wanted = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 23, 25, 26)
    assert {f"AU{number}" for number in wanted} <= set(WEIGHTS) <= set(ACTION_UNIT_TITLES)
    assert BY_BLENDSHAPES.units == tuple(WEIGHTS)
    assert (BY_BLENDSHAPES.source, BY_BLENDSHAPES.measure) == ("blendshapes", "intensity")


def test_a_face_at_rest_shows_none() -> None:
    assert set(units().values()) == {0.0}


def test_intensities_are_weighted_sums_of_the_stronger_side_cut_to_0_and_1() -> None:
    smile = units(mouthSmileLeft=0.5, mouthSmileRight=0.75)
    assert smile["AU12"] == pytest.approx(0.75)
    assert smile["AU6"] == pytest.approx(0.6 * 0.75)
    assert smile["AU10"] == 0
    assert units(jawOpen=0.9)["AU26"] == units(eyeWideLeft=0.9)["AU5"] == 1
    raised = units(browInnerUp=0.6, browOuterUpLeft=0.2, browOuterUpRight=0.7)
    assert raised["AU1"] == pytest.approx(0.5)
    assert raised["AU2"] == pytest.approx(0.7 * 0.5 + 0.4 * 0.5)


def test_without_a_mesh_there_is_nothing_to_say() -> None:
    assert np.isnan(intensities({})).all()
    assert intensities({}).shape == intensities(AT_REST).shape == (len(WEIGHTS),)
