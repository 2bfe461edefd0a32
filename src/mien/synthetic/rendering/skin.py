"""Textures of the skin: pores, flush, freckles, brows, beard, and folds that move.

Textures are projected onto the neutral head from the front: texture x is the mesh's x from -0.95
to 0.95 decimeters, texture y is its y from 8.15 down to 6.05.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema import FloatArray
from mien.synthetic.rendering.subject import Subject

SIDE = 384
_LEFT, _TOP, _WIDTH, _HEIGHT = -0.95, 8.15, 1.9, 2.1


class SkinTexture(NamedTuple):
    """The skin of a subject.

    ``tint`` ``(SIDE, SIDE, 3)`` multiplies the linear color; ``hair`` ``(SIDE, SIDE)`` in [0, 1]
    is the cover of brows and beard.
    """

    tint: FloatArray
    hair: FloatArray


def texture_points(rest: FloatArray) -> FloatArray:
    """Convert points of the neutral head ``(n, 3)`` to texture pixels ``(n, 2)``, x before y."""
    x = (rest[:, 0] - _LEFT) * (SIDE / _WIDTH)
    y = (_TOP - rest[:, 1]) * (SIDE / _HEIGHT)
    return np.stack([x, y], axis=1)


def sample(texture: FloatArray, points: FloatArray) -> FloatArray:
    """Interpolate a texture at points ``(n, 2)``: ``(n,)`` or ``(n, channels)``."""
    # OpenCV's maps may not exceed 32,767 in one dimension.
    count = len(points)
    rows = -(-count // 1024)
    padded = np.zeros((rows * 1024, 2), np.float32)
    padded[:count] = points - 0.5
    grid = padded.reshape(rows, 1024, 2)
    values = cv2.remap(
        texture, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(values, np.float32).reshape(rows * 1024, *texture.shape[2:])[:count]


@lru_cache(maxsize=8)
def subject_texture(subject: Subject) -> SkinTexture:
    """Draw the skin of a subject; the last few are cached, as faces come subject by subject."""
    generator = np.random.default_rng((*subject.seed, 2))
    age = float(np.clip((subject.age - 20) / 60, 0, 1))
    mottle = np.zeros((SIDE, SIDE), np.float32)
    for cells, strength in ((12, 0.05), (48, 0.035 + 0.03 * age), (160, 0.035)):
        noise = generator.normal(0, strength, (cells, cells)).astype(np.float32)
        mottle += np.asarray(cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    strength = generator.uniform(0.3, 1.0) * (0.6 if subject.skin_tone > 3 else 1.0)
    flush = np.zeros((SIDE, SIDE), np.float32)
    for x, y, wide, high, amount in (
        (-0.42, 6.95, 0.2, 0.16, 1.0),
        (0.42, 6.95, 0.2, 0.16, 1.0),
        (0.0, 6.93, 0.12, 0.1, 0.9),
        (0.0, 6.33, 0.2, 0.1, 0.5),
    ):
        flush += _spot(x, y, wide, high) * np.float32(amount * strength)
    ring = _spot(-0.29, 7.14, 0.15, 0.06) + _spot(0.29, 7.14, 0.15, 0.06)
    ring *= np.float32(0.10 + 0.22 * age + float(generator.uniform(0, 0.12)))
    # In logarithms, so that each channel is one exponential.
    channels = [mottle + f * flush - r * ring for f, r in ((0.04, 0.8), (-0.17, 1.2), (-0.13, 1.0))]
    tint = np.exp(np.stack(channels, axis=2))
    _freckle(tint, subject, generator)
    hair = np.maximum(_brows(subject, generator), _beard(subject, generator))
    return SkinTexture(np.ascontiguousarray(tint), np.ascontiguousarray(hair))


def _freckle(tint: FloatArray, subject: Subject, generator: np.random.Generator) -> None:
    spots = np.zeros((SIDE, SIDE), np.float32)
    moles = int(generator.poisson(2 + 3 * subject.age / 80))
    for _ in range(int(160 * subject.freckles)):
        center = (generator.normal(0, 0.33), generator.normal(7.03, 0.14))
        cv2.circle(spots, _pixel(*center), int(generator.integers(1, 3)), 0.35, -1, cv2.LINE_AA)
    for _ in range(moles):
        center = (generator.uniform(-0.6, 0.6), generator.uniform(6.2, 7.9))
        cv2.circle(spots, _pixel(*center), int(generator.integers(1, 4)), 0.75, -1, cv2.LINE_AA)
    spots = np.asarray(cv2.GaussianBlur(spots, (0, 0), 0.9), np.float32)
    tint *= 1 - 0.6 * spots[..., None] * np.array([0.7, 0.95, 1.0], np.float32)


def _brows(subject: Subject, generator: np.random.Generator) -> FloatArray:
    """Two brows of single hairs, with the subject's height, arch and thickness."""
    image = np.zeros((SIDE, SIDE), np.uint8)
    lift, arch = generator.normal(0, 0.015), generator.uniform(0.02, 0.075)
    inner, outer = generator.uniform(0.105, 0.15), generator.uniform(0.52, 0.6)
    thick = 0.05 * subject.brow_weight
    for side in (-1, 1):
        for _ in range(int(330 * subject.brow_weight)):
            t = generator.beta(1.2, 1.3)
            x = inner + (outer - inner) * t
            line = 7.455 + lift + arch * np.sin(np.pi * min(1.0, t * 0.8) * 0.95) - 0.05 * t**3
            y = line + thick * (1 - 0.65 * t) * generator.normal(0, 0.42)
            length = generator.uniform(0.035, 0.07)
            slope = 1.1 - 1.5 * t + generator.normal(0, 0.15)
            end = (side * (x + length * np.cos(slope)), y + length * np.sin(slope))
            cv2.line(image, _pixel(side * x, y), _pixel(*end), 190, 1, cv2.LINE_AA)
    soft = np.asarray(cv2.GaussianBlur(image, (0, 0), 1.2), np.float32) / 255
    return np.minimum(1.25 * soft, 0.93)


