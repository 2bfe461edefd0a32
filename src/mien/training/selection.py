"""On which split the epoch is selected: on valid, and on test only for who insists."""

from __future__ import annotations

import numpy as np

from mien.data.dataset import Dataset
from mien.errors import MienError

WARNING = (
    "The epoch was selected on the test split, so results on it are too good and say nothing of "
    "new faces"
)
"""What a report, the metadata and the card say of such a model."""


def selecting_on(dataset: Dataset, split: str, *, unsafe: bool = False) -> tuple[Dataset, str]:
    """A view whose split valid holds the rows that select the epoch, and the name of their split.

    With ``unsafe`` these are the rows of test, whatever ``split`` says, and the rows of valid
    belong to train. Raises :class:`MienError` for test without it, and for other splits than valid.
    """
    check_selection(split, unsafe=unsafe)
    if not unsafe:
        return dataset, "valid"
    dataset.split_indices("test")  # an error that lists the splits where there is none
    splits = dataset.splits
    moved = np.where(splits == "valid", "train", splits).astype(object)
    moved[splits == "test"] = "valid"
    return dataset.with_splits(moved), "test"


def check_selection(split: str, *, unsafe: bool) -> None:
    """Raise :class:`MienError` for test without ``unsafe``, and for other splits than valid."""
    if split == "test" and not unsafe:
        raise MienError(
            "expected another split than test to select the epoch on, as results on test would be "
            "too good: leave out --select-on, or name --unsafe-select-on-test, which stamps the "
            "model and its reports"
        )
    if split not in ("valid", "test"):
        raise MienError(f"expected the split valid to select the epoch on, got {split!r}")
