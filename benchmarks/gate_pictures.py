"""The pictures that gate.py shows to both models, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.corpora.expressions.diffusionfer import SPACE as SEVEN
from mien.corpora.expressions.ferplus import VOTES
from mien.data.targets import count_votes
from mien.faces.detection.detect import FaceDetector
from mien.faces.images import load_image
from mien.faces.tight import find_tight_face
from mien.labels import LABEL_SPACES, LabelSpace
from mien.schema import Face, Preprocessing, UInt8Array
from mien.synthetic.actions import RENDERED_UNITS
from mien.synthetic.faces import face_shot
from mien.synthetic.rendering.render import render_face

EIGHT = LABEL_SPACES["ferplus"]
SEED = 900
"""Of the rendered faces; no recipe trains on it."""
_SIDE, _MARGIN = 224, 0.4
_THINGS = ("brick", "coins", "gravel", "grass", "moon", "page", "rocket", "text", "clock", "coffee")


@dataclass(frozen=True, eq=False)
class Pictures:
    """N pictures with what is known about them.

    ``faces`` are None where the picture is a tight crop. ``expression`` has, by the rule for votes,
    ``(N,)`` classes of ``space``, -1 unknown; ``affect`` is ``(N, 2)``, None unknown; ``units`` are
    intensities ``(N,)`` by name.
    """

    name: str
    images: Sequence[UInt8Array]
    faces: Sequence[Face | None]
    space: LabelSpace = EIGHT
    expression: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    affect: NDArray[np.float64] | None = None
    units: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)


def ferplus(file: Path, rows: int | None) -> Pictures:
    """FER+ as tight crops, with the labels of both rules."""
    table = _some(pq.read_table(file), rows)
    votes = np.stack([table.column(name).to_numpy() for name in VOTES], axis=1).astype(np.int64)
    expression = {}
    for rule, title in (("majority", "every top vote"), ("ferplus", "FER+'s rule")):
        winners, _, counted = count_votes(votes, VOTES, EIGHT, rule=rule)
        expression[title] = np.where(counted, winners, -1)
    images = [load_image(content) for content in table.column("image").to_pylist()]
    return Pictures("FER+ valid", images, [None] * len(images), expression=expression)


def aligned(pictures: Pictures, detector: FaceDetector) -> Pictures:
    """Tight crops in which landmarks are detected, aligned by these; the others as they are."""
    faces = [find_tight_face(image, detector) for image in pictures.images]
    return replace(pictures, name=f"{pictures.name}, aligned", faces=faces)


def diffusionfer(file: Path, rows: int | None, detector: FaceDetector) -> Pictures:
    """DiffusionFER's portraits where a face is detected, as tight crops elsewhere."""
    table = _some(pq.read_table(file), rows)
    images = [load_image(content) for content in table.column("image").to_pylist()]
    labels = [SEVEN.index(name) for name in table.column("expression").to_pylist()]
    affect = [table.column(name).to_numpy() for name in ("valence", "arousal")]
    return Pictures(
        "DiffusionFER train",
        images,
        [next(iter(detector(image)), None) for image in images],
        SEVEN,
        {"": np.array(labels)},
        np.stack(affect, axis=1).astype(np.float64),
    )


def rendered(count: int, detector: FaceDetector) -> Pictures:
    """Rendered faces in which the detector sees a face, with all labels."""
    recipe = Preprocessing(size=_SIDE, margin=_MARGIN)
    rows, images, faces = [], [], []
    for index in range(count):
        shot = face_shot(SEED, index)
        image = render_face(shot.subject, shot.units, shot.scene, recipe, shot.generator).crop
        face = next(iter(detector(image)), None)
        if face is not None and face.blendshapes:
            rows.append(shot.row)
            images.append(image)
            faces.append(face)
    return Pictures(
        "rendered",
        images,
        faces,
        EIGHT,
        {"": np.array([EIGHT.index(row["label"]) for row in rows])},
        np.array([(row["valence"], row["arousal"]) for row in rows]),
        {
            f"AU{number}": np.array([row[f"au{number:02d}"] for row in rows])
            for number in RENDERED_UNITS
        },
    )


def closed_and_neutral(pictures: Pictures) -> NDArray[np.int64]:
    """The rendered faces that are neutral with closed lips."""
    neutral = pictures.expression[""] == EIGHT.index("neutral")
    return np.flatnonzero(neutral & (pictures.units["AU25"] < 0.1))


def things() -> Pictures:
    """Pictures without a face, and cuts of them, as if somebody called them tight crops."""
    import skimage.data

    images = []
    for name in _THINGS:
        picture = np.asarray(getattr(skimage.data, name)(), np.uint8)
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        picture = np.ascontiguousarray(picture[..., :3])
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        images.append(picture)
        images += [
            picture[top : top + height, left : left + width]
            for top in (0, height)
            for left in (0, width)
        ]
    generator = np.random.default_rng(SEED)
    images += [generator.integers(0, 256, (48, 48, 3), dtype=np.uint8) for _ in range(10)]
    return Pictures("no faces", images, [None] * len(images))


def changed(pictures: Pictures) -> dict[str, list[Pictures]]:
    """What must not change an expression: tight crops mirrored, brighter or darker, and shifted."""

    def of(name: str, images: list[UInt8Array]) -> Pictures:
        return Pictures(name, images, [None] * len(images))

    images = pictures.images
    return {
        "mirrored": [of("mirrored", [np.ascontiguousarray(image[:, ::-1]) for image in images])],
        "brightness": [
            of(f"times {factor}", [_times(image, factor) for image in images])
            for factor in (0.6, 1.5)
        ],
        "shifted": [
            of("shifted", [_shifted(image, *step) for image in images])
            for step in ((0.04, 0.0), (-0.04, 0.0), (0.0, 0.04), (0.0, -0.04))
        ],
    }


def _times(image: UInt8Array, factor: float) -> UInt8Array:
    return np.clip(np.rint(image * factor), 0, 255).astype(np.uint8)


def _shifted(image: UInt8Array, across: float, down: float) -> UInt8Array:
    height, width = image.shape[:2]
    matrix = np.array([[1, 0, across * width], [0, 1, down * height]])
    return np.asarray(
        cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _some(table, rows: int | None):  # type: ignore[no-untyped-def]
    """Evenly spaced rows, because files may be sorted by class."""
    if rows is None or rows >= table.num_rows:
        return table
    return table.take(np.linspace(0, table.num_rows - 1, rows).astype(np.int64))
