"""A subject, its face units and a scene -> a crop framed like the template, with landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import alignment_matrix, anchor_points
from mien.schema import FloatArray, Preprocessing, UInt8Array
from mien.synthetic.rendering.camera import draw_background, photograph
from mien.synthetic.rendering.cover import draw_bar, draw_glasses, draw_hand
from mien.synthetic.rendering.hair import hanging, scalp, with_hair
from mien.synthetic.rendering.head import PARTS, load_head
from mien.synthetic.rendering.light import environment, head_visibility, irradiance
from mien.synthetic.rendering.rasterize import rasterize
from mien.synthetic.rendering.scene import Scene, gaze_units
from mien.synthetic.rendering.shade import Surface, shade
from mien.synthetic.rendering.subject import Subject

_DENSITY = 1.75  # pictures are drawn at this scale and shrunk


class Rendering(NamedTuple):
    """``crop`` ``(S, S, 3)`` uint8 RGB and ``landmarks`` ``(5, 2)`` as fractions of its side.

    Landmarks are the person's right eye, left eye, nose tip, right and left mouth corner.
    """

    crop: UInt8Array
    landmarks: FloatArray


class _MeshRows(NamedTuple):
    """The vertices of landmarks, and the triangles without and with long hair."""

    eyes: tuple[NDArray[np.int64], NDArray[np.int64]]
    nose: NDArray[np.int64]
    corners: tuple[NDArray[np.int64], NDArray[np.int64]]
    short: NDArray[np.int64]
    long: NDArray[np.int64]


def render_face(
    subject: Subject,
    units: Mapping[str, float],
    scene: Scene,
    preprocessing: Preprocessing,
    generator: np.random.Generator,
) -> Rendering:
    """Render one face; ``generator`` draws background, noise and occlusion.

    ``units`` are weights of the mesh's face units, to which the subject's resting face and the
    scene's gaze are added. Gray crops have luma in all three channels.
    """
    head, mesh = load_head(), _mesh_rows()
    units = all_units(subject, units, scene)
    vertices = _vertices_with_hair(subject) + _offsets(units)
    points, depth = project(vertices, scene)
    landmarks = _landmarks(points)
    jitter = scene.offset * np.linalg.norm(landmarks[1] - landmarks[0]) / 0.37
    detected = landmarks.copy()
    detected[[0, 1, 3, 4]] += jitter
    matrix = alignment_matrix(detected, preprocessing)
    size = preprocessing.size
    density: float = _DENSITY if size <= 256 else 1
    side = round(size * density)
    density = side / size

    def to_picture(flat: FloatArray) -> FloatArray:
        return np.asarray((flat @ matrix[:, :2].T + matrix[:, 2]) * density, np.float32)

    triangles = mesh.long if subject.hair_style == "long" else mesh.short
    visible = rasterize(to_picture(points), depth, triangles, side)
    normals = vertex_normals(vertices, head.triangles)
    rotation = scene.pose.matrix
    light = irradiance(normals, head_visibility(), environment(scene.lamps, rotation))
    surface = Surface(
        subject=subject,
        units=units,
        cover=_cover(subject),
        light=light,
        normals=normals,
        key=scene.lamps.key @ rotation,
        key_color=scene.lamps.key_color,
        view=rotation[2],
        softness=scene.lamps.softness,
    )
    picture = draw_background(side, generator)
    picture.reshape(-1, 3)[visible.pixels] = shade(surface, triangles, visible, generator)
    anchors = to_picture(anchor_points(landmarks).astype(np.float32))
    if scene.occlusion in ("glasses", "sunglasses"):
        eyes = np.stack([vertices[rows].mean(axis=0) for rows in mesh.eyes])
        draw_glasses(
            picture,
            lambda spots: to_picture(project(spots, scene, anchor=_pivot(vertices))[0]),
            eyes,
            rotation[2],
            generator,
            dark=scene.occlusion == "sunglasses",
        )
    elif scene.occlusion == "hand":
        draw_hand(picture, np.asarray(subject.skin / 255, np.float32), anchors, generator)
    elif scene.occlusion == "bar":
        draw_bar(picture, generator)
    crop = photograph(picture, size, scene.camera, generator)
    if preprocessing.color == "gray":
        luma = np.round(crop @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
        crop = np.repeat(luma[..., None], 3, axis=2)
    return Rendering(crop, (to_picture(landmarks) / side).astype(np.float32))


def project(
    vertices: FloatArray, scene: Scene, *, anchor: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Project points in the head's frame for the camera: ``(n, 2)``, y down, and depth ``(n,)``.

    The head turns about its center. The shoulders, where ``vertices`` are the mesh's, turn less.
    """
    rotation = scene.pose.matrix
    pivot = _pivot(vertices) if anchor is None else anchor
    turned = (vertices - pivot) @ rotation.T
    if anchor is None:
        calm = scene.pose._replace(yaw=scene.pose.yaw * 0.4, pitch=0.0, roll=scene.pose.roll * 0.3)
        body = _body_share()[:, None]
        turned = turned * (1 - body) + ((vertices - pivot) @ calm.matrix.T) * body
    scale = scene.distance / (scene.distance - turned[:, 2:3])
    flat = turned[:, :2] * scale * np.array([1, -1], np.float32)
    return flat.astype(np.float32), (-turned[:, 2]).astype(np.float32)


