"""Datasets in PyTorch's own data loader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.data.torch_view import TorchDataset
from mien.errors import MienError
from mien.faces.tensors import to_tensor


def test_items_are_normalized_images_and_known_targets(affect_dataset: Path) -> None:
    dataset = Dataset.open(affect_dataset)
    view = TorchDataset(dataset, split="valid")
    rows = dataset.split_indices("valid")
    assert len(view) == len(rows)
    image, targets = view[3]
    expected = to_tensor(dataset.crops[rows], dataset.preprocessing)
    assert torch.equal(image, torch.from_numpy(expected[3]))
    assert (image.shape, image.dtype) == ((3, 32, 32), torch.float32)
    names = {"expression", "expression_distribution", "valence_arousal", "action_units"}
    assert set(targets) == names
    labels = make_targets(dataset, "majority")["expression"][rows]
    assert [int(view[index][1]["expression"]) for index in range(len(rows))] == labels.tolist()
    shapes = {name: tuple(value.shape) for name, value in targets.items()}
    assert shapes == {
        "expression": (),
        "expression_distribution": (6,),
        "valence_arousal": (2,),
        "action_units": (12,),
    }


def test_all_rows_and_only_the_targets_that_a_dataset_has(toy_dataset: Path) -> None:
    dataset = Dataset.open(toy_dataset)
    view = TorchDataset(dataset)
    assert len(view) == len(dataset)
    assert set(view[0][1]) == {"expression", "expression_distribution"}
    with pytest.raises(MienError, match="got 'dev'"):
        TorchDataset(dataset, split="dev")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_worker_processes_give_the_same_batches(affect_dataset: Path) -> None:
    view = TorchDataset(Dataset.open(affect_dataset), split="test")
    alone, shared = (
        list(DataLoader(view, batch_size=16, num_workers=workers)) for workers in (0, 1)
    )
    assert len(alone) == len(shared) > 1
    for (images, targets), (others, other_targets) in zip(alone, shared, strict=True):
        assert torch.equal(images, others)
        for name, values in targets.items():
            np.testing.assert_array_equal(values, other_targets[name])


def test_datasets_without_it_need_no_torch() -> None:
    modules = "mien.data.concat, mien.data.clips, mien.data.targets, mien.preparation.prepare"
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
