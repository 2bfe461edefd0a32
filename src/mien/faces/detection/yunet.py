"""YuNet, a finder of small faces that knows five landmarks of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.errors import MienError
from mien.faces.closing import Closing
from mien.faces.detection.blazeface import shrunk
from mien.faces.detection.boxes import largest_first
from mien.faces.detection.detect import check_image
from mien.faces.detection.face_networks import model_file_error
from mien.faces.detection.native import quiet_stderr
from mien.schema import Box, Face, UInt8Array

_YUNET_FILE = "YuNet's ONNX file"
_LONGEST_SIDE = 2048


class YuNetDetector(Closing):
    """YuNet through ``cv2.FaceDetectorYN``: 5 landmarks, for small faces in group photos.

    It finds faces of about ten pixels. Photos are first shrunk to 2,048 pixels on their longer
    side, as its time grows with the area. ``model`` is YuNet's ONNX file, which mien does not
    ship. Raises :class:`MienError` for a file that is missing or not a model.
    """

    def __init__(self, model: str | Path, *, min_score: float = 0.7) -> None:
        path = Path(model)
        if not path.is_file():
            raise model_file_error(path, _YUNET_FILE)
        with quiet_stderr():
            try:
                self._net: Any = cv2.FaceDetectorYN.create(
                    str(path), "", (320, 320), score_threshold=min_score
                )
                self._net.detect(np.zeros((320, 320, 3), np.uint8))
            except cv2.error as error:
                raise MienError(
                    f"expected {_YUNET_FILE}, got a file that OpenCV {cv2.__version__} cannot load "
                    f"at {str(path)!r}: use the file for this version"
                ) from error

    def __call__(self, image: UInt8Array) -> list[Face]:
        """Find the faces of an ``(H, W, 3)`` uint8 RGB image, largest first, with 5 landmarks."""
        check_image(image)
        large = max(image.shape[:2]) > _LONGEST_SIDE
        frame = shrunk(image, _LONGEST_SIDE) if large else image
        scale = max(frame.shape[:2]) / max(image.shape[:2])
        self._net.setInputSize((frame.shape[1], frame.shape[0]))
        _, rows = self._net.detect(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        faces = []
        for row in [] if rows is None else rows:
            left, top, width, height = (float(value) / scale for value in row[:4])
            if width > 0 and height > 0:
                points = row[4:14].reshape(5, 2) / np.float32(scale)
                faces.append(Face(Box(left, top, width, height), float(row[14]), points))
        return largest_first(faces)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
