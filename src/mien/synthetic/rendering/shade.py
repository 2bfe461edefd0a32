"""The color of every pixel: skin, lips, eyes, teeth and hair in the light of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.schema import FloatArray
from mien.synthetic.rendering.hair import COVER, strands
from mien.synthetic.rendering.head import PARTS, load_head
from mien.synthetic.rendering.rasterize import Visible, interpolate
from mien.synthetic.rendering.skin import fold_depth, sample, subject_texture, texture_points
from mien.synthetic.rendering.subject import Subject

_IRIS, _PUPIL = np.cos(np.radians((24.0, 9.0)))
_CAVITY = np.array([0.10, 0.022, 0.02], np.float32)
_TONGUE = np.array([0.42, 0.13, 0.13], np.float32)
_TEETH = np.array([0.62, 0.58, 0.50], np.float32)
_SCLERA = np.array([0.62, 0.58, 0.55], np.float32)
_EXPOSURE = 0.26
_THROUGH_SKIN = np.array([0.9, 1.0, 1.06], np.float32)


class Surface(NamedTuple):
    """What is shaded; vectors are in the head's frame.

    ``light`` and ``normals`` are ``(V, 3)``; ``cover`` ``(V,)`` is where hair grows; ``key`` and
    ``view`` ``(3,)`` are the directions to the main light and to the camera.
    """

    subject: Subject
    units: Mapping[str, float]
    cover: FloatArray
    light: FloatArray
    normals: FloatArray
    key: FloatArray
    key_color: FloatArray
    view: FloatArray
    softness: float


def shade(
    surface: Surface,
    triangles: NDArray[np.int64],
    visible: Visible,
    generator: np.random.Generator,
) -> FloatArray:
    """Return the colors of the visible pixels, ``(n, 3)`` sRGB in [0, 1]."""
    head = load_head()
    attributes = np.concatenate(
        [surface.light, surface.normals, _fixed_attributes(), surface.cover[:, None]], axis=1
    )
    at = interpolate(attributes, triangles, visible)
    light, normals, rest = at[:, :3].copy(), at[:, 3:6], at[:, 6:9]
    parts = head.parts[triangles[visible.triangles, 0]]
    subject = surface.subject
    albedo = np.empty_like(light)
    shine = np.zeros(len(at), np.float32)
    gloss = np.full(len(at), 14.0, np.float32)

    skin = np.flatnonzero(parts == PARTS.index("skin"))
    cloth = generator.uniform(0.02, 0.7) * generator.dirichlet((5, 5, 5)) * 3
    albedo[skin], shine[skin], gloss[skin], relief = _skin(surface, at[skin], cloth)
    # Light scattered through skin is redder where there is little of it.
    light[skin] = np.maximum(light[skin], 1e-4) ** _THROUGH_SKIN * relief[:, None]
    for name in ("left eye", "right eye"):
        eye = np.flatnonzero(parts == PARTS.index(name))
        albedo[eye], normals[eye] = _eye(rest[eye], name, subject.iris)
        shine[eye], gloss[eye] = 1.3, 600.0
    for name in ("upper teeth", "lower teeth"):
        teeth = np.flatnonzero(parts == PARTS.index(name))
        gaps = abs(np.sin(rest[teeth, 0] * (np.pi / 0.082)))
        albedo[teeth] = _TEETH * (0.72 + 0.28 * np.minimum(1, gaps * 3))[:, None]
        shine[teeth], gloss[teeth] = 0.1, 50.0
    albedo[parts == PARTS.index("tongue")] = _TONGUE
    hair = np.flatnonzero(parts == PARTS.index("hair"))
    albedo[hair] = linear(subject.hair) * np.exp(0.35 * strands(rest[hair]))[:, None]

    half = surface.key + surface.view
    half = half / max(float(np.linalg.norm(half)), 1e-6)
    length = np.sqrt(np.einsum("ij,ij->i", normals, normals)) + 1e-6
    cosine = np.clip(normals @ half / length, 0, 1)
    sparkle = shine * np.exp(gloss * np.log(np.maximum(cosine, 1e-3)))
    sparkle *= 0.4 + 0.6 * (1 - surface.softness)
    # Dark areas have no highlights.
    sparkle *= np.clip(light.mean(axis=1) * 1.4, 0, 1)
    color = albedo * light + sparkle[:, None] * surface.key_color
    # The camera partly corrects its exposure for the face.
    brightness = float(color[skin].mean()) if skin.size else _EXPOSURE
    color *= np.float32(np.clip((_EXPOSURE / max(brightness, 0.02)) ** 0.5, 0.7, 1.35))
    return _developed(color)


def linear(color: FloatArray) -> FloatArray:
    """Convert sRGB in [0, 255] to linear light in [0, 1]."""
    return np.asarray((np.clip(color, 0, 255) / 255) ** 2.2, np.float32)


def _developed(color: FloatArray) -> FloatArray:
    """Convert linear light to sRGB in [0, 1], with a soft shoulder for highlights."""
    bright = np.maximum(color, 0)
    over = bright > 0.6
    bright[over] = 0.6 + 0.4 * (1 - np.exp(-(bright[over] - 0.6) / 0.4))
    return np.asarray(bright ** np.float32(1 / 2.2), np.float32)


@cache
def _fixed_attributes() -> FloatArray:
    """Neutral position, and masks of lips, lid rims, mouth cavity and ears: ``(V, 7)``."""
    head = load_head()
    rims = np.zeros(len(head.vertices), np.float32)
    for name in ("left eye", "right eye"):
        ball = head.vertices[head.parts == PARTS.index(name)]
        center = (ball.min(axis=0) + ball.max(axis=0)) / 2
        distance = np.linalg.norm(head.vertices - center, axis=1)
        rims = np.maximum(rims, np.clip((0.178 - distance) / 0.02, 0, 1))
    rims *= head.parts == PARTS.index("skin")
    masks = np.stack([head.lips, rims, head.cavity, head.ears], axis=1)
    return np.concatenate([head.vertices, masks], axis=1).astype(np.float32)


def _skin(
    surface: Surface, at: FloatArray, cloth: NDArray[np.float64]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Albedo ``(n, 3)``, shine, gloss and relief ``(n,)`` of skin pixels."""
    subject = surface.subject
    rest, lips, rims, cavity, cover = at[:, 6:9], at[:, 9], at[:, 10], at[:, 11], at[:, 13]
    points = texture_points(rest)
    texture = subject_texture(subject)
    albedo = linear(subject.skin) * sample(texture.tint, points)
    lip = np.clip(lips * 1.3 - 0.15, 0, 1)[:, None]
    albedo += lip * (linear(subject.lips) - albedo)
    front = (rest[:, 2] > 0.6).astype(np.float32)
    dark = linear(0.6 * subject.hair + 0.12 * subject.skin)
    strokes = (sample(texture.hair, points) * front * (1 - lip[:, 0]))[:, None]
    albedo += strokes * (dark - albedo)

    depth = fold_depth(surface.units, subject.age)
    slopes = np.stack([np.gradient(depth, axis=1), -np.gradient(depth, axis=0)], axis=2)
    folds = sample(np.dstack([depth, slopes]).astype(np.float32), points) * front[:, None]
    # A slope turned away from the key light is darker, and the bottom of a fold sees less light.
    relief = 1 - 0.30 * np.clip(folds[:, 0], 0, 1.2)
    relief = relief * np.clip(1 + 1.6 * (folds[:, 1:] @ surface.key[:2]), 0.6, 1.35)

    lash = np.clip(rims * 1.2, 0, 1)[:, None]
    albedo *= 1 - 0.72 * lash
    inside = np.clip(cavity * 2 - 0.5, 0, 1)[:, None]
    albedo += inside * (_CAVITY - albedo)
    hidden = COVER[subject.hair_style] * np.clip(
        (cover + 0.22 * cover * strands(rest) - 0.25) / 0.4, 0, 1
    )
    fibre = strands(rest)
    color = linear(subject.hair) * np.exp(0.35 * fibre)[:, None]
    albedo += hidden[:, None] * (color - albedo)
    dressed = rest[:, 1] < 5.62 + 0.45 * np.minimum(abs(rest[:, 0]), 0.9)
    albedo[dressed] = cloth
    shine = 0.055 + 0.07 * lip[:, 0] + 0.05 * hidden * (1 + 0.3 * fibre)
    shine[dressed] = 0.0
    gloss = np.where(lip[:, 0] > 0.5, 40.0, 12.0)
    return albedo, shine.astype(np.float32), gloss.astype(np.float32), relief.astype(np.float32)


