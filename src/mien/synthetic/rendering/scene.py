"""The scene of a photo: pose, distance, lamps, gaze, occlusion and camera."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mien.schema import FloatArray
from mien.synthetic.rendering.light import Lamps, draw_lamps

OCCLUSIONS = ("none", "glasses", "sunglasses", "hand", "bar")
"""What can cover a face; a bar is a straight object, such as a pole or the edge of a phone."""

_CHANCES = (0.72, 0.12, 0.04, 0.07, 0.05)


class HeadPose(NamedTuple):
    """A pose in degrees: yaw to the image's right, pitch up, roll clockwise positive."""

    yaw: float
    pitch: float
    roll: float

    @property
    def matrix(self) -> FloatArray:
        """The rotation ``(3, 3)`` from the head's frame to the room's, see :class:`Lamps`."""
        yaw, pitch, roll = np.radians(self)
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        cr, sr = np.cos(-roll), np.sin(-roll)
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return np.asarray(tilt @ turn @ nod, np.float32)


class Scene(NamedTuple):
    """The circumstances of one photo.

    ``distance`` of the camera is in decimeters. ``gaze`` is right and up, in [-1, 1] of the range
    of the eyes. ``offset`` ``(4, 2)`` moves the four anchor points of the crop like the noise of
    a detector, as fractions of its side. ``occlusion`` is one of :data:`OCCLUSIONS`. ``camera``
    in [0, 1] is how bad the camera is.
    """

    pose: HeadPose
    distance: float
    lamps: Lamps
    gaze: tuple[float, float]
    offset: FloatArray
    occlusion: str
    camera: float


def draw_scene(generator: np.random.Generator) -> Scene:
    """Draw a scene as in everyday photos: mostly frontal, sometimes turned, in any light."""
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
    """Draw a scene that faces a good camera in soft light, without occlusion."""
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
    """Return the face units that turn eyes and lids to the image's right and up."""
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