def _beard(subject: Subject, generator: np.random.Generator) -> FloatArray:
    if subject.beard <= 0:
        return np.zeros((SIDE, SIDE), np.float32)
    x, y = _grid()
    side = abs(x)
    # Along the jaw, around the mouth and above the lip, but not on the cheeks.
    jaw = _step(side * 0.85 + (6.72 - y) * 0.55, 0.22, 0.36) * _step(6.95 - y, 0.0, 0.25)
    chin = _step(6.47 - y, 0.0, 0.06) * _step(0.5 - side, 0, 0.2)
    lip = np.exp(-(((y - 6.765) / 0.045) ** 2)) * _step(0.27 - side, 0.0, 0.06)
    corner = np.exp(-(((side - 0.30) / 0.05) ** 2 + ((y - 6.6) / 0.15) ** 2))
    area = np.maximum.reduce([jaw, chin, lip * generator.uniform(0.6, 1), corner])
    area = area * _step(y, 6.14, 6.3)  # below the chin the texture would be stretched
    grain = generator.normal(0, 1, (SIDE, SIDE)).astype(np.float32)
    grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.9), np.float32) * 2.2
    cover = area * subject.beard * np.clip(0.75 + 0.35 * grain, 0.1, 1.0)
    return np.asarray(np.clip(cover, 0, 0.9), np.float32)


FOLDS: dict[str, tuple[dict[str, float], float]] = {
    "forehead": ({"browInnerUp": 0.35, "browOuterUpLeft": 0.3, "browOuterUpRight": 0.3}, 0.45),
    "glabella": ({"browDownLeft": 0.4, "browDownRight": 0.4}, 0.25),
    "bridge": ({"noseSneerLeft": 0.4, "noseSneerRight": 0.4}, 0.0),
    "crow": ({"cheekSquintLeft": 0.4, "cheekSquintRight": 0.4}, 0.4),
    "cheek left": ({"mouthSmileLeft": 0.7, "mouthUpperUpLeft": 0.45, "noseSneerLeft": 0.3,
                    "mouthDimpleLeft": 0.35}, 0.45),
    "cheek right": ({"mouthSmileRight": 0.7, "mouthUpperUpRight": 0.45, "noseSneerRight": 0.3,
                     "mouthDimpleRight": 0.35}, 0.45),
    "bag": ({"cheekSquintLeft": 0.25, "cheekSquintRight": 0.25}, 0.5),
    "chin": ({"mouthShrugLower": 0.5, "mouthFrownLeft": 0.15, "mouthFrownRight": 0.15}, 0.1),
    "marionette": ({"mouthFrownLeft": 0.35, "mouthFrownRight": 0.35}, 0.4),
}  # fmt: skip
"""Folds of the skin: the face units that deepen them, and their depth from age alone."""