def vertex_normals(vertices: FloatArray, triangles: NDArray[np.int64]) -> FloatArray:
    """Compute unit normals ``(V, 3)``: the mean over adjacent triangles, weighted by area."""
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    rows = triangles.ravel()
    normals = np.stack(
        [
            np.bincount(rows, np.repeat(faces[:, axis], 3), minlength=len(vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(length, 1e-12), np.float32)


def all_units(subject: Subject, units: Mapping[str, float], scene: Scene) -> dict[str, float]:
    """The weights of all face units: those of an expression, of the resting face and the gaze."""
    total = dict(subject.resting)
    for name, value in units.items():
        total[name] = total.get(name, 0.0) + value * subject.liveliness
    for name, value in gaze_units(scene.gaze).items():
        total[name] = total.get(name, 0.0) + value
    for side in ("Left", "Right"):
        # A lid cannot close beyond closed, and a closed one neither squints nor widens.
        closed = total.get(f"eyeBlink{side}", 0.0)
        squint = total.get(f"eyeSquint{side}", 0.0)
        total[f"eyeBlink{side}"] = min(closed, 1.0)
        total[f"eyeSquint{side}"] = min(squint, 1.0) * (1 - min(closed, 1.0))
        total[f"eyeWide{side}"] = total.get(f"eyeWide{side}", 0.0) * (1 - min(closed, 1.0))
    return total


@cache
def _unit_names() -> dict[str, int]:
    return {name: row for row, name in enumerate(load_head().units)}


@cache
def _unit_offsets() -> FloatArray:
    return np.stack(list(load_head().units.values())).reshape(len(_unit_names()), -1)


def _offsets(units: Mapping[str, float]) -> FloatArray:
    weights = np.zeros(len(_unit_names()), np.float32)
    for name, value in units.items():
        weights[_unit_names()[name]] = value
    used = np.flatnonzero(weights)
    return np.asarray((weights[used] @ _unit_offsets()[used]).reshape(-1, 3), np.float32)


@lru_cache(maxsize=8)
def _cover(subject: Subject) -> FloatArray:
    return scalp(load_head(), subject.hairline, subject.hair_style)


@lru_cache(maxsize=8)
def _vertices_with_hair(subject: Subject) -> FloatArray:
    normals = vertex_normals(subject.vertices, load_head().triangles)
    return with_hair(
        subject.vertices,
        normals,
        _cover(subject),
        subject.hair_style,
        subject.hair_volume,
        np.random.default_rng((*subject.seed, 3)),
    )


@cache
def _body_share() -> FloatArray:
    share = np.clip((6.1 - load_head().vertices[:, 1]) / 0.6, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _pivot(vertices: FloatArray) -> FloatArray:
    """The point between the ears, relative to the eyes."""
    eyes = np.concatenate(_mesh_rows().eyes)
    return np.asarray(vertices[eyes].mean(axis=0) - np.array([0, 0.25, 0.9]), np.float32)


def _landmarks(points: FloatArray) -> FloatArray:
    mesh = _mesh_rows()
    rows = (*mesh.eyes, mesh.nose, *mesh.corners)
    return np.stack([points[row].mean(axis=0) for row in rows])


@cache
def _mesh_rows() -> _MeshRows:
    head = load_head()
    x, _, z = head.vertices.T
    skin = head.parts == PARTS.index("skin")
    eyes, corners = [], []
    for part, side in (("right eye", -1), ("left eye", 1)):
        ball = head.vertices[head.parts == PARTS.index(part)]
        center = (ball.min(axis=0) + ball.max(axis=0)) / 2
        near = np.linalg.norm(head.vertices - center, axis=1) < 0.185
        eyes.append(np.flatnonzero(skin & (head.lids > 0.5) & near & (z > center[2])))
        lips = np.flatnonzero(head.lips > 0.5)
        corners.append(lips[np.argsort(-side * x[lips])[:2]])
    nose = np.argsort(np.where(skin, -z, np.inf))[:1]
    hair = (head.parts == PARTS.index("hair"))[head.triangles[:, 0]]
    return _MeshRows(
        (eyes[0], eyes[1]),
        nose,
        (corners[0], corners[1]),
        head.triangles[~hair],
        head.triangles[~hair | (hanging(head) > 0)],
    )
