"""BlazeFace, which finds faces: its two networks, of any size, and what their numbers mean.

The short-range network (``face_detector.tflite`` of MediaPipe's bundle) was trained on 128 x 128
pixels, the back-camera network on 256 x 256. Both are fully convolutional: with more pixels they
find smaller faces, and lose the largest.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mien.faces.detection.boxes import overlaps
from mien.faces.detection.tflite import Network
from mien.schema import FloatArray, UInt8Array

OUTPUTS = ("regressors", "classificators")
SHORT_STRIDES, BACK_STRIDES = (8, 16), (16, 32)
# Boxes that each cell of the finer and of the coarser grid predicts.
_BOXES_PER_CELL = (2, 6)
_SAME_FACE = 0.3  # intersection over union
_LINEAR_SCALE = 0.4


class Candidates(NamedTuple):
    """What may be faces: ``points`` ``(N, 8, 2)`` in pixels and ``scores`` ``(N,)`` in [0, 1].

    Points are the box's top-left and bottom-right corner, the person's right and left eye, the
    nose tip, the mouth's center, the right and the left ear.
    """

    points: FloatArray
    scores: FloatArray


class View(NamedTuple):
    """A picture ``(h, w, 3)`` as a network sees it: the image times ``scale``, then a border.

    ``corner`` is where the image's top-left corner lies in the view.
    """

    pixels: UInt8Array
    scale: float
    corner: tuple[float, float]


class Finder:
    """One of BlazeFace's networks; called with a view, it gives candidates in image pixels."""

    def __init__(self, network: Network, strides: tuple[int, int], least_score: float) -> None:
        self._network, self._strides = network, strides
        self._least_logit = float(np.log(least_score / (1 - least_score)))
        self._anchors: dict[tuple[int, int], FloatArray] = {}

    def __call__(self, view: View) -> Candidates:
        """The candidates of a view, several for each face; both sides of a view in whole cells."""
        shape = view.pixels.shape[:2]
        values = np.multiply(view.pixels[None], np.float32(2 / 255), dtype=np.float32)
        values -= 1
        boxes, logits = self._network(values)
        logits = logits.reshape(-1)
        rows = np.flatnonzero(logits >= self._least_logit)
        scores = 1 / (1 + np.exp(-logits[rows].clip(-80, 80)))
        if shape not in self._anchors:
            self._anchors[shape] = anchors(shape, self._strides)
        around = self._anchors[shape][rows]
        numbers = boxes.reshape(-1, 16)[rows]
        center, half = numbers[:, :2] + around, numbers[:, 2:4] / 2
        landmarks = numbers[:, 4:].reshape(-1, 6, 2) + around[:, None]
        corners = np.stack([center - half, center + half], axis=1)
        points = np.concatenate([corners, landmarks], axis=1)
        points = ((points - view.corner) / view.scale).astype(np.float32)
        valid = (half > 0).all(axis=1)
        return Candidates(points[valid], scores[valid].astype(np.float32))


def anchors(shape: tuple[int, int], strides: tuple[int, int]) -> FloatArray:
    """The ``(N, 2)`` places, in pixels, that a network's boxes for a ``(h, w)`` view refer to.

    >>> anchors((32, 64), (16, 32)).shape
    (28, 2)
    """
    places = []
    for stride, boxes in zip(strides, _BOXES_PER_CELL, strict=True):
        y, x = np.mgrid[0 : shape[0] // stride, 0 : shape[1] // stride]
        centers = np.stack([x, y], axis=-1).reshape(-1, 2) * stride + stride / 2
        places.append(np.repeat(centers, boxes, axis=0))
    return np.concatenate(places).astype(np.float32)


def view_of(image: UInt8Array, longest: int, cell: int, border: float = 0.0) -> View:
    """Show an ``(H, W, 3)`` image with its longer side shrunk or enlarged to ``longest`` pixels.

    Sides are filled with black to whole cells; ``border``, a fraction of the longer side, is left
    black all around, for faces that fill the image.
    """
    height, width = image.shape[:2]
    scale = longest / (max(height, width) * (1 + 2 * border))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = image if scale == 1 else cv2.resize(image, size, interpolation=method)
    edge = (longest - max(size)) / 2
    whole = [int(np.ceil((side + 2 * edge) / cell)) * cell for side in size]
    left, top = (whole[0] - size[0]) // 2, (whole[1] - size[1]) // 2
    pixels = np.zeros((whole[1], whole[0], 3), np.uint8)
    pixels[top : top + size[1], left : left + size[0]] = small
    return View(pixels, max(size) / max(height, width), (left, top))


def shrunk(image: UInt8Array, longest: int) -> UInt8Array:
    """The image with its longer side shrunk to ``longest`` pixels."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Down to here a linear filter skips hardly a pixel, and is ten times as fast.
    method = cv2.INTER_AREA if scale < _LINEAR_SCALE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def turned(image: UInt8Array, turns: int) -> UInt8Array:
    """The image turned counterclockwise by quarter turns."""
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def turned_back(points: FloatArray, turns: int, shape: tuple[int, ...]) -> FloatArray:
    """Points ``(N, 8, 2)`` of an image of ``shape`` that was turned, in the image itself."""
    height, width = shape[:2]
    x, y = points[..., 0], points[..., 1]
    places = {0: (x, y), 1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}
    moved = np.stack(places[turns], axis=-1)
    # Corners stay the top-left and the bottom-right one.
    corners = np.sort(moved[:, :2], axis=1)
    return np.concatenate([corners, moved[:, 2:]], axis=1)


def merged(candidates: Candidates) -> Candidates:
    """One candidate for each face, best first: the score-weighted mean of those that overlap."""
    order = np.argsort(-candidates.scores, kind="stable")
    points, scores = candidates.points[order], candidates.scores[order]
    means, bests = [], []
    while len(scores):
        same = overlaps(points[0, :2], points[:, :2]) > _SAME_FACE
        same[0] = True
        weights = scores[same, None, None]
        means.append((points[same] * weights).sum(axis=0) / weights.sum())
        bests.append(scores[0])
        points, scores = points[~same], scores[~same]
    return Candidates(np.array(means, np.float32).reshape(-1, 8, 2), np.array(bests, np.float32))


def joined(parts: list[Candidates]) -> Candidates:
    """The candidates of several views together."""
    return Candidates(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
