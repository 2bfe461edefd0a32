"""Candidate -> face: the mesh network confirms it, a closer look turns it the right way up."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from mien.faces.detection.blazeface import Candidates, View, merged
from mien.faces.detection.boxes import box_of
from mien.faces.detection.face_networks import FaceNetworks
from mien.faces.detection.mesh import (
    Blendshapes,
    Mesh,
    Region,
    cut_region,
    find_mesh,
    mirror_distance,
    region_of_candidate,
    region_of_landmarks,
)
from mien.faces.detection.pose import head_matrix, pose_of
from mien.schema import Box, Face, FloatArray, UInt8Array

UNCONFIRMED = "no landmarks found: the face is in profile, blurred or covered"
# Faces that stand on their head get scores of up to 0.77 from the finders, with a mesh of presence
# 1 that stands on its head too; upright ones above are taken at their word.
_UPRIGHT_SCORE = 0.82
# In coins and cells the mesh network sees a face now and then, with any presence, but another one
# in their mirror image, mostly 0.04 to 0.15 of the region's side away. On faces of 60 pixels and
# more it is 0.026 at most, on smaller ones about a pixel of the image. Above the score it was not
# seen to happen.
_MIRROR_SCORE = 0.9
_MIRROR_DISTANCE, _MIRROR_PIXELS = 0.025, 1.0
# Most of what scores less is a thing: one look at it must do.
_LEAST_TURNED_SCORE = 0.3
SURE_PRESENCE = 0.9
# A closer look at what is a face gives 0.7 or more, and its mesh a presence near 1. A mesh that is
# found again from its own place moves by less than 0.018 of the region's side on faces, and mostly
# by 0.02 to 0.07 on coins, cells and galaxies.
_LEAST_CLOSE, _LEAST_CLOSE_OF_STRONG, _LEAST_CLOSE_OF_TURNED = 0.6, 0.5, 0.7
# The closer look misses faces that the image cuts off by a third or more, or sees them upside down;
# their mesh does not.
_LEAST_CUT_SCORE, _LEAST_CUT_PRESENCE = 0.22, 0.99
# Of a face without landmarks, the finder's score and both scores together.
_LEAST_BOX_SCORE, _LEAST_BOX_SUM = 0.5, 1.4
_LEAST_BOX_SIDE = 20.0
# Shown such a face closely, the back-camera finder gives 0.62 or more, and of things mostly less
# than 0.4.
_LEAST_BACK = 0.55
_CLOSE_SIDE, _CLOSE_EXTENT, _BOX_EXTENT = 128, 1.4, 2.1
_MIDDLE = 0.25  # so far from the middle of a closer look, in sides, its face may be
# BlazeFace's boxes reach from the brows to the chin; ours, as the mesh, from the hairline.
_BOX_WIDTH, _BOX_HEIGHT, _BOX_RAISED = 0.98, 1.13, 0.05


class _Demands(NamedTuple):
    """What a mesh must be for a face: its presence, again, and how far it may move by then."""

    presence: float
    presence_again: float
    drift: float


DOUBTED_SCORE = 0.59
"""A candidate with this score is looked at closely, and its mesh has to be found twice."""
# Things rarely get the score of the first; enlarged pictures of 48 pixels get no better presence.
_STRONG_SCORE = 0.6
_OF_STRONG, _OF_OTHERS = _Demands(0.5, 0.5, 0.03), _Demands(0.95, 0.9, 0.022)


class _CloseLook(NamedTuple):
    score: float
    points: FloatArray
    region: Region


def confirmed_face(
    networks: FaceNetworks,
    image: UInt8Array,
    points: FloatArray,
    score: float,
    *,
    least: float,
    boxes: bool = True,
) -> Face | None:
    """The face of a candidate, ``(8, 2)`` points with a score; None where there is none.

    A candidate that a closer look confirms, but in which no mesh is found, is a face without
    landmarks, with a reason, unless ``boxes`` is False. ``least`` is the score that a face must
    have.
    """
    region, mesh = region_of_candidate(points), None
    if score >= max(_UPRIGHT_SCORE, least):
        mesh = _mesh(networks, image, region)
        if mesh.presence >= SURE_PRESENCE:
            if score >= _MIRROR_SCORE or _is_mirrored(networks, image, mesh):
                return face_of_mesh(networks, image, mesh, score)
            boxes = False
    close = _close_look(networks, image, region, any_turn=score >= _LEAST_TURNED_SCORE)
    strong = close is not None and score >= _STRONG_SCORE and _is_upright(close.region)
    seen = close is not None and close.score >= _least_close(close.region, strong=strong)
    if close is not None and seen and max(score, close.score) >= least:
        demands = _OF_STRONG if strong else _OF_OTHERS
        meshes = [_mesh(networks, image, close.region)]
        if strong and meshes[0].presence < SURE_PRESENCE:
            mesh = mesh or _mesh(networks, image, region)
            meshes.append(mesh)
        meshes = [one for one in meshes if _agree(one, close.region)]
        closer = max(meshes, key=lambda one: one.presence, default=None)
        if closer is not None and closer.presence >= demands.presence:
            again = _mesh_again(networks, image, closer, demands)
            if again is not None:
                return face_of_mesh(networks, image, again, max(score, close.score))
            boxes = boxes and closer.presence < _OF_OTHERS.presence
    if score >= _LEAST_CUT_SCORE and not _inside(region, image):
        if mesh is None or mesh.presence < _LEAST_CUT_PRESENCE:
            mesh = _mesh(networks, image, region, _LEAST_CUT_PRESENCE)
        upright = (
            close is None or close.score < _UPRIGHT_SCORE or not seen or _agree(mesh, close.region)
        )
        if upright and mesh.presence >= _LEAST_CUT_PRESENCE and _is_cut(mesh, image):
            again = _mesh_again(networks, image, mesh, _OF_OTHERS)
            if again is not None:
                return face_of_mesh(networks, image, again, again.presence)
    if close is None or not boxes or score < max(_LEAST_BOX_SCORE, least):
        return None
    # What lies on its side and has no landmarks is rather a thing.
    if not _is_upright(close.region):
        return None
    box = _box(close.points)
    if close.score + score < _LEAST_BOX_SUM or min(box.width, box.height) < _LEAST_BOX_SIDE:
        return None
    if not _seen_by_back(networks, image, box):
        return None
    return Face(box, score, reason=UNCONFIRMED)


def face_of_mesh(networks: FaceNetworks, image: UInt8Array, mesh: Mesh, score: float) -> Face:
    """The face of a mesh: landmarks, pose and blendshapes."""
    points = mesh.points[:, :2].astype(np.float32)
    return Face(
        box=box_of(points),
        score=score,
        landmarks=points,
        pose=pose_of(head_matrix(mesh.points, image.shape, networks.geometry)),
        blendshapes=Blendshapes(networks.shapes, mesh),
    )


def _box(corners: FloatArray) -> Box:
    low, high = corners
    width, height = (high - low).tolist()
    x, y = ((low + high) / 2).tolist()
    top = y - (_BOX_HEIGHT / 2 + _BOX_RAISED) * height
    return Box(x - _BOX_WIDTH * width / 2, top, _BOX_WIDTH * width, _BOX_HEIGHT * height)


def _mesh(
    networks: FaceNetworks,
    image: UInt8Array,
    region: Region,
    sure: float = SURE_PRESENCE,
    *,
    mirrored: bool = False,
) -> Mesh:
    """The mesh of a region; where the image cuts a face off, a mirror may complete it."""
    mesh = find_mesh(networks.mesh, image, region, mirrored=mirrored)
    if mesh.presence >= sure or _inside(region, image):
        return mesh
    completed = find_mesh(networks.mesh, image, region, cv2.BORDER_REFLECT_101, mirrored=mirrored)
    return max(mesh, completed, key=lambda one: one.presence)


def _mesh_again(
    networks: FaceNetworks, image: UInt8Array, mesh: Mesh, demands: _Demands
) -> Mesh | None:
    """The mesh as it is found at the place of the first; None where it moves or vanishes."""
    region = region_of_landmarks(mesh.points)
    again = _mesh(networks, image, region)
    steps = np.linalg.norm(again.points[:, :2] - mesh.points[:, :2], axis=1)
    stays = steps.mean() <= demands.drift * region.side
    if not stays or again.presence < demands.presence_again:
        return None
    return again if _is_mirrored(networks, image, again) else None


def _is_mirrored(networks: FaceNetworks, image: UInt8Array, mesh: Mesh) -> bool:
    """Whether the mirror image has the same mesh."""
    region = region_of_landmarks(mesh.points)
    mirrored = _mesh(networks, image, region, mirrored=True)
    allowed = _MIRROR_DISTANCE * region.side + _MIRROR_PIXELS
    return mirror_distance(mesh, mirrored) <= allowed


def _close_look(
    networks: FaceNetworks, image: UInt8Array, region: Region, *, any_turn: bool = True
) -> _CloseLook | None:
    """What the short-range finder sees in a region, turned to where it is most sure of a face."""
    nearest = round(region.angle / (math.pi / 2))
    best: _CloseLook | None = None
    turns = (nearest, nearest + 2, nearest + 1, nearest - 1)
    for quarters in turns if any_turn else turns[:1]:
        turned = Region(region.x, region.y, region.side * _CLOSE_EXTENT, quarters * math.pi / 2)
        view = cut_region(image, turned, _CLOSE_SIDE, cv2.BORDER_CONSTANT)
        candidates = merged(networks.short(View(view, 1.0, (0.0, 0.0))))
        look = _nearest_middle(candidates, turned)
        if look is not None and (best is None or look.score > best.score):
            best = look
        if best is not None and best.score >= _UPRIGHT_SCORE:
            break
    return best


def _seen_by_back(networks: FaceNetworks, image: UInt8Array, box: Box) -> bool:
    """Whether the other finder sees a face in a box, too, where there is one."""
    if networks.back is None:
        return True
    x, y = box.left + box.width / 2, box.top + box.height / 2
    region = Region(x, y, _BOX_EXTENT * max(box.width, box.height))
    view = cut_region(image, region, _CLOSE_SIDE, cv2.BORDER_CONSTANT)
    look = _nearest_middle(merged(networks.back(View(view, 1.0, (0.0, 0.0)))), region)
    return look is not None and look.score >= _LEAST_BACK


def _nearest_middle(candidates: Candidates, turned: Region) -> _CloseLook | None:
    """The best candidate of a turned crop whose middle lies in the box that was looked at."""
    scale = turned.side / _CLOSE_SIDE
    cos, sin = math.cos(turned.angle), math.sin(turned.angle)
    for points, score in zip(candidates.points, candidates.scores, strict=True):
        middle = points[:2].mean(axis=0) / _CLOSE_SIDE - 0.5
        if np.abs(middle).max() > _MIDDLE:
            continue
        # Of the crop's own pixels; the region's angle says where they lie in the image.
        region = region_of_candidate(points)
        x, y = (region.x - _CLOSE_SIDE / 2) * scale, (region.y - _CLOSE_SIDE / 2) * scale
        center = np.array([turned.x + cos * x - sin * y, turned.y + sin * x + cos * y], np.float32)
        half = (points[1] - points[0]) * np.float32(scale / 2)
        # The box of a turned face lies along the image's sides.
        half = half[::-1] if round(turned.angle / (math.pi / 2)) % 2 else half
        region = Region(
            float(center[0]), float(center[1]), region.side * scale, region.angle + turned.angle
        )
        return _CloseLook(float(score), np.stack([center - half, center + half]), region)
    return None


def _least_close(region: Region, *, strong: bool) -> float:
    if not _is_upright(region):
        return _LEAST_CLOSE_OF_TURNED
    return _LEAST_CLOSE_OF_STRONG if strong else _LEAST_CLOSE


def _is_upright(region: Region) -> bool:
    """Whether a region is turned by at most 60 degrees."""
    return math.cos(region.angle) >= 0.5


def _agree(mesh: Mesh, region: Region) -> bool:
    """Whether a mesh stands as upright as a region, within 60 degrees."""
    difference = region_of_landmarks(mesh.points).angle - region.angle
    return math.cos(difference) >= 0.5


def _is_cut(mesh: Mesh, image: UInt8Array) -> bool:
    """Whether landmarks lie beyond the image."""
    flat = mesh.points[:, :2]
    return bool((flat < 0).any() or (flat > (image.shape[1], image.shape[0])).any())


def _inside(region: Region, image: UInt8Array) -> bool:
    height, width = image.shape[:2]
    reach = region.side / 2 * (abs(math.cos(region.angle)) + abs(math.sin(region.angle)))
    across = reach <= region.x <= width - reach
    return bool(across and reach <= region.y <= height - reach)
