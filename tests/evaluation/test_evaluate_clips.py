"""Models of clips that read an expression: one label and one prediction for each recording."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_models import FERPLUS, RGB, info_of, make_dataset

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.evaluation.models import Model
from mien.evaluation.predictions import evaluation_of
from mien.heads.expression import ExpressionInfo
from mien.models import ClipsInfo
from mien.reports.evaluation import ExpressionArrays
from mien.schema import ModelOutput, UInt8Array

RECORDINGS = [
    ("train", "neutral"),
    ("train", None),
    ("train", "anger"),
    ("test", "happiness"),
    ("test", "anger"),
]


def dataset_of(folder: Path, *, changes: dict[int, str] | None = None) -> Dataset:
    """Two frames of each recording; ``changes`` are labels of single rows."""
    rows: list[dict[str, Any]] = [
        {"split": split, "label": label, "video": f"v{number}", "frame": frame}
        for number, (split, label) in enumerate(RECORDINGS)
        for frame in range(2)
    ]
    for row, label in (changes or {}).items():
        rows[row]["label"] = label
    return Dataset.open(make_dataset(folder, rows))


def predict(clips: UInt8Array) -> ModelOutput:
    """Happiness in every clip, and the number of the clip's first row as its embedding."""
    first = clips[:, 0, 0, 0, 0].astype(np.float32)
    probabilities = np.full((len(clips), 8), 0.01, np.float32)
    probabilities[:, 1] = 0.93
    return ModelOutput(np.stack([first, np.ones_like(first)], 1), {"expression": probabilities})


MODEL = Model(
    "clips",
    info_of(
        {"expression": ExpressionInfo(label_space=FERPLUS)},
        preprocessing=RGB,
        clips=ClipsInfo(length=2, stride=1, per_video=1),
    ),
    predict,
    {},
)


def test_the_recordings_of_another_split_are_a_reference(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data")
    evaluation = evaluation_of(
        MODEL, dataset, "clips", split="test", rule="majority", reference="train"
    )
    assert evaluation.unit == "recording" and list(evaluation.ids) == ["v3", "v4"]
    arrays = evaluation.heads["expression"]
    assert isinstance(arrays, ExpressionArrays) and arrays.reference is not None
    assert arrays.targets.tolist() == [FERPLUS.index("happiness"), FERPLUS.index("anger")]
    assert arrays.reference.labels.tolist() == [FERPLUS.index("neutral"), FERPLUS.index("anger")]
    assert arrays.reference.embeddings[:, 0].tolist() == [0, 4]


def test_labels_of_single_frames_are_no_label_of_a_recording(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data", changes={7: "anger"})
    with pytest.raises(MienError, match=r"one target of the head expression .* single faces"):
        evaluation_of(MODEL, dataset, "clips", split="test", rule="majority")
