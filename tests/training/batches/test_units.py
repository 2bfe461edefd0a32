"""What a recipe trains on: labeled faces or recordings, and why a dataset cannot teach it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_training import SMALL, SMALL_CLIPS

from mien.data.concat import open_datasets
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.evaluation.models import open_model, predict_recordings
from mien.synthetic.drawn import write_toy_videos
from mien.training.batches.units import Faces, open_units
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.setup import Setup, set_up


def of_clips(*changes: str, name: str = "ldl") -> Recipe:
    return load_recipe(name, ["backbone={name: test_resnet}", *SMALL_CLIPS, *changes])


def setup_of(dataset: Dataset, *changes: str) -> Setup:
    return set_up(of_clips(*changes), dataset, dataset.folder / "features")


def without_scores(dataset: Dataset, names: list[str]) -> Dataset:
    """The dataset opened anew, with the scores of some recordings unknown."""
    opened = Dataset.open(dataset.folder)
    scores = np.where(np.isin(opened.column("video"), names), np.nan, opened.severity)
    # Where a cached property keeps its value.
    vars(opened)["severity"] = scores.astype(np.float32)
    return opened


def test_a_dataset_that_cannot_teach_says_why(
    videos: Dataset, toy_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(MienError, match=r"expected a dataset with scores .*synth --videos"):
        setup_of(Dataset.open(toy_dataset))
    with pytest.raises(MienError, match="end beyond the scale rendered"):
        setup_of(videos, "losses.1={loss: ordinal-histogram, edges: [0, 5, 60]}")
    other = write_toy_videos(tmp_path / "other", videos=10, seed=1)
    with pytest.raises(MienError, match="got several joined"):
        setup_of(open_datasets([videos.folder, other.folder]))
    with pytest.raises(MienError, match=r"two or more .* split valid .* got 1 of 2"):
        setup_of(without_scores(other, ["video-006"]))


def test_labels_that_change_within_a_recording_are_refused(videos: Dataset) -> None:
    changes = ["heads={expression: {}}", "losses=[{loss: cross-entropy}]", "select=null"]
    dataset = Dataset.open(videos.folder)
    labels = np.where(dataset.column("frame") % 2, "neutral", "anger").astype(object)

    class Labeled(Dataset):
        def column(self, name: str) -> Any:
            return labels if name == "label" else super().column(name)

    changing = Labeled(**{key: getattr(dataset, key) for key in Dataset.__dataclass_fields__})
    with pytest.raises(MienError, match="one target of the head expression for each recording"):
        open_units(of_clips(*changes), changing)


def test_recordings_without_a_score_are_counted_and_only_predicted(tmp_path: Path) -> None:
    dataset = write_toy_videos(tmp_path / "videos", videos=20)
    dataset = without_scores(dataset, ["video-000", "video-006", "video-008"])
    setup = setup_of(dataset)
    assert setup.described["recordings"] == {
        "train": {"used": 11, "unlabeled": 1},
        "valid": {"used": 3, "unlabeled": 1},
    }
    for batch in setup.loaders.train:
        assert not batch.targets["severity"].isnan().any()
    model = open_model(fit(of_clips("schedule.epochs=1"), dataset, tmp_path / "run", threads=1))
    assert model.info.clips is not None
    found = predict_recordings(model, model.info.clips, dataset, "test")
    assert "video-008" in found.names and len(found.names) == 4
    assert np.isfinite(found.heads["severity"]).all()


def test_a_face_is_used_where_a_loss_has_a_label_for_it(affect_dataset: Path) -> None:
    dataset = Dataset.open(affect_dataset)
    either = open_units(load_recipe("multi-task", SMALL), dataset)
    labels = load_recipe("multi-task", [*SMALL, "heads={expression: {}}", "losses.1.loss=triplet"])
    classes = open_units(labels, dataset)
    assert isinstance(either, Faces) and isinstance(classes, Faces)
    named = np.array([label is not None for label in dataset.column("label")])
    rated = ~np.isnan(dataset.valence_arousal[:, 0])
    for split in ("train", "valid"):
        rows = dataset.splits == split
        assert either.rows[split].tolist() == np.flatnonzero(rows & (named | rated)).tolist()
        assert classes.rows[split].tolist() == np.flatnonzero(rows & named).tolist()
        assert len(classes.rows[split]) < len(either.rows[split])
        assert either.targets[split].labeled("valence_arousal").sum() == (rows & rated).sum()


def test_recordings_are_pooled_column_by_column_as_the_recipe_says(videos: Dataset) -> None:
    units = open_units(of_clips("temporal.aggregate=median", "clips.per_video=5"), videos)
    owners = units.owners
    generator = np.random.default_rng(0)
    values = generator.normal(size=(len(owners), 3)) ** 3
    pooled = units.pool(values)
    count = len(units.videos["valid"])
    assert pooled.shape == (count, 3)
    for number in range(count):
        np.testing.assert_allclose(pooled[number], np.median(values[owners == number], axis=0))
    np.testing.assert_allclose(units.pool(values[:, 1]), pooled[:, 1])
    np.testing.assert_array_equal(units.batch_rows(np.arange(count)), owners)


def test_batches_of_valid_are_the_units_in_order(videos: Dataset, tmp_path: Path) -> None:
    setup = set_up(of_clips("clips.per_video=4"), videos, tmp_path)
    seen = torch.cat([batch.targets["severity"] for batch in setup.loaders.valid]).numpy()
    scores = setup.units.targets["valid"]["severity"]
    np.testing.assert_array_equal(seen, setup.units.batch_rows(scores))
    np.testing.assert_allclose(setup.units.pool(seen), scores)
