"""Face number i of a seed: its subject, its expression and all of its labels."""

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
from mien.synthetic.rendering.lips import lips_parted
from mien.synthetic.rendering.render import all_units
from mien.synthetic.rendering.scene import Scene, draw_scene, frontal_scene
from mien.synthetic.rendering.subject import Subject, make_subject

FACES_PER_SUBJECT = 5

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
"""Columns of rendered faces beyond those of every dataset.

``au01`` to ``au27`` are strengths in [0, 1], ``au25`` how far the lips are parted; a dataset reads
them as intensities divided by 5.
"""


class Shot(NamedTuple):
    """One picture to render: its row without crop and landmarks, and the input of the renderer."""

    row: dict[str, Any]
    subject: Subject
    units: Mapping[str, float]
    scene: Scene
    generator: np.random.Generator


def face_shot(seed: int, index: int, *, plain: bool = False) -> Shot:
    """Return face ``index`` of a seed, which depends on these arguments only.

    A ``plain`` face looks into a good camera in soft light, without occlusion and with an
    expression of 75 % or more of full strength.

    Each subject has five faces. Of five subjects three are in train, one in valid and one in
    test. Expressions alternate, so that each split of 200 consecutive faces has all eight equally
    often.
    """
    number = index // FACES_PER_SUBJECT
    subject = subject_of(seed, number)
    generator = np.random.default_rng((seed, index, 0))
    strength = generator.uniform(0.75, 1.0) if plain else None
    label = EXPRESSIONS[index % len(EXPRESSIONS)]
    expression = draw_expression(label, generator, intensity=strength)
    scene = frontal_scene(generator) if plain else draw_scene(generator)
    units = face_units(expression.actions)
    row = {
        "id": f"face-{index:07d}",
        "source": f"rendered/seed-{seed}/face-{index:07d}",
        "split": split_of(number),
        "subject": f"subject-{number:06d}",
        "label": expression.label,
        "votes": draw_votes(expression, generator).tolist(),
        **labels_of(expression, subject, scene, units),
    }
    return Shot(row, subject, units, scene, generator)


def split_of(subject: int) -> str:
    """Return the split of a subject: of five in a row, three train, one valid and one test."""
    return {3: "valid", 4: "test"}.get(subject % 5, "train")


@lru_cache(maxsize=4)
def subject_of(seed: int, number: int) -> Subject:
    """Make a subject of a seed; the last few are cached, as faces come subject by subject."""
    return make_subject(load_head(), seed, number)


def labels_of(
    expression: Expression, subject: Subject, scene: Scene, units: Mapping[str, float]
) -> dict[str, Any]:
    """Return the values of :data:`FIELDS`; ``units`` are weights of the mesh's face units.

    AU25 is how far the lips are parted, whatever parts them.
    """
    strengths = {number: expression.action_unit(number) for number in RENDERED_UNITS}
    strengths[25] = lips_parted(subject, all_units(subject, units, scene))
    valence, arousal = valence_arousal(expression.mixture)
    return {
        "intensity": expression.intensity,
        "valence": valence,
        "arousal": arousal,
        **{f"au{number:02d}": strength for number, strength in strengths.items()},
        "age": subject.age,
        "age_group": subject.age_group,
        "sex": subject.sex,
        "skin_tone": subject.skin_tone,
        "yaw": scene.pose.yaw,
        "pitch": scene.pose.pitch,
        "roll": scene.pose.roll,
        "occlusion": scene.occlusion,
    }
