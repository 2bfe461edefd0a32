"""A dataset as a PyTorch dataset of images and targets, for training loops of one's own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.faces.tensors import to_tensor


class TorchDataset(torch.utils.data.Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """The rows of a dataset, or of one split, as image tensors and targets.

    An item is an image ``(3, S, S)`` float32, normalized as in training and not augmented, and a
    dict of targets. ``rule`` turns votes into expressions, see
    :func:`mien.data.targets.make_targets`. Works with the worker processes of a
    :class:`torch.utils.data.DataLoader`.

    Targets of a dataset that has them, unknown values included:

    - ``expression``: int64 class of ``dataset.label_space``, -1 where unknown;
    - ``expression_distribution`` ``(C,)`` float32, zero where unknown;
    - ``valence_arousal`` ``(2,)`` float32 in [-1, 1], NaN where unknown;
    - ``action_units`` ``(12,)`` float32 in [0, 1], NaN where not annotated;
    - ``severity``: float32 in points of ``dataset.scale``, NaN where unknown.
    """

    def __init__(
        self, dataset: Dataset, *, split: str | None = None, rule: str = "majority"
    ) -> None:
        rows = np.arange(len(dataset)) if split is None else dataset.split_indices(split)
        targets = make_targets(dataset, rule).take(rows)
        self.dataset, self.rows = dataset, rows
        self.targets = {
            name: torch.from_numpy(values)
            for name, values in targets.values.items()
            if name.startswith("expression") or targets.labeled(name).any()
        }

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        crop = self.dataset.crops[int(self.rows[index])]
        image = torch.from_numpy(to_tensor(crop, self.dataset.preprocessing)[0])
        return image, {name: values[index] for name, values in self.targets.items()}
