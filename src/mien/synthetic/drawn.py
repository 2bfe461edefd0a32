"""Toy data: drawn cartoon faces, for examples, benchmarks and tests.

They exercise every stage without a real face. Results on them say nothing about real faces.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from mien.data.dataset import FACES_SCHEMA, SEVERITY_FIELD, Dataset
from mien.labels import LABEL_SPACES
from mien.licenses import License
from mien.preparation.write import write_dataset
from mien.scales import SCALES
from mien.schema import Preprocessing, UInt8Array

LICENSE_TERMS = (
    "Toy data: faces drawn by mien, free to use. Results on them mean nothing for real faces."
)
_DISCS = "Toy data: discs drawn by mien, free to use."


class _Look(NamedTuple):
    """Brow height and inward tilt, eye opening, mouth curve (smile positive) and opening."""

    brow: float
    tilt: float
    eye: float
    curve: float
    open: float


LOOKS: dict[str, _Look] = {
    "neutral": _Look(0.0, 0.0, 0.5, 0.0, 0.0),
    "happiness": _Look(0.1, 0.0, 0.4, 1.0, 0.25),
    "surprise": _Look(1.0, 0.0, 1.0, 0.0, 1.0),
    "sadness": _Look(0.2, -0.8, 0.3, -0.8, 0.0),
    "anger": _Look(-0.6, 1.0, 0.5, -0.3, 0.0),
    "fear": _Look(0.7, -0.6, 0.9, -0.4, 0.5),
}
"""Six expressions, as a cartoonist would draw them."""

AFFECT: dict[str, tuple[float, float]] = {
    "neutral": (0.0, -0.2),
    "happiness": (0.8, 0.3),
    "surprise": (0.2, 0.7),
    "sadness": (-0.6, -0.4),
    "anger": (-0.6, 0.5),
    "fear": (-0.4, 0.7),
}
"""Invented valence and arousal of each expression, roughly as on the circumplex."""

SHOWN_UNITS: dict[str, frozenset[str]] = {
    "neutral": frozenset(),
    "happiness": frozenset({"AU12", "AU25"}),
    "surprise": frozenset({"AU1", "AU2", "AU25", "AU26"}),
    "sadness": frozenset({"AU1", "AU15"}),
    "anger": frozenset({"AU4", "AU15"}),
    "fear": frozenset({"AU1", "AU2", "AU15", "AU25", "AU26"}),
}
"""Action units that each expression of :data:`LOOKS` shows, with brows and mouth."""

DRAWN_UNITS = ("AU1", "AU2", "AU4", "AU12", "AU15", "AU25", "AU26")
"""Action units that drawings can show; the others are not annotated."""


def draw_face(expression: str, generator: np.random.Generator, *, size: int = 96) -> UInt8Array:
    """Draw a ``(size, size, 3)`` uint8 RGB cartoon of an expression of :data:`LOOKS`.

    Skin, hair, shape and position of the face, strength of the expression and noise vary.
    """
    look = _Look(*(value + 0.12 * generator.normal() for value in LOOKS[expression]))
    scale = 4  # draw large and shrink, for smooth edges
    side = size * scale

    def point(x: float, y: float) -> tuple[int, int]:
        return round(x * side), round(y * side)

    skin = np.array([226, 178, 148]) * generator.uniform(0.35, 1.05)
    ink = tuple(float(v) for v in skin * 0.25)
    hair = tuple(float(v) for v in generator.uniform(10, 150, 3))
    picture = np.full((side, side, 3), generator.uniform(60, 230, 3), np.float64).astype(np.uint8)
    cx, cy = 0.5 + 0.03 * generator.normal(), 0.52 + 0.03 * generator.normal()
    width, height = generator.uniform(0.34, 0.42), generator.uniform(0.43, 0.5)
    line = max(1, round(0.022 * side))
    cv2.ellipse(picture, point(cx, cy - 0.06), point(width * 1.08, height), 0, 0, 360, hair, -1)
    tone = tuple(float(v) for v in np.clip(skin, 0, 255))
    cv2.ellipse(picture, point(cx, cy + 0.03), point(width, height), 0, 0, 360, tone, -1)
    for outward in (-1, 1):
        x, y = cx + outward * 0.16, cy - 0.06
        opening = max(0.012, 0.055 * look.eye)
        cv2.ellipse(picture, point(x, y), point(0.065, opening), 0, 0, 360, (250, 250, 250), -1)
        cv2.circle(picture, point(x, y), round(min(0.03, opening) * side), ink, -1)
        brow, tilt = y - 0.09 - 0.05 * look.brow, 0.045 * look.tilt
        inner, outer = (
            point(x - outward * 0.08, brow + tilt),
            point(x + outward * 0.08, brow - tilt),
        )
        cv2.line(picture, inner, outer, ink, line)
    cv2.line(picture, point(cx, cy + 0.0), point(cx - 0.02, cy + 0.1), ink, max(1, line // 2))
    xs = np.linspace(-1, 1, 15)
    lower = 0.11 * look.curve * (1 - xs**2) + 0.09 * max(0.0, look.open) * np.sqrt(1 - xs**2)
    upper = 0.11 * look.curve * (1 - xs**2) - 0.05 * max(0.0, look.open) * np.sqrt(1 - xs**2)
    middle = cy + 0.24 - 0.05 * look.curve
    mouth = [point(cx + 0.15 * x, middle + y) for x, y in zip(xs, upper, strict=True)]
    mouth += [point(cx + 0.15 * x, middle + y) for x, y in zip(xs[::-1], lower[::-1], strict=True)]
    polygon = np.array(mouth, np.int32)
    cv2.fillPoly(picture, [polygon], (120, 40, 50))
    cv2.polylines(picture, [polygon], True, ink, line)
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA).astype(np.float64)
    light = 1 + 0.15 * generator.normal() * np.linspace(-1, 1, size)[None, :, None]
    noisy = small * light + generator.normal(0, 6, small.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write_toy_folder(folder: str | Path, *, faces: int, seed: int = 0, size: int = 96) -> Path:
    """Draw ``faces`` toy faces into class folders (``FOLDER/SPLIT/EXPRESSION/0001.png``).

    Of five faces of an expression one is in valid and one in test. Expressions alternate.
    """
    folder = Path(folder)
    names = list(LOOKS)
    for number in range(faces):
        expression = names[number % len(names)]
        split = {3: "valid", 4: "test"}.get(number // len(names) % 5, "train")
        class_folder = folder / split / expression
        class_folder.mkdir(parents=True, exist_ok=True)
        picture = draw_face(expression, np.random.default_rng((seed, number)), size=size)
        # OpenCV would not report a full disk.
        Image.fromarray(picture).save(class_folder / f"{number:04d}.png")
    return folder


def write_toy_table(folder: str | Path, *, seed: int = 0) -> Path:
    """List the toy faces of ``folder`` in ``faces.csv``, with affect and action units.

    Valence and arousal are those of :data:`AFFECT` with a little noise; action units are those of
    :data:`SHOWN_UNITS`, 0 or 1. As in merged corpora, labels are missing: of six faces one has no
    expression, one no valence and arousal, and one no action units.
    """
    folder = Path(folder)
    table = folder / "faces.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "expression", "split", "valence", "arousal", *DRAWN_UNITS))
        for number, path in enumerate(sorted(folder.glob("*/*/*.png"))):
            split, expression = path.parts[-3:-1]
            noise = np.random.default_rng((seed, number)).normal(0, 0.08, 2)
            affect = np.clip(np.array(AFFECT[expression]) + noise, -1, 1).round(3).tolist()
            units = [int(unit in SHOWN_UNITS[expression]) for unit in DRAWN_UNITS]
            writer.writerow(
                (
                    path.relative_to(folder).as_posix(),
                    "" if number % 6 == 1 else expression,
                    split,
                    *(("", "") if number % 6 == 2 else affect),
                    *([""] * len(units) if number % 6 == 3 else units),
                )
            )
    return table


def write_toy_videos(
    folder: str | os.PathLike[str],
    *,
    videos: int = 40,
    frames: int = 12,
    size: int = 32,
    seed: int = 0,
) -> Dataset:
    """Write a dataset of recordings: discs whose brightness and pulse follow a score, 0 to 63.

    Each subject has two recordings of ten frames per second. Of five subjects one is in valid and
    one in test.
    """
    generator = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    crops = np.empty((videos * frames, size, size, 3), np.uint8)
    across = np.arange(size) - size / 2
    disc = across[:, None] ** 2 + across**2 < (size / 3) ** 2
    for video in range(videos):
        score = round(float(generator.uniform(0, 63)))
        for frame in range(frames):
            beat = 1 + 0.3 * np.sin(frame * (1.5 - score / 63))
            light = 50 + generator.normal(0, 4) + disc * (30 + 2 * score) * beat
            crops[len(rows)] = np.clip(light, 0, 255)[..., None]
            rows.append(
                {
                    **dict.fromkeys(FACES_SCHEMA.names),
                    "id": f"{video:03d}-{frame:03d}",
                    "source": f"toy/{video:03d}",
                    "corpus": "toy videos",
                    "split": {3: "valid", 4: "test"}.get(video // 2 % 5, "train"),
                    "subject": f"subject-{video // 2:03d}",
                    "video": f"video-{video:03d}",
                    "frame": frame,
                    "time": frame / 10,
                    "alignment": "fixed",
                    "severity": float(score),
                }
            )
    table = pa.Table.from_pylist(rows, schema=pa.schema([*FACES_SCHEMA, SEVERITY_FIELD]))
    return write_dataset(
        folder,
        [(table, crops)],
        rows=len(rows),
        label_space=LABEL_SPACES["ferplus"],
        preprocessing=Preprocessing(size=size),
        corpus="toy videos",
        license_terms=_DISCS,
        licenses=(
            License(
                kind="data",
                name="toy videos",
                license_terms=_DISCS,
                commercial_use="yes",
                attribution="no",
                stated_by="mien synth",
            ),
        ),
        scale=SCALES["rendered"],
    )
