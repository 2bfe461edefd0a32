"""Datasets that train as one: which rows, in whose classes, with whose crops."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from mien.data.concat import ConcatCrops, ConcatDataset, concat_datasets, open_datasets
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing
from mien.synthetic.drawn import AFFECT, write_toy_folder


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Happiness and anger only; the others are deleted before it is prepared."""
    folder = write_toy_folder(tmp_path_factory.mktemp("two") / "faces", faces=60, size=48)
    for path in folder.glob("*/*/*.png"):
        if path.parent.name not in ("happiness", "anger"):
            path.unlink()
    out = folder.parent / "dataset"
    prepare("folder", folder, out, preprocessing=Preprocessing(size=32), tight=True, workers=1)
    return out


def test_one_dataset_stays_as_it_is(toy_dataset: Path) -> None:
    assert not isinstance(open_datasets([toy_dataset]), ConcatDataset)


def test_rows_of_both_follow_each_other(affect_dataset: Path, toy_dataset: Path) -> None:
    first, other = Dataset.open(affect_dataset), Dataset.open(toy_dataset)
    both = open_datasets([affect_dataset, toy_dataset])
    assert len(both) == len(first) + len(other) == both.crops.shape[0]
    assert (both.splits == np.concatenate([first.splits, other.splits])).all()
    assert "valence" in first.column_names and "valence" not in both.column_names
    assert (both.column("id") == np.concatenate([first.column("id"), other.column("id")])).all()
    np.testing.assert_array_equal(both.valence_arousal[: len(first)], first.valence_arousal)
    assert np.isnan(both.valence_arousal[len(first) :]).all()
    np.testing.assert_array_equal(both.action_units[: len(first)], first.action_units)
    assert both.action_units.shape == (len(both), 12)
    rows = np.array([len(first) + 3, 2, len(both) - 1, 2, len(first) - 1])
    expected = [other.crops[3], first.crops[2], other.crops[-1], first.crops[2], first.crops[-1]]
    np.testing.assert_array_equal(both.crops[rows], np.stack(expected))
    np.testing.assert_array_equal(both.crops[len(first)], other.crops[0])
    np.testing.assert_array_equal(both.crops[len(first) - 1 : len(first) + 1][1], other.crops[0])
    assert first.license_terms in both.license_terms and other.license_terms in both.license_terms
    targets = make_targets(both, "majority")
    alone = [make_targets(one, "majority")["expression"] for one in (first, other)]
    assert (targets["expression"] == np.concatenate(alone)).all()


def test_classes_are_the_firsts_and_others_are_counted(
    toy_dataset: Path, two_classes: Path
) -> None:
    both = open_datasets([two_classes, toy_dataset])
    assert both.label_space.names == ("happiness", "anger")
    labels, whole = both.column("label"), Dataset.open(toy_dataset).column("label")
    shared = np.isin(whole.astype(str), both.label_space.names)
    assert [name is not None for name in labels[-len(whole) :]] == shared.tolist()
    counted = both.info["parts"][1]["other_classes"]
    assert sum(counted.values()) == int((~shared).sum())
    assert set(counted) == set(AFFECT) - {"happiness", "anger"}


def test_the_checksum_tells_what_is_joined_and_in_which_order(
    affect_dataset: Path, toy_dataset: Path
) -> None:
    one, two = (
        open_datasets(folders).info["checksum"]
        for folders in ([affect_dataset, toy_dataset], [toy_dataset, affect_dataset])
    )
    assert len({one, two, Dataset.open(toy_dataset).info["checksum"]}) == 3


def test_partial_images_are_read_of_all_parts(affect_dataset: Path, toy_dataset: Path) -> None:
    both = open_datasets([affect_dataset, toy_dataset])
    partial = both.with_preprocessing(
        both.preprocessing.model_copy(update={"partial_image": "stack"})
    )
    part = Dataset.open(toy_dataset).with_preprocessing(partial.preprocessing)
    np.testing.assert_array_equal(partial.crops[len(both) - len(part)], part.crops[0])
    assert partial.fixed_boxes() == len(both)
    assert partial.fixed_boxes(np.array([0, len(both) - 1])) == 2
    again = pickle.loads(pickle.dumps(partial))
    assert isinstance(again, ConcatDataset) and isinstance(again.crops, ConcatCrops)
    np.testing.assert_array_equal(again.crops[len(both) - 1], partial.crops[len(both) - 1])


def test_votes_come_under_one_set_of_names(toy_dataset: Path, affect_dataset: Path) -> None:
    first, other = Dataset.open(toy_dataset), Dataset.open(affect_dataset)
    names = ("anger", "happiness", "unknown")
    votes = np.zeros((len(other), 3), np.int64)
    votes[:2] = [(1, 8, 1), (2, 1, 7)]
    other.__dict__.update(vote_names=names, votes=votes)
    both = concat_datasets([first, other])
    # Joining reads the parts anew; the made-up votes go along by hand.
    both.parts[1].__dict__.update(vote_names=names, votes=votes)
    targets = make_targets(both, "majority")
    assert targets["expression"][len(first)] == both.label_space.index("happiness")
    assert targets["expression"][len(first) + 1] == -1
    assert both.votes is not None and not both.votes[: len(first)].any()


def test_what_does_not_fit_is_a_sentence(
    toy_dataset: Path, toy_folder: Path, tmp_path: Path
) -> None:
    other = Preprocessing(size=24)
    prepare("folder", toy_folder, tmp_path / "small", preprocessing=other, tight=True, workers=1)
    with pytest.raises(MienError, match=r"same crops.*size 32 against 24"):
        open_datasets([toy_dataset, tmp_path / "small"])


def test_other_splits_survive_another_preprocessing_and_pickling(
    affect_dataset: Path, toy_dataset: Path
) -> None:
    both = open_datasets([affect_dataset, toy_dataset])
    names = np.where(np.arange(len(both)) % 2 == 0, "train", "test")
    fold = both.with_splits(names)
    assert fold.splits.tolist() == fold.column("split").tolist() == names.tolist()
    assert fold.faces["split"].to_pylist() == names.tolist()
    stack = both.preprocessing.model_copy(update={"partial_image": "stack"})
    for view in (fold.with_preprocessing(stack), pickle.loads(pickle.dumps(fold))):
        assert isinstance(view, ConcatDataset) and view.splits.tolist() == names.tolist()
    assert both.splits.tolist() != names.tolist()
    assert repr(fold).startswith("ConcatDataset(") and len(repr(fold)) < 250
