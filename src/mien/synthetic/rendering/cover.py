"""Occlusions: glasses that follow the head, a hand, a bar."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema import FloatArray

Project = Callable[[FloatArray], FloatArray]
"""Maps points in the head's frame ``(n, 3)`` to pixels of the picture ``(n, 2)``."""

_SHIFT = 4  # OpenCV draws at 1/16 of a pixel


def draw_glasses(
    picture: FloatArray,
    project: Project,
    eyes: FloatArray,
    view: FloatArray,
    generator: np.random.Generator,
    *,
    dark: bool,
) -> None:
    """Draw glasses on a picture ``(S, S, 3)`` in [0, 1], in place.

    ``eyes`` ``(2, 3)`` are the right and left eye and ``view`` ``(3,)`` is the direction to the
    camera, both in the head's frame.
    """
    apart = float(eyes[1, 0] - eyes[0, 0])
    wide, high = apart * generator.uniform(0.36, 0.43), apart * generator.uniform(0.26, 0.38)
    square = generator.uniform(2.0, 5.0)
    frame = generator.uniform(0, 0.35) * generator.dirichlet((6, 6, 6)) * 3
    line = max(1.0, len(picture) * generator.uniform(0.008, 0.022))
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ring = np.sign(ring) * abs(ring) ** (2 / square)
    rings = []
    for eye in eyes:
        rim = np.zeros((len(angle), 3), np.float32)
        rim[:, 0] = eye[0] + wide * ring[:, 0]
        rim[:, 1] = eye[1] - 0.1 * high + high * ring[:, 1]
        rim[:, 2] = (
            eye[2] + 0.2 * apart - 0.25 * np.maximum(0, abs(rim[:, 0]) - abs(eye[0]))
        )  # curved around the face
        rings.append(project(rim))
    glass = np.zeros(picture.shape[:2], np.float32)
    for outline in rings:
        cv2.fillPoly(glass, [_fixed(outline)], 1.0, cv2.LINE_AA, _SHIFT)
    if dark:
        tint = generator.uniform(0.02, 0.12, 3)
        opacity = generator.uniform(0.8, 0.97)
    else:
        tint = np.array([0.85, 0.92, 1.0])
        opacity = generator.uniform(0.02, 0.12)
    _blend(picture, glass * np.float32(opacity), tint)
    edges = np.zeros(picture.shape[:2], np.float32)
    for outline in rings:
        cv2.polylines(edges, [_fixed(outline)], True, 1.0, round(line), cv2.LINE_AA, _SHIFT)
    inner = np.array([eyes[0], eyes[1]], np.float32)
    inner[0, 0] += wide
    inner[1, 0] -= wide
    inner[:, 1] += 0.15 * high
    inner[:, 2] += 0.2 * apart
    lines = [project(inner)]
    for side, eye in zip((-1, 1), eyes, strict=True):
        # A temple is only visible from its own side.
        if side * float(view[0]) > 0.08:
            hinge = (eye[0] + side * wide, eye[1], eye[2] + 0.12 * apart)
            ear = (side * 1.25 * apart, eye[1], eye[2] - 0.9 * apart)
            lines.append(project(np.array([hinge, ear], np.float32)))
    for ends in lines:
        cv2.polylines(edges, [_fixed(ends)], False, 1.0, round(line), cv2.LINE_AA, _SHIFT)
    _blend(picture, edges, frame)


def draw_hand(
    picture: FloatArray,
    skin: FloatArray,
    anchors: FloatArray,
    generator: np.random.Generator,
) -> None:
    """Draw fingers over cheek, mouth or brow of a picture ``(S, S, 3)`` in [0, 1], in place.

    ``skin`` is sRGB in [0, 1]; ``anchors`` ``(4, 2)`` are eyes and mouth corners in pixels.
    """
    side = len(picture)
    scale = float(np.linalg.norm(anchors[1] - anchors[0]))
    corner = anchors[int(generator.integers(4))] + generator.normal(0, 0.15, 2) * scale
    away = corner - anchors.mean(axis=0)
    direction = np.arctan2(away[1], away[0]) + generator.normal(0, 0.35)
    along = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([-along[1], along[0]])
    mask = np.zeros((side, side), np.float32)
    thick = scale * generator.uniform(0.26, 0.34)
    count = int(generator.integers(2, 5))
    light = np.zeros((side, side), np.float32)
    for finger in range(count):
        shift = (finger - (count - 1) / 2) * thick * 1.02
        tip = corner + across * shift - along * scale * generator.uniform(-0.05, 0.3)
        end = tip + along * side * 1.5
        ends = _fixed(np.stack([tip, end]))
        cv2.polylines(mask, [ends], False, 1.0, round(thick), cv2.LINE_AA, _SHIFT)
        for step in range(6):
            width = max(1, round(thick * (0.95 - 0.17 * step)))
            cv2.polylines(light, [ends], False, 0.76 + 0.045 * step, width, cv2.LINE_AA, _SHIFT)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), thick * 0.08), np.float32)
    shadow = np.asarray(cv2.GaussianBlur(mask, (0, 0), thick * 0.3), np.float32)
    picture *= 1 - 0.45 * shadow[..., None]
    brightness = float(np.clip(picture.mean() * 1.6 + 0.25, 0.4, 1.05))
    color = skin[None, None] * (light * np.float32(brightness))[..., None]
    picture += mask[..., None] * (color - picture)


def draw_bar(picture: FloatArray, generator: np.random.Generator) -> None:
    """Draw a bar over up to a fifth of a picture ``(S, S, 3)`` in [0, 1], in place."""
    side = len(picture)
    middle = generator.uniform(0.15, 0.85, 2) * side
    direction = generator.uniform(0, np.pi)
    reach = np.array([np.cos(direction), np.sin(direction)]) * side * 2
    mask = np.zeros((side, side), np.float32)
    width = max(2, round(side * generator.uniform(0.06, 0.2)))
    ends = _fixed(np.stack([middle - reach, middle + reach]))
    cv2.polylines(mask, [ends], False, 1.0, width, cv2.LINE_AA, _SHIFT)
    _blend(picture, mask, generator.uniform(0.02, 0.9, 3))


def _blend(picture: FloatArray, mask: FloatArray, color: object) -> None:
    picture += mask[..., None] * (np.asarray(color, np.float32) - picture)


def _fixed(points: FloatArray) -> NDArray[np.int32]:
    limited = np.clip(points - 0.5, -20_000, 20_000)
    return np.asarray(np.round(limited * 2**_SHIFT), np.int32)