def fold_depth(units: Mapping[str, float], age: float) -> FloatArray:
    """Return the depth of all folds, ``(SIDE, SIDE)``, 0 where smooth; older skin folds more."""
    old = float(np.clip((age - 25) / 50, 0, 1))
    weights = [
        sum(share * max(0.0, units.get(name, 0.0)) for name, share in movers.items())
        * (0.4 + 0.75 * old)
        + still * old
        for movers, still in FOLDS.values()
    ]
    return np.asarray(
        np.tensordot(np.asarray(weights, np.float32), _fold_maps(), axes=1), np.float32
    )


@cache
def _fold_maps() -> FloatArray:
    """The depth of each fold, ``(len(FOLDS), SIDE, SIDE)`` in [0, 1]."""
    both = (-1, 1)
    lines: dict[str, list[tuple[Sequence[tuple[float, float]], float]]] = {
        "forehead": [
            ([(x, y + 0.03 * np.cos(4 * x + y)) for x in np.linspace(-0.38, 0.38, 15)], 0.016)
            for y in (7.64, 7.73, 7.82)
        ],
        "glabella": [([(s * 0.055, 7.36), (s * 0.065, 7.45), (s * 0.05, 7.55)], 0.014)
                     for s in both],
        "bridge": [
            *(([(-0.08, y), (0.0, y + 0.012), (0.08, y)], 0.012) for y in (7.2, 7.26, 7.32)),
            *(([(s * 0.1, 7.25), (s * 0.15, 7.12)], 0.014) for s in both),
        ],
        "crow": [([(s * 0.5, 7.28 + d / 4), (s * 0.63, 7.28 + d)], 0.012)
                 for s in both for d in (0.1, 0.02, -0.06)],
        "cheek left": [(_arc(1), 0.022)],
        "cheek right": [(_arc(-1), 0.022)],
        "bag": [([(s * 0.17, 7.17), (s * 0.25, 7.12), (s * 0.35, 7.11), (s * 0.46, 7.16)], 0.015)
                for s in both],
        "chin": [([(-0.14, 6.41), (0.0, 6.45), (0.14, 6.41)], 0.022)],
        "marionette": [([(s * 0.28, 6.57), (s * 0.31, 6.48), (s * 0.3, 6.38)], 0.017)
                       for s in both],
    }  # fmt: skip
    maps = []
    for name in FOLDS:
        layer = np.zeros((SIDE, SIDE), np.float32)
        for points, width in lines[name]:
            image = np.zeros((SIDE, SIDE), np.float32)
            corners = np.array([_pixel(x, y) for x, y in points], np.int32)
            cv2.polylines(image, [corners], False, 1.0, 2, cv2.LINE_AA)
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), width * SIDE / _WIDTH), np.float32)
            layer = np.maximum(layer, image / max(float(image.max()), 1e-6))
        maps.append(layer)
    return np.stack(maps)


def _arc(side: int) -> Sequence[tuple[float, float]]:
    """The nasolabial fold, from the wing of the nose around the corner of the mouth."""
    return [(side * x, y) for x, y in ((0.19, 6.95), (0.25, 6.88), (0.31, 6.78), (0.34, 6.66))]


def _pixel(x: float, y: float) -> tuple[int, int]:
    return round((x - _LEFT) * SIDE / _WIDTH), round((_TOP - y) * SIDE / _HEIGHT)


@cache
def _grid() -> tuple[FloatArray, FloatArray]:
    steps = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    x, y = np.meshgrid(_LEFT + _WIDTH * steps, _TOP - _HEIGHT * steps)
    return x.astype(np.float32), y.astype(np.float32)


def _spot(x: float, y: float, wide: float, high: float) -> FloatArray:
    across, down = _grid()
    return np.asarray(np.exp(-(((across - x) / wide) ** 2) - ((down - y) / high) ** 2), np.float32)


def _step(value: FloatArray, low: float, high: float) -> NDArray[np.float32]:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
