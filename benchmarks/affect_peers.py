"""Plain peers on the same rows: ridge regression on MediaPipe's blendshapes and frozen features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mien.data.dataset import Dataset
from mien.data.targets import Targets
from mien.faces.detection.detect import FaceDetector

ALPHAS = np.logspace(-1, 5, 13)

Rows = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def blendshapes(dataset: Dataset, cache: Path) -> Floats:
    """MediaPipe's blendshapes of every crop, ``(N, 52)``, computed once; NaN without a face."""
    if not cache.is_file():
        found: list[list[float] | None] = []
        with FaceDetector(max_faces=1) as detector:
            for row in range(len(dataset)):
                faces = detector(dataset.crops[row])
                shapes = faces[0].blendshapes if faces else {}
                found.append([shapes[name] for name in sorted(shapes)] or None)
        width = max(len(one) for one in found if one)
        table = np.array([one or [np.nan] * width for one in found])
        part = cache.with_suffix(".part.npy")
        np.save(part, table)
        part.replace(cache)
    values: Floats = np.load(cache, allow_pickle=False)
    return values


def ridge(features: Floats, targets: Targets, train: Rows, test: Rows) -> tuple[Any, Any]:
    """Answers ``(n,)`` and valence-arousal ``(n, 2)`` of ridge models for the rows ``test``.

    The penalty is chosen by leave-one-out inside ``train``. A missing feature is its mean there.
    """
    means = np.nanmean(features[train], axis=0)
    features = np.where(np.isnan(features), means, features)
    named = train[targets["expression"][train] >= 0]
    rated = train[~np.isnan(targets["valence_arousal"][train, 0])]
    classes = make_pipeline(
        StandardScaler(), RidgeClassifierCV(ALPHAS, class_weight="balanced")
    ).fit(features[named], targets["expression"][named])
    values = make_pipeline(StandardScaler(), RidgeCV(ALPHAS)).fit(
        features[rated], targets["valence_arousal"][rated]
    )
    return classes.predict(features[test]), np.clip(values.predict(features[test]), -1, 1)
