"""Landmarks in tight face crops, such as FER2013's 48 x 48 pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from mien.faces.detection.boxes import box_of
from mien.faces.detection.detect import Detector
from mien.schema import Face, FloatArray, UInt8Array

# As in the measurement of the template, see mien.faces.align: landmarks are finer in an enlarged
# picture, and detectors were trained on faces with space around them.
_LEAST_SIDE = 192
_BORDER = 0.35


SMALL_BELOW = 100
"""Images with a shorter side than this, in pixels, are small."""


def is_small(image: UInt8Array) -> bool:
    """Whether an ``(H, W, 3)`` image is so small that a face in it fills it.

    Detectors miss some of these, so :func:`find_tight_face` looks for it; where it finds one, the
    whole image is the crop.
    """
    return bool(min(image.shape[:2]) < SMALL_BELOW)


def find_tight_face(image: UInt8Array, detector: Detector) -> Face | None:
    """Return the largest face in a tight ``(H, W, 3)`` crop, in its pixels; None without one.

    ``detector`` sees the crop enlarged to at least 192 pixels on its shorter side, with a black
    border of 35 % of its longer side. Faces without landmarks are ignored.
    """
    height, width = image.shape[:2]
    scale = max(1.0, _LEAST_SIDE / min(height, width))
    shape = (round(width * scale), round(height * scale))
    view = image if scale == 1 else cv2.resize(image, shape, interpolation=cv2.INTER_CUBIC)
    edge = math.ceil(_BORDER * max(shape))
    view = cv2.copyMakeBorder(view, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
    stretch = np.array([shape[0] / width, shape[1] / height])
    for face in detector(np.asarray(view, np.uint8)):
        if face.landmarks is not None:
            points: FloatArray = ((face.landmarks - edge) / stretch).astype(np.float32)
            return replace(face, box=box_of(points), landmarks=points)
    return None
