"""Whether the mouth of a face is covered, such as by a mask or a hand.

A mouth is a horizontal edge, and so are the eyes. Landmarks say where both are, also where the
mouth cannot be seen: the edges there, against those of the eyes, say whether it is. Glasses and
what covers the eyes go unnoticed. How often it is right is in benchmarks/faces.md.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema import FloatArray, UInt8Array

COVERED = "the mouth is covered, or cannot be told from the skin around it"
_SIDE = 64
_LEAST_EDGES = 0.5
_EYES_AND_MOUTH = ((33, 133), (362, 263), (61, 291))
_PLACES = np.array([(0.3, 0.36), (0.7, 0.36), (0.5, 0.76)], np.float32) * np.float32(_SIDE)
_MOUTH, _EYES = (slice(44, 54), slice(20, 44)), (slice(18, 28), slice(10, 54))


def mouth_edges(image: UInt8Array, landmarks: FloatArray) -> float:
    """How strong horizontal edges are at the mouth, against those at the eyes; 0 without any.

    ``landmarks`` are the ``(478, 2)`` of a face in the ``(H, W, 3)`` image, in its pixels.
    """
    points = np.array([landmarks[list(pair)].mean(axis=0) for pair in _EYES_AND_MOUTH], np.float32)
    if abs(np.linalg.det(points[1:] - points[0])) < 1e-3:
        return 0.0
    reach = 1.0 + float(np.ptp(points, axis=0).max())
    limit = np.array([image.shape[1], image.shape[0]])
    low = np.clip(points.min(axis=0) - reach, 0, limit - 1).astype(int)
    high = np.clip(points.max(axis=0) + reach, low + 1, limit).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    matrix = cv2.getAffineTransform(points - low.astype(np.float32), _PLACES)
    crop = cv2.warpAffine(part, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE)
    gray: NDArray[np.float64] = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.float64)
    steps = np.abs(np.diff(gray, axis=0))
    eyes = float(steps[_EYES].mean())
    return float(steps[_MOUTH].mean()) / eyes if eyes > 0 else 0.0


def is_mouth_covered(image: UInt8Array, landmarks: FloatArray) -> bool:
    """Whether a mouth is seen where the landmarks say that it is."""
    return mouth_edges(image, landmarks) < _LEAST_EDGES
