"""What large photos cost and give when their JPEGs are decoded at reduced size.

    python benchmarks/reduced.py [--photos N] [--write]

Photos of 4,000 x 3,000 pixels with up to six rendered heads at known places, saved as JPEG of
quality 90, and each read as ``mien predict`` does it, and with ``--whole``: how many faces are
found, how far probabilities, landmarks (in distances of the eyes) and processor time differ. The
two sides take turns; what is compared are the same photos.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from face_photos import group_photos, matches
from mien.inference.inputs.sources import Source
from mien.inference.model import open_onnx
from mien.inference.photos import Reading, predict_photos
from mien.inference.predictor import Predictor
from mien.schema import Prediction

TABLE = Path(__file__).with_suffix(".md")
WIDTH, HEIGHT = 4000, 3000
KINDS = {
    "portraits, faces of 900 to 1,400 pixels": [900.0, 1100.0, 1400.0],
    "groups, faces of 300 to 600 pixels": [300.0, 400.0, 500.0, 600.0],
    "far away, faces of 100 to 200 pixels": [100.0, 130.0, 160.0, 200.0],
}


def read(predictor: Predictor, path: Path, whole: bool) -> tuple[list[Prediction], float]:
    """The predictions of one photo, and the processor's seconds."""
    started = time.process_time()
    items = [(None, Source(str(path)))]
    [(_, predictions)] = predict_photos(predictor, items, Reading(whole=whole, threads=1))
    return [each for each in predictions if each.face], time.process_time() - started


def eyes(prediction: Prediction) -> float:
    points = prediction.face.landmarks
    return float(np.linalg.norm(points[33] - points[263]))


def measure(kind: str, sizes: list[float], photos: int, predictor: Predictor) -> str:
    faces = {False: 0, True: 0}
    wrong = {False: 0, True: 0}
    seconds: dict[bool, list[float]] = {False: [], True: []}
    shares, moved, same, total, placed_in_all = [], [], 0, 0, 0
    # One large face a photo, or six smaller ones.
    each = photos if sizes[0] >= 900 else -(-6 * photos // len(sizes))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        made = group_photos("size", sizes, each, width=WIDTH, height=HEIGHT)
        for number, (picture, placed) in enumerate(made):
            if number == photos:
                break
            if sizes[0] >= 900:
                placed = placed[:]
            Image.fromarray(picture).save(path, quality=90)
            sides = {}
            for whole in (False, True) if number % 2 else (True, False):
                sides[whole], taken = read(predictor, path, whole)
                seconds[whole].append(taken)
                boxes = [one.face.box for one in sides[whole]]
                places = [
                    (box.left + box.width / 2, box.top + box.height / 2, box.height)
                    for box in boxes
                ]
                seen, others = matches(places, placed)
                faces[whole] += sum(seen)
                wrong[whole] += others
            placed_in_all += len(placed)
            for one in sides[True]:
                near = min(
                    sides[False],
                    key=lambda other, one=one: (
                        abs(other.face.box.left - one.face.box.left)
                        + abs(other.face.box.top - one.face.box.top)
                    ),
                    default=None,
                )
                if near is None or near.face.landmarks is None or one.face.landmarks is None:
                    continue
                if abs(near.face.box.left - one.face.box.left) > one.face.box.width / 2:
                    continue
                total += 1
                same += near.expression == one.expression
                shares.append(
                    max(
                        abs(near.probabilities[name] - value)
                        for name, value in one.probabilities.items()
                    )
                )
                steps = np.linalg.norm(near.face.landmarks - one.face.landmarks, axis=1)
                moved.append(float(steps.mean()) / eyes(one))
    ratio = statistics.median(a / b for a, b in zip(seconds[True], seconds[False], strict=True))
    cost = " and ".join(f"{1000 * statistics.median(seconds[whole]):.0f}" for whole in seconds)
    return (
        f"| {kind} | {placed_in_all} | {faces[False]} and {faces[True]} "
        f"| {wrong[False]} and {wrong[True]} | {same} of {total} "
        f"| {np.median(shares):.3f}, {np.quantile(shares, 0.95):.3f} "
        f"| {np.median(moved):.4f}, {np.quantile(moved, 0.95):.4f} | {cost} | {ratio:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=30, help="photos of each kind")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    lines = [
        "| photos | faces | found, reduced and whole | others, reduced and whole "
        "| same expression | probabilities differ by (median, 95 %) "
        "| landmarks differ by (median, 95 %) | ms, reduced and whole | speed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with Predictor(open_onnx("fer", threads=1)) as predictor:
        for kind, sizes in KINDS.items():
            lines.append(measure(kind, sizes, options.photos, predictor))
            print(lines[-1], flush=True)
    if options.write:
        command = f"python benchmarks/reduced.py --photos {options.photos} --write"
        head = f"# Reduced decoding\n\n`{command}`"
        about = (__doc__ or "").split("\n\n", 2)[2].strip()
        TABLE.write_text(f"{head}\n\n{about}\n\n" + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
