"""How often a covered mouth is noticed, and how often one that is not covered.

    python benchmarks/face_cover.py --ferplus FILE --diffusionfer FILE [--faces 120] [--covered 40]

Masks and hands are drawn over faces by their landmarks: nothing here is a result on people who wear
one. FILE are parquet tables with a column ``image``. Writes a part of benchmarks/faces.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from face_page import write_part
from mien.faces.cover import is_mouth_covered
from mien.faces.detection.detect import FaceDetector
from mien.faces.images import load_image
from mien.faces.tight import find_tight_face, is_small
from mien.schema import Face, FloatArray, UInt8Array

JAW = [93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323]
Cover = Callable[[UInt8Array, FloatArray, np.random.Generator], UInt8Array]


def mask(image: UInt8Array, points: FloatArray, generator: np.random.Generator) -> UInt8Array:
    """A mask of one color with pleats, from the nose to the chin."""
    corners = points[[*JAW, 425, 195, 205]].round().astype(np.int32)
    area = cv2.fillPoly(np.zeros(image.shape[:2], np.uint8), [corners], 255)
    color = (
        generator.uniform(20, 240, 3)
        if np.ptp(image, axis=2).any()
        else [generator.uniform(20, 240)] * 3
    )
    rows = np.arange(len(image))[:, None, None]
    width = max(2.0, float(np.ptp(points[:, 1])) / 8)
    pleats = 1 + 0.08 * np.sin(2 * np.pi * rows / width)
    return _laid(image, np.broadcast_to(np.multiply(color, pleats), image.shape), area)


def hand(image: UInt8Array, points: FloatArray, generator: np.random.Generator) -> UInt8Array:
    """Four fingers and a back in the color of the forehead, over the mouth."""
    size, angle = float(np.linalg.norm(points[10] - points[152])), generator.uniform(-30, 30)
    along = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    down = np.array([-along[1], along[0]])
    area = np.zeros(image.shape[:2], np.uint8)
    for finger in range(4):
        _ellipse(area, points[13] + along * (finger - 1.5) * 0.13 * size, 0.062, 0.26, size, angle)
    _ellipse(area, points[13] + down * 0.33 * size, 0.27, 0.25, size, angle)
    x, y = np.clip(points[151].round().astype(int), 0, np.array(image.shape[1::-1]) - 1)
    skin = image[y, x] * generator.uniform(0.85, 1.1) + generator.normal(0, 4, image.shape)
    return _laid(image, skin, area)


def _ellipse(
    area: UInt8Array, middle: FloatArray, wide: float, high: float, size: float, angle: float
) -> None:
    axes = (max(1, int(wide * size)), max(2, int(high * size)))
    x, y = middle.round().astype(int).tolist()
    cv2.ellipse(area, (x, y), axes, angle, 0, 360, 255, -1)


def _laid(image: UInt8Array, layer: np.ndarray, area: UInt8Array) -> UInt8Array:
    soft = cv2.GaussianBlur(area, (0, 0), 1.0)[..., None] / 255
    return np.clip(image * (1 - soft) + layer * soft, 0, 255).astype(np.uint8)


def detect(detector: FaceDetector, image: UInt8Array) -> Face | None:
    if is_small(image):
        return find_tight_face(image, detector)
    return next((face for face in detector(image) if face.landmarks is not None), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ferplus", type=Path, required=True)
    parser.add_argument("--diffusionfer", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--covered", type=int, default=100)
    given = parser.parse_args()
    covers: dict[str, Cover] = {"mask": mask, "hand": hand}
    detector = FaceDetector()
    lines = [
        "`python benchmarks/face_cover.py --ferplus FILE --diffusionfer FILE` writes this part. Of",
        "faces with a mask or a hand drawn over the mouth: not detected, or abstained.",
        "Real masks, hands and beards, and covered eyes, were not measured.",
        "",
        "| data | uncovered, said to be covered | masks noticed | hands noticed |",
        "|---|---|---|---|",
    ]
    for name, path in (("FER+", given.ferplus), ("DiffusionFER", given.diffusionfer)):
        pictures = pq.read_table(path, columns=["image"])["image"]
        generator = np.random.default_rng(8)
        wrong = total = 0
        noticed = {cover: [0, 0] for cover in covers}
        for row in generator.permutation(len(pictures))[: given.faces].tolist():
            image = load_image(pictures[row].as_py())
            if (face := detect(detector, image)) is None or face.landmarks is None:
                continue
            wrong, total = wrong + is_mouth_covered(image, face.landmarks), total + 1
            for cover, draw in covers.items():
                if total > given.covered:
                    continue
                drawn = draw(image, face.landmarks, generator)
                other = detect(detector, drawn)
                unseen = other is None or other.landmarks is None
                noticed[cover][0] += unseen or is_mouth_covered(drawn, other.landmarks)
                noticed[cover][1] += 1
        cells = [f"{part} of {whole}" for part, whole in noticed.values()]
        lines.append(f"| {name} | {wrong} of {total} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    write_part("Covered faces", lines)


if __name__ == "__main__":
    main()
