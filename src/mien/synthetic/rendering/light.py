"""Light from all directions, and how much of it reaches each vertex.

A face is lit from :data:`DIRECTIONS`, each with its color. Which of them a vertex sees is computed
once, by drawing the neutral head from every direction. It gives shadows under brows, nose and chin
at no further cost.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.schema import FloatArray
from mien.synthetic.rendering.head import PARTS, Head, load_head
from mien.synthetic.rendering.rasterize import rasterize

_COUNT, _SIDE = 72, 128


def _sphere(count: int) -> FloatArray:
    """Evenly spread unit vectors ``(count, 3)``, a Fibonacci lattice."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], 1).astype(np.float32)


DIRECTIONS: FloatArray = _sphere(_COUNT)
"""Unit vectors ``(J, 3)`` to the light, in the frame of the head or the room."""
DIRECTIONS.setflags(write=False)


class Lamps(NamedTuple):
    """The light of a room: x right, y up, z to the camera; colors are linear, about 1.

    ``key`` ``(3,)`` is the direction of the main light; ``key_color``, ``sky``, ``ground`` and
    ``rim`` are colors ``(3,)``. ``softness`` is in (0, 1], 1 for a cloudy day.
    """

    key: FloatArray
    key_color: FloatArray
    sky: FloatArray
    ground: FloatArray
    rim: FloatArray
    softness: float


def draw_lamps(generator: np.random.Generator) -> Lamps:
    """Draw the light of a room, with a key light mostly from the front and above."""
    azimuth = generator.normal(0, 0.75)
    height = np.clip(generator.normal(0.55, 0.3), -0.3, 1.2)
    key = (np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height))
    warmth = generator.normal(0, 0.06)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    softness = generator.uniform(0.15, 1.0)
    ambient = generator.uniform(0.28, 0.55)
    counter = np.array([1 - 0.6 * warmth, 1.0, 1 + 0.6 * warmth])
    rim = generator.uniform(0, 0.9) * generator.dirichlet((4, 4, 4)) * 3
    return Lamps(
        key=np.array(key, np.float32),
        key_color=(generator.uniform(0.55, 0.95) * tint).astype(np.float32),
        sky=(ambient * counter).astype(np.float32),
        ground=(ambient * generator.uniform(0.3, 0.8) * tint).astype(np.float32),
        rim=rim.astype(np.float32),
        softness=float(softness),
    )


def environment(lamps: Lamps, rotation: FloatArray) -> FloatArray:
    """Return the light ``(J, 3)`` from each of :data:`DIRECTIONS` of a head turned by ``rotation``.

    A uniform environment of 1 lights a vertex that sees all of it with 1.
    """
    room = DIRECTIONS @ rotation.T
    up = (0.5 + 0.5 * room[:, 1:2]).astype(np.float32)
    light = lamps.ground + (lamps.sky - lamps.ground) * up
    sharpness = 3 + 22 * (1 - lamps.softness)
    lobe = np.exp(sharpness * (room @ lamps.key - 1))
    # A surface that faces the lobe receives a light of 1 from it, whatever its width.
    facing = 4 * np.mean(lobe * np.maximum(room @ lamps.key, 0)) + 1e-6
    light = light + (lobe / facing)[:, None] * lamps.key_color
    behind = np.exp(6 * (room @ np.array([0.85, 0.3, -0.45], np.float32) - 1))
    return np.asarray(light + behind[:, None] * lamps.rim * 2, np.float32)


def irradiance(normals: FloatArray, visibility: FloatArray, light: FloatArray) -> FloatArray:
    """Return the light ``(V, 3)`` on vertices with ``normals`` ``(V, 3)``.

    ``visibility`` is ``(V, J)``. The cosine reaches a little beyond 90 degrees, because skin
    scatters light.
    """
    wrap = 0.12
    cosine = np.maximum((normals @ DIRECTIONS.T + wrap) / (1 + wrap), 0)
    return np.asarray((cosine * visibility) @ light * np.float32(4 / _COUNT), np.float32)


@cache
def head_visibility() -> FloatArray:
    """Return the share of each direction's light that reaches a vertex, ``(V, J)`` in [0, 1]."""
    head = load_head()
    solid = head.triangles[(head.parts != PARTS.index("hair"))[head.triangles[:, 0]]]
    shares = np.stack([_seen_from(direction, head, solid) for direction in DIRECTIONS], axis=1)
    for _ in range(2):
        shares = _averaged(shares, head.triangles)
    inside = np.isin(head.parts, [PARTS.index(n) for n in ("upper teeth", "lower teeth", "tongue")])
    # The neutral mouth is closed; when open, it is lit from the front, and less at the back.
    front = np.clip(1.6 * DIRECTIONS[:, 2], 0, 1)[None]
    depth = np.clip((head.vertices[:, 2:] - 0.85) / 0.5, 0.05, 1)
    shares[inside] = (front * depth)[inside]
    throat = head.cavity > 0.5
    shares[throat] = (0.5 * front * np.clip((head.vertices[:, 2:] - 1.0) / 0.45, 0, 1))[throat]
    shares[head.parts == PARTS.index("hair")] = 0.8
    return np.asarray(shares, np.float32)


def _seen_from(direction: FloatArray, head: Head, triangles: NDArray[np.int64]) -> FloatArray:
    """Mark the vertices that nothing hides from ``direction``, ``(V,)``."""
    side = np.cross((0.0, 1.0, 0.0), direction)
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(direction, side)]).astype(np.float32)
    low = head.vertices.min(axis=0)
    middle, reach = (low + head.vertices.max(axis=0)) / 2, 2.6
    flat = (head.vertices - middle) @ axes.T
    points = np.stack([flat[:, 0], -flat[:, 1]], 1) * (_SIDE / 2 / reach) + _SIDE / 2
    depth = -(head.vertices - middle) @ direction
    visible = rasterize(points.astype(np.float32), depth.astype(np.float32), triangles, _SIDE)
    nearest = np.full(_SIDE * _SIDE, np.inf, np.float32)
    nearest[visible.pixels] = (depth[triangles[visible.triangles]] * visible.weights).sum(axis=1)
    cell = np.clip(points.astype(np.int64), 0, _SIDE - 1)
    behind = nearest[cell[:, 1] * _SIDE + cell[:, 0]]
    return np.asarray(depth < behind + 0.06, np.float32)


def _averaged(values: FloatArray, triangles: NDArray[np.int64]) -> FloatArray:
    total, count = values.copy(), np.ones((len(values), 1), np.float32)
    for first, second in ((0, 1), (1, 2), (2, 0)):
        for corner, neighbor in ((first, second), (second, first)):
            np.add.at(total, triangles[:, corner], values[triangles[:, neighbor]])
            np.add.at(count, triangles[:, corner], 1)
    return np.asarray(total / count, np.float32)
