"""Photos with rendered heads at known places, and photos without any: what detectors are given.

Heads are cut out of their renderings and pasted on photos of things and on drawn backgrounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from skimage import data
from sklearn.datasets import load_sample_image

from mien.labels import EXPRESSIONS
from mien.schema import Preprocessing, UInt8Array
from mien.synthetic.actions import draw_expression, face_units
from mien.synthetic.faces import subject_of
from mien.synthetic.rendering import render
from mien.synthetic.rendering.camera import draw_background
from mien.synthetic.rendering.scene import HeadPose, frontal_scene

SIDE = 480  # of a rendered head, whose face is some 195 pixels high
_RECIPE = Preprocessing(size=SIDE, margin=0.6)
# Of scikit-image; the thresholds were chosen on the first ones, for seed 0.
_THINGS = ("coffee", "rocket", "brick", "grass", "gravel", "moon", "page", "text", "clock")
_OTHER_THINGS = (
    *("cat", "horse", "hubble_deep_field", "immunohistochemistry", "microaneurysms", "retina"),
    *("cell", "logo", "checkerboard", "colorwheel", "shepp_logan_phantom"),
)
# Of scikit-learn.
_SCENES = ("china.jpg", "flower.jpg")
_HEADS_A_SEED = 1000  # so many people are drawn before two seeds share one
_FACE_OF_EYES_TO_MOUTH = 2.37  # a face's height, by the template's proportions


class Head(NamedTuple):
    """``pixels`` ``(S, S, 4)`` uint8 RGBA, the face's middle and height in pixels."""

    pixels: UInt8Array
    middle: tuple[float, float]
    height: float


class Placed(NamedTuple):
    """A face in a photo: its middle and height in pixels, and what sets it apart."""

    x: float
    y: float
    height: float
    kind: float


@cache
def head(number: int, yaw: float = 0.0, seed: int = 0) -> Head:
    """Head ``number``, one a subject, turned to the image's right by ``yaw`` degrees."""
    number += _HEADS_A_SEED * seed
    generator = np.random.default_rng((12, number))
    expression = draw_expression(EXPRESSIONS[number % 8], generator)
    scene = frontal_scene(generator)
    pose = HeadPose(scene.pose.yaw + yaw, scene.pose.pitch, scene.pose.roll)
    kept: list[Any] = []

    def see_through(side: int, _: np.random.Generator) -> Any:
        return np.full((side, side, 3), -9, np.float32)

    def keep(picture: Any, size: int, *_: object) -> Any:
        alpha = (picture.min(axis=2, keepdims=True) >= -1).astype(np.float32)
        whole = np.concatenate([np.clip(picture, 0, 1) * alpha, alpha], axis=2)
        small = cv2.resize(whole, (size, size), interpolation=cv2.INTER_AREA)
        small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
        kept.append(np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8))
        return kept[0][..., :3]

    originals = render.draw_background, render.photograph
    render.draw_background, render.photograph = see_through, keep
    try:
        made = render.render_face(
            subject_of(12, number),
            face_units(expression.actions),
            scene._replace(pose=pose),
            _RECIPE,
            generator,
        )
    finally:
        render.draw_background, render.photograph = originals
    points = made.landmarks * SIDE
    height = np.linalg.norm(points[:2].mean(axis=0) - points[3:].mean(axis=0))
    x, y = points[[0, 1, 3, 4]].mean(axis=0).tolist()
    return Head(kept[0], (x, y), float(height) * _FACE_OF_EYES_TO_MOUTH)


@cache
def _thing(name: str) -> UInt8Array:
    thing = np.asarray(load_sample_image(name) if name in _SCENES else getattr(data, name)())
    if thing.dtype != np.uint8:
        thing = np.round(thing * (255 / thing.max())).astype(np.uint8)
    return np.repeat(thing[..., None], 3, axis=2) if thing.ndim == 2 else thing[..., :3]


