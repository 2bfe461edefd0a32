"""Face number i of a seed: whom it shows, what it shows, and all that is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mien.labels import EXPRESSIONS
from mien.synthetic.actions import RENDERED_UNITS, Expression, draw_expression, face_units
from mien.synthetic.affect import draw_votes, valence_arousal
from mien.synthetic.rendering.head import load_head
from mien.synthetic.rendering.scene import Scene, draw_scene, frontal_scene
from mien.synthetic.rendering.subject import Subject, make_subject

FACES_OF_A_SUBJECT = 5

FIELDS: tuple[pa.Field, ...] = (
    pa.field("intensity", pa.float32()),
    pa.field("valence", pa.float32()),
    pa.field("arousal", pa.float32()),
    *(pa.field(f"au{number:02d}", pa.float32()) for number in RENDERED_UNITS),
    pa.field("age", pa.float32()),
    pa.field("age_group", pa.string()),
    pa.field("sex", pa.string()),
    pa.field("skin_tone", pa.int8()),
    pa.field("yaw", pa.float32()),
    pa.field("pitch", pa.float32()),
    pa.field("roll", pa.float32()),
    pa.field("occlusion", pa.string()),
)
"""Columns of rendered faces after the common ones: what is known because it was put there.

``au01`` to ``au27`` are strengths in [0, 1], which the dataset reads as intensities divided by 5.
"""


class Shot(NamedTuple):
    """One picture to render: its row (without crop and landmarks), and what goes into it."""

    row: dict[str, Any]
    subject: Subject
    units: Mapping[str, float]
    scene: Scene
    generator: np.random.Generator


def face_shot(seed: int, index: int, *, plain: bool = False) -> Shot:
    """Face ``index`` of a seed; it depends on these arguments alone.

    A ``plain`` face looks into a good camera in soft light, with nothing in front of it and its
    expression at 75 % or more of full strength.

    Subjects have five faces each and whole subjects go to a split, three of five to train, one to
    valid and one to test. Expressions take turns, so that each split of any 200 faces has all
    eight equally often.
    """
    number = index // FACES_OF_A_SUBJECT
    subject = subject_of(seed, number)
    generator = np.random.default_rng((seed, index, 0))
    strength = generator.uniform(0.75, 1.0) if plain else None
    label = EXPRESSIONS[index % len(EXPRESSIONS)]
    expression = draw_expression(label, generator, intensity=strength)
    scene = frontal_scene(generator) if plain else draw_scene(generator)
    row = {
        "id": f"face-{index:07d}",
        "source": f"rendered/seed-{seed}/face-{index:07d}",
        "split": split_of(number),
        "subject": f"subject-{number:06d}",
        "label": expression.label,
        "votes": draw_votes(expression, generator).tolist(),
        **known_of(expression, subject, scene),
    }
    return Shot(row, subject, face_units(expression.actions), scene, generator)


def split_of(subject: int) -> str:
    """The split of a subject: of five in a row three train, one is in valid, one in test."""
    return {3: "valid", 4: "test"}.get(subject % 5, "train")


@lru_cache(maxsize=4)
def subject_of(seed: int, number: int) -> Subject:
    """A subject of a seed; the last few are kept, as faces come subject by subject."""
    return make_subject(load_head(), seed, number)


def known_of(expression: Expression, subject: Subject, scene: Scene) -> dict[str, Any]:
    """The values of :data:`FIELDS`."""
    valence, arousal = valence_arousal(expression.mixture)
    return {
        "intensity": expression.intensity,
        "valence": valence,
        "arousal": arousal,
        **{f"au{number:02d}": expression.action_unit(number) for number in RENDERED_UNITS},
        "age": subject.age,
        "age_group": subject.age_group,
        "sex": subject.sex,
        "skin_tone": subject.skin_tone,
        "yaw": scene.pose.yaw,
        "pitch": scene.pose.pitch,
        "roll": scene.pose.roll,
        "occlusion": scene.occlusion,
    }
