"""Tiny corpora and detectors for the tests of data; worker processes import the detectors."""

from __future__ import annotations

import hashlib
import io
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from mien.data.dataset import FACES_SCHEMA, Dataset
from mien.errors import MienError
from mien.labels import LABEL_SPACES
from mien.preparation.workers import one_at_a_time
from mien.preparation.write import write_dataset
from mien.schema import Box, Face, Preprocessing

FERPLUS = LABEL_SPACES["ferplus"]
VOTES = (*FERPLUS.names, "unknown", "NF")
SMALL = Preprocessing(size=16)


class ToyDetector:
    """No face in a black image; two faces in a bright one, one in any other."""

    name = "toy"

    def __call__(self, image):
        height, width = image.shape[:2]
        if image.max() == 0:
            return []
        large = Box(0, 0, width, height)
        faces = [Face(box=large, score=0.5, landmarks=five_points(width, height))]
        if image.mean() > 200:
            faces.append(Face(box=Box(0, 0, 2, 2), score=0.9))
        return faces

    def close(self):
        pass


class CrashingDetector(ToyDetector):
    def __call__(self, image):
        os._exit(1)


class LonelyWriter:
    """Fails where another process writes a part at the same time."""

    def __init__(self, folder, stopped=None):
        self.inside = folder / "inside"

    def write_part(self, entries, path):
        with one_at_a_time():
            self.inside.touch(exist_ok=False)
            time.sleep(0.05)
            self.inside.unlink()

    def close(self):
        pass


def no_detector():
    raise MienError("expected a face model, got none: fetch it")


def five_points(width, height):
    fractions = [[0.315, 0.393], [0.685, 0.393], [0.5, 0.6], [0.349, 0.771], [0.651, 0.771]]
    return np.array(fractions, dtype=np.float32) * np.float32([width, height])


def png(seed: int = 0, side: int = 120, level: int | None = None) -> bytes:
    if level is None:
        pixels = np.random.default_rng(seed).integers(0, 200, (side, side, 3), dtype=np.uint8)
    else:
        pixels = np.full((side, side, 3), level, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def class_folders(root: Path, names, per_class: int, side: int = 120) -> Path:
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for index in range(per_class):
            (root / name / f"{index:03d}.png").write_bytes(png(1000 * number + index, side))
    return root


def small_dataset(
    folder: Path, rows: list[dict], *, preprocessing=SMALL, vote_names=(), fields=()
) -> Dataset:
    defaults = {"source": "toy", "corpus": "toy", "split": "train", "alignment": "fixed"}
    rows = [{"id": str(index), **defaults, **row} for index, row in enumerate(rows)]
    side, channels = preprocessing.size, 1 if preprocessing.color == "gray" else 3
    crops = np.random.default_rng(0).integers(
        0, 256, (len(rows), side, side, channels), dtype=np.uint8
    )
    return write_dataset(
        folder,
        [(pa.Table.from_pylist(rows, schema=pa.schema([*FACES_SCHEMA, *fields])), crops)],
        rows=len(rows),
        label_space=FERPLUS,
        preprocessing=preprocessing,
        corpus="toy",
        license_terms="made by a test",
        vote_names=vote_names,
    )


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