def background(number: int, width: int, height: int, seed: int = 0) -> UInt8Array:
    """A picture of ``(height, width, 3)`` without a face: a thing, a texture, noise or a room."""
    generator = np.random.default_rng((21, number) if not seed else (21, number, seed))
    if number % 3 == 0:
        side = max(width, height)
        drawn = draw_background(side, generator)[:height, :width]
        noise = generator.normal(0, generator.uniform(0.01, 0.05), drawn.shape)
        return np.clip((drawn + noise) * 255, 0, 255).astype(np.uint8)
    if number % 24 == 1:
        blur = np.exp(generator.uniform(np.log(0.5), np.log(12)))
        noise = cv2.GaussianBlur(generator.normal(0, 1, (height, width, 3)), (0, 0), blur)
        return np.clip(noise / noise.std() * 50 + 128, 0, 255).astype(np.uint8)
    names = _OTHER_THINGS + _SCENES if seed else _THINGS
    thing = _thing(names[generator.integers(len(names))])
    share = generator.uniform(0.35, 1.0)
    rows, columns = (max(32, int(side * share)) for side in thing.shape[:2])
    top = generator.integers(thing.shape[0] - rows + 1)
    left = generator.integers(thing.shape[1] - columns + 1)
    part = thing[top : top + rows, left : left + columns]
    part = np.rot90(part, generator.integers(4))
    tinted = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(tinted * generator.uniform(0.7, 1.2, 3), 0, 255).astype(np.uint8)


def paste(
    photo: UInt8Array, one: Head, x: float, y: float, height: float, turn: float = 0.0
) -> None:
    """Paste a head with its face's middle at ``(x, y)``, turned clockwise by ``turn`` degrees."""
    scale = height / one.height
    matrix = cv2.getRotationMatrix2D(one.middle, -turn, scale)
    matrix[:, 2] += np.array([x, y]) - one.middle
    # Shrinking without aliasing first: the warp then only turns and moves.
    small, factor = one.pixels, 1.0
    if scale < 1:
        side = max(8, round(SIDE * scale))
        factor = side / SIDE
        small = cv2.resize(one.pixels, (side, side), interpolation=cv2.INTER_AREA)
    matrix[:, :2] /= factor
    rows, columns = photo.shape[:2]
    reach = 1.5 * SIDE * scale
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    right, bottom = min(columns, int(x + reach)), min(rows, int(y + reach))
    matrix[:, 2] -= (left, top)
    layer = cv2.warpAffine(small, matrix, (right - left, bottom - top)).astype(np.float32)
    alpha = layer[..., 3:] / 255
    part = photo[top:bottom, left:right]
    mixed = part * (1 - alpha) + layer[..., :3] * alpha
    part[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def group_photos(
    kind: str,
    values: list[float],
    each: int,
    *,
    width: int = 1024,
    height: int = 768,
    seed: int = 0,
) -> Iterator[tuple[UInt8Array, list[Placed]]]:
    """Photos with six heads or fewer each; ``each`` faces for every value of ``kind``.

    ``"size"`` gives heights in pixels of frontal faces, ``"turn"`` degrees in the plane, ``"cut"``
    the share of the face beyond the photo's edge, ``"yaw"`` degrees of profile.
    """
    queue = [value for _ in range(each) for value in values]
    cells = [(column, row) for row in range(2) for column in range(3)]
    for number in range(0, len(queue), 6):
        generator = np.random.default_rng((34, number, len(kind), *([seed] if seed else [])))
        photo = background(1000 + number // 6, width, height, seed)
        placed = []
        for index, value in enumerate(queue[number : number + 6]):
            column, row = cells[index]
            size = value if kind == "size" else float(np.exp(generator.uniform(3.9, 5.2)))
            x = (column + 0.5) * width / 3 + generator.uniform(-0.2, 0.2) * width / 3
            y = (row + 0.5) * height / 2 + generator.uniform(-0.1, 0.1) * height / 2
            if kind == "cut":
                y = size * (0.5 - value) if row == 0 else height - size * (0.5 - value)
                if column == 0 and row == 0:
                    x, y = size * 0.8 * (0.5 - value), height / 4
            turn = value if kind == "turn" else 0.0
            yaw = value if kind == "yaw" else 0.0
            one = head((number + index) % (12 if yaw else 40), yaw, seed)
            paste(photo, one, x, y, size, turn)
            placed.append(Placed(x, y, size, value))
        yield photo, placed


def matches(
    found: list[tuple[float, float, float]], placed: list[Placed]
) -> tuple[list[bool], int]:
    """Which faces are found, and how many boxes (middle x, y and height) show none."""
    seen, used = [], set()
    for face in placed:
        best = None
        for index, (x, y, height) in enumerate(found):
            near = np.hypot(x - face.x, y - face.y) < 0.6 * face.height
            if near and 0.5 < height / face.height < 2 and index not in used:
                best = index
                break
        seen.append(best is not None)
        used.add(best)
    return seen, len(found) - len(used - {None})
