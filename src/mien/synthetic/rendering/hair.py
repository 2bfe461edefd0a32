"""Hair: the part of the head that it covers, its thickness, and its strands."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from mien.schema import FloatArray
from mien.synthetic.rendering.head import PARTS, Head

# The hairline in side view: hair grows behind this z at height y, from neck to forehead.
_HEIGHTS = (6.20, 6.35, 6.60, 6.90, 7.04, 7.14, 7.30, 7.55, 7.75, 7.93, 8.05)
_FRONTS = (-0.9, -0.10, 0.02, 0.20, 0.30, 0.74, 0.80, 0.86, 1.02, 1.34, 1.70)

THICKNESS: dict[str, float] = {"bald": 0.0, "shaved": 0.006, "short": 0.075, "full": 0.15,
                               "long": 0.10}  # fmt: skip
"""The thickness of the hair of each style, in decimeters."""

COVER: dict[str, float] = {"bald": 0.25, "shaved": 0.6, "short": 1.0, "full": 1.0, "long": 1.0}
"""How much of the skin below the hair of each style hides, in [0, 1]."""


def scalp(head: Head, hairline: float, style: str) -> FloatArray:
    """Return where hair grows, ``(V,)`` in [0, 1]; ``hairline`` moves up by decimeters."""
    _, y, z = head.vertices.T
    front = np.interp(y - hairline, _HEIGHTS, _FRONTS)
    cover = np.clip((front - z) / 0.12, 0, 1)
    if style == "bald":
        cover *= np.clip((7.75 - y) / 0.15, 0, 1)
    cover *= (head.parts == 0) & (head.ears < 0.3)
    return np.asarray(cover * cover * (3 - 2 * cover), np.float32)


def with_hair(
    vertices: FloatArray,
    normals: FloatArray,
    cover: FloatArray,
    style: str,
    volume: float,
    generator: np.random.Generator,
) -> FloatArray:
    """Lift the scalp of ``vertices`` ``(V, 3)`` by its hair, unevenly and more on the crown."""
    waves = generator.normal(0, 1, (4, 4))
    uneven = 1 + 0.12 * sum(
        wave[3] * np.sin(vertices @ (2.5 * wave[:3]) + 3 * wave[0]) for wave in waves
    )
    crown = 0.75 + 0.5 * np.clip((vertices[:, 1] - np.quantile(vertices[:, 1], 0.6)) / 1.0, 0, 1)
    lift = THICKNESS[style] * volume * np.sqrt(cover) * uneven * crown
    return np.asarray(vertices + normals * lift[:, None], np.float32)


def hanging(head: Head) -> FloatArray:
    """Mark the triangles of long hair that hang behind the face, ``(T,)``; 0 for fringes."""
    hair = (head.parts == PARTS.index("hair"))[head.triangles].all(axis=1)
    corners = head.vertices[head.triangles]
    behind = ((corners[..., 2] < 0.75) | (abs(corners[..., 0]) > 0.6)).all(axis=1)
    return np.asarray(hair & behind, np.float32)


@cache
def _strand_noise() -> FloatArray:
    generator = np.random.default_rng(20)
    fine = generator.normal(0, 1, (24, 512)).astype(np.float32)
    coarse = cv2.resize(
        generator.normal(0, 1, (8, 96)).astype(np.float32), (512, 24), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(0.6 * fine + np.asarray(coarse), np.float32)


def strands(rest: FloatArray) -> FloatArray:
    """Return normal noise ``(n,)`` along the hair at points of the neutral head ``(n, 3)``."""
    noise = _strand_noise()
    angle = np.arctan2(rest[:, 0], rest[:, 2] - 0.25) / (2 * np.pi) + 0.5
    columns = np.minimum((angle * 512).astype(np.int64), 511)
    rows = np.clip((rest[:, 1] - 5.0) * 6, 0, 23).astype(np.int64)
    return np.asarray(noise[rows, columns], np.float32)
