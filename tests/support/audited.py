"""Datasets for audits: pictures that differ clearly, and rows that a test says more about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from mien.data.dataset import FACES_SCHEMA
from mien.labels import LABEL_SPACES
from mien.preparation.write import write_dataset
from mien.schema import Preprocessing

SPACE = LABEL_SPACES["oulu"]
SIDE = 48


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Smooth pictures of gray levels 40 to 200, ``(count, 48, 48, 3)``."""
    coarse = np.random.default_rng(seed).integers(40, 200, (count, 8, 8), dtype=np.uint8)
    large = [cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for each in coarse]
    return np.repeat(np.stack(large)[..., None], 3, axis=-1)


def audited_dataset(
    folder: Path,
    crops: np.ndarray,
    rows: list[dict[str, Any]] | None = None,
    *,
    corpus: str = "toy",
    preprocessing: Preprocessing | None = None,
) -> Path:
    """Two thirds train, one third test, balanced classes; ``rows`` change the columns."""
    count = len(crops)
    common = {"source": "toy", "corpus": corpus, "alignment": "fixed"}
    defaults = [
        {
            **common,
            "id": f"{number:04d}",
            "split": "train" if number < 2 * count // 3 else "test",
            "label": SPACE.names[number % len(SPACE)],
            "subject": f"s{number:04d}",
        }
        for number in range(count)
    ]
    for row, changes in zip(defaults, rows or [], strict=False):
        row |= changes
    table = pa.Table.from_pylist(defaults, schema=FACES_SCHEMA)
    write_dataset(
        folder,
        [(table, crops)],
        rows=count,
        label_space=SPACE,
        preprocessing=preprocessing or Preprocessing(size=crops.shape[1]),
        corpus=corpus,
        license_terms="made by a test",
    )
    return folder
