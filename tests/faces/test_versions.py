"""The face networks in other versions of OpenCV, whose importers differ, without LiteRT."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = ("detection/test_tflite.py", "test_detector_life.py", "test_tight.py")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("version", ["4.12.0.88", "4.14.0.94", "5.0.0.93"])
def test_faces_are_found_by_opencv(version: str, tmp_path: Path) -> None:
    package = f"opencv-python-headless=={version}"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
    done = subprocess.run([*install, str(tmp_path), package], capture_output=True, text=True)
    if "No matching distribution" in done.stderr:
        pytest.skip(f"no {package} for this machine, or no package registry")
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    again = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + [str(HERE / name) for name in TESTS],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "MIEN_FACE_BACKEND": "opencv"},
    )
    assert again.returncode == 0, again.stdout[-3000:]
