"""What is measured and calibrated on the split valid, and on nothing else."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_training import SMALL_CLIPS

from mien.data.dataset import Dataset
from mien.data.targets import Targets
from mien.evaluation.models import open_model, predict_recordings
from mien.heads.expression import ExpressionInfo
from mien.heads.valence_arousal import ValenceArousalInfo
from mien.labels import label_space_of
from mien.networks.network import Outputs
from mien.statistics.calibration import temperature_scale
from mien.statistics.conformal import calibrate
from mien.training.batches.faces import images_for_network
from mien.training.batches.units import Faces, open_units
from mien.training.fit import fit
from mien.training.recipe import load_recipe
from mien.training.run import load_run
from mien.training.validation import calibrated, join_outputs, validation_metrics, validations

SPLITS = ("train", "valid", "test")


def logits_of(folder: Path, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Raw logits of the run's network and the classes of a split's rows."""
    run, rows = load_run(folder), dataset.split_indices(split)
    images = images_for_network(dataset.crops[rows], run.info.preprocessing)
    with torch.inference_mode():
        logits = run.model.network(images).heads["expression"].double().numpy()
    space = dataset.label_space
    return logits, np.array([space.index(name) for name in dataset.column("label")[rows]])


def test_the_temperature_is_that_of_valid(toy_run: Path, toy_dataset: Path) -> None:
    dataset = Dataset.open(toy_dataset)
    kept = load_run(toy_run).info.heads["expression"].calibration.temperature
    of = {split: temperature_scale(*logits_of(toy_run, dataset, split)) for split in SPLITS}
    assert kept == pytest.approx(of["valid"], rel=1e-3)
    assert kept != pytest.approx(of["train"], rel=0.02)
    assert kept != pytest.approx(of["test"], rel=5e-3)


def test_the_interval_is_that_of_valid_with_its_subjects(
    videos: Dataset, frozen_backbone: str, tmp_path: Path
) -> None:
    # Nine subjects, so that there is an interval of 90 %.
    people = np.array([int(name.removeprefix("subject-")) for name in videos.column("subject")])
    dataset = videos.with_splits(np.where(people < 9, "valid", "train"))
    changes = [*SMALL_CLIPS, frozen_backbone, "clips.per_video=3"]
    run = load_run(fit(load_recipe("ldl", changes), dataset, tmp_path / "run", threads=1))
    model = open_model(run.folder)
    assert model.info.clips is not None
    found = predict_recordings(model, model.info.clips, dataset, "valid")
    scores = dataset.severity[found.starts].astype(float)
    entry = calibrate(scores, found.heads["severity"], found.subjects)
    kept = run.info.heads["severity"].conformal
    assert (kept.subjects, kept.split, kept.coverage) == (9, "valid", 0.9)
    # Frozen features are kept as float16.
    assert kept.half_width == pytest.approx(entry["half_width"], abs=0.05)


def test_metrics_and_calibration_see_the_rows_that_have_labels(affect_dataset: Path) -> None:
    dataset = Dataset.open(affect_dataset)
    units = open_units(load_recipe("multi-task"), dataset)
    assert isinstance(units, Faces)
    rows = units.rows["valid"]
    generator = torch.Generator().manual_seed(0)
    outputs = Outputs(
        torch.zeros(len(rows), 4),
        {
            "expression": torch.randn(len(rows), 6, generator=generator),
            "valence_arousal": torch.randn(len(rows), 2, generator=generator),
        },
    )
    infos = {
        "expression": ExpressionInfo(label_space=dataset.label_space),
        "valence_arousal": ValenceArousalInfo(),
    }
    measured = validations(units, infos, outputs)
    named = units.targets["valid"]["expression"] >= 0
    rated = ~np.isnan(units.targets["valid"]["valence_arousal"][:, 0])
    assert 0 < named.sum() < len(rows) and 0 < rated.sum() < len(rows)
    assert len(measured["expression"].targets["expression"]) == named.sum()
    assert len(measured["valence_arousal"].subjects) == rated.sum()
    values = validation_metrics(measured)
    classes = units.targets["valid"]["expression"][named]
    guesses = outputs.heads["expression"][named].argmax(1).numpy()
    assert values["accuracy"] == (guesses == classes).mean()
    temperature = calibrated(infos, measured)["expression"].calibration.temperature
    logits = outputs.heads["expression"].double().numpy()[named]
    assert temperature == pytest.approx(temperature_scale(logits, classes), rel=1e-6)
    # A head without a labeled row is neither measured nor calibrated.
    bare = units.targets["valid"].values | {
        "valence_arousal": np.full((len(rows), 2), np.nan, np.float32)
    }
    units.targets["valid"] = type(units.targets["valid"])(bare, {})
    measured = validations(units, infos, outputs)
    assert list(measured) == ["expression"]
    assert calibrated(infos, measured)["valence_arousal"] == infos["valence_arousal"]


def test_clips_are_calibrated_as_they_are_pooled() -> None:
    """Two clips of each of 20 recordings, of which every fifth has no label."""
    rng = np.random.default_rng(0)
    classes = np.where(np.arange(20) % 5 == 4, -1, np.arange(20) % 3)
    logits = rng.normal(size=(40, 3)) * 3 + 2 * np.eye(3)[np.repeat(classes, 2)]
    targets = Targets({"expression": classes}, {})
    units = SimpleNamespace(
        targets={"valid": targets},
        subjects={"valid": np.full(20, "")},
        pool=lambda values: values.reshape(20, 2, -1).mean(1),
    )
    infos = {"expression": ExpressionInfo(label_space=label_space_of(["a", "b", "c"]))}
    outputs = Outputs(torch.zeros(40, 4), {"expression": torch.from_numpy(logits)})
    measured = validations(units, infos, outputs)
    known = classes >= 0
    probabilities = torch.softmax(torch.from_numpy(logits), 1).numpy()
    np.testing.assert_allclose(
        measured["expression"].predictions["expression"], units.pool(probabilities)[known]
    )
    temperature = calibrated(infos, measured)["expression"].calibration.temperature
    expected = temperature_scale(
        logits, classes[known], pool=lambda values: units.pool(values)[known]
    )
    assert temperature == expected
    assert temperature != pytest.approx(
        temperature_scale(units.pool(logits)[known], classes[known]), rel=0.02
    )


def test_outputs_of_batches_are_joined_in_their_order() -> None:
    parts = [
        Outputs(torch.full((2, 3), float(n)), {"expression": torch.full((2, 1), float(n))})
        for n in range(3)
    ]
    joined = join_outputs(parts)
    assert joined.embedding[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert joined.heads["expression"][:, 0].tolist() == [0, 0, 1, 1, 2, 2]
