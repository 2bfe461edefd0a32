from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from mien.faces.detection.detect import FaceDetector
from mien.schema import Face, UInt8Array


@pytest.fixture(scope="session")
def astronaut() -> UInt8Array:
    return np.asarray(data.astronaut(), np.uint8)


@pytest.fixture(scope="session")
def detector() -> Iterator[FaceDetector]:
    with FaceDetector() as detector:
        yield detector


@pytest.fixture(scope="session")
def face(detector: FaceDetector, astronaut: UInt8Array) -> Face:
    (face,) = detector(astronaut)
    return face


@pytest.fixture(scope="session")
def yunet_file() -> Path:
    path = Path(__file__).parents[2] / ".." / "shared" / "models" / "yunet.onnx"
    if not path.is_file():
        pytest.skip(
            "YuNet's ONNX file is not shipped; expected it in shared/models by the checkout"
        )
    if int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip(f"OpenCV {cv2.__version__} cannot load this file's dynamic shapes")
    return path