@cache
def _eye_center(name: str) -> FloatArray:
    head = load_head()
    ball = head.vertices[head.parts == PARTS.index(name)]
    return np.asarray((ball.min(axis=0) + ball.max(axis=0)) / 2, np.float32)


def _eye(rest: FloatArray, name: str, iris: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Albedo and normals ``(n, 3)`` of an eyeball: pupil, iris with its dark rim, sclera."""
    normals = rest - _eye_center(name)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    facing = normals[:, 2]
    radius = np.sqrt(np.maximum(1 - facing**2, 0)) / np.sqrt(1 - _IRIS**2)
    color = linear(iris) * (0.75 + 0.7 * np.clip(1 - radius, 0, 1))[:, None]
    color = color * (1 - 0.65 * np.clip((radius - 0.8) / 0.2, 0, 1))[:, None]
    pupil = np.clip((facing - _PUPIL) / 0.004 + 0.5, 0, 1)[:, None]
    color = color * (1 - 0.95 * pupil)
    red = np.clip((radius - 1.6) / 1.2, 0, 1)[:, None] * np.array([0.05, 0.28, 0.28])
    white = _SCLERA * (1 - red)
    inside = np.clip((1.04 - radius) / 0.08, 0, 1)[:, None]
    return np.asarray(white + inside * (color - white), np.float32), normals.astype(np.float32)
