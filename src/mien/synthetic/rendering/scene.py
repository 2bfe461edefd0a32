"""Where the head is and how it is taken: pose, distance, lamps, what is in front of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mien.schema import FloatArray
from mien.synthetic.rendering.light import Lamps, draw_lamps

OCCLUSIONS = ("none", "glasses", "sunglasses", "hand", "bar")
"""What can be in front of a face; a bar is any straight thing, a phone's edge or a pole."""

_CHANCES = (0.72, 0.12, 0.04, 0.07, 0.05)


class HeadPose(NamedTuple):
    """Degrees: yaw to the image's right, pitch up, roll clockwise positive."""

    yaw: float
    pitch: float
    roll: float

    @property
    def matrix(self) -> FloatArray:
        """``(3, 3)``, from the head's frame to the room's (x right, y up, z to the camera)."""
        yaw, pitch, roll = np.radians(self)
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        cr, sr = np.cos(-roll), np.sin(-roll)
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return np.asarray(tilt @ turn @ nod, np.float32)


class Scene(NamedTuple):
    """One photograph's circumstances.

    ``distance`` of the camera is in decimetres; ``gaze`` is right and up, in [-1, 1] of what eyes
    can do; ``offset`` moves the crop's four anchor points, ``(4, 2)`` in fractions of its side, as
    a detector's noise does. ``occlusion`` is one of :data:`OCCLUSIONS`. ``camera`` in [0, 1] says
    how bad the camera is.
    """

    pose: HeadPose
    distance: float
    lamps: Lamps
    gaze: tuple[float, float]
    offset: FloatArray
    occlusion: str
    camera: float


def draw_scene(generator: np.random.Generator) -> Scene:
    """A scene as photos of people have them: mostly frontal, sometimes turned, lit anyhow."""
    turned = 2.0 if generator.random() < 0.25 else 1.0
    pose = HeadPose(
        float(np.clip(generator.normal(0, 13 * turned), -55, 55)),
        float(np.clip(generator.normal(0, 7 * turned), -25, 25)),
        float(np.clip(generator.normal(0, 5), -20, 20)),
    )
    return Scene(
        pose=pose,
        distance=float(np.exp(generator.uniform(np.log(5), np.log(25)))),
        lamps=draw_lamps(generator),
        gaze=(float(np.clip(generator.normal(0, 0.3), -1, 1)),
              float(np.clip(generator.normal(0, 0.2), -1, 1))),
        offset=generator.normal(0, 0.012, (4, 2)).astype(np.float32),
        occlusion=str(generator.choice(OCCLUSIONS, p=_CHANCES)),
        camera=float(generator.beta(1.2, 2.5)),
    )  # fmt: skip


def frontal_scene(generator: np.random.Generator) -> Scene:
    """As :func:`draw_scene`, but looking into a good camera, in soft light, nothing in front."""
    scene = draw_scene(generator)
    pose = HeadPose(*(float(generator.normal(0, s)) for s in (3, 2, 2)))
    lamps = scene.lamps._replace(softness=max(0.6, scene.lamps.softness))
    return scene._replace(
        lamps=lamps,
        pose=pose,
        gaze=(0.0, 0.0),
        occlusion="none",
        camera=0.1,
        offset=np.zeros((4, 2), np.float32),
    )


def gaze_units(gaze: tuple[float, float]) -> dict[str, float]:
    """Face units that turn the eyes, and the lids with them, right and up of the image."""
    right, up = gaze
    # The person's left is on the image's right.
    return {
        "eyeLookOutLeft": max(0.0, right),
        "eyeLookInRight": max(0.0, right),
        "eyeLookInLeft": max(0.0, -right),
        "eyeLookOutRight": max(0.0, -right),
        "eyeLookUpLeft": max(0.0, up),
        "eyeLookUpRight": max(0.0, up),
        "eyeLookDownLeft": max(0.0, -up),
        "eyeLookDownRight": max(0.0, -up),
    }
