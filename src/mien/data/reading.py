"""A dataset's crops as a model reads them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.schema import Preprocessing, UInt8Array
from mien.terminal import progress_bar

Rows = NDArray[np.int64]
ChangeCrops = Callable[[UInt8Array], UInt8Array]
"""From whole crops ``(N, S, S, 3)`` to as many others."""


@dataclass(frozen=True)
class CropsOf:
    """Some rows' crops, read one by one when a picture is wanted."""

    dataset: Dataset
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> UInt8Array:
        return self.dataset.crops[self.rows[index]]


def crop_reader(
    wanted: Preprocessing,
    dataset: Dataset,
    rows: Rows,
    model: str | Path,
    *,
    change: ChangeCrops | None = None,
) -> tuple[Callable[[Rows], UInt8Array], list[str]]:
    """How rows become crops as the model reads them, and what to warn of for ``rows``.

    The model normalizes their pixels itself. ``change`` acts on the whole crops as they are stored,
    before colors are taken away and partial images are composed. Raises :class:`MienError` for a
    dataset whose crops were cut differently; ``model`` names the model in it.
    """
    stored, warnings = dataset.preprocessing, []
    to_gray = wanted.color == "gray" and stored.color != "gray"
    # Colors can be taken away after the cut.
    cut = wanted.model_copy(update={"color": stored.color}) if to_gray else wanted
    if not stored.cuts_like(cut):
        raise MienError(
            f"expected crops as the model reads them ({wanted.hash}), got a dataset with others: "
            f"{stored.differences(cut)}; prepare it again with --like {shlex.quote(str(model))}"
        )
    view = dataset.with_preprocessing(cut)
    if to_gray:
        warnings.append(
            "The dataset's crops are in color and the model reads gray ones: they were "
            "converted; crops that were prepared in gray can differ by one gray level"
        )
    if fixed := view.fixed_boxes(rows):
        warnings.append(
            f"{fixed:,} of {len(rows):,} faces had no landmarks: their regions are fixed fractions "
            "of the crop. mien prepare --landmarks looks for them in tight crops"
        )

    def read(picked: Rows) -> UInt8Array:
        crops = dataset.crops[picked]
        if change is not None:
            crops = change(crops)
        # Gray before composed, as prediction does it: resizing clips, and then the order matters.
        return view.crops.composed(to_grayscale(crops) if to_gray else crops, picked)

    return read, warnings


def with_progress(starts: range) -> Iterator[int]:
    """The numbers, with a bar on a terminal while they are worked through."""
    with progress_bar("evaluate", len(starts)) as show:
        for done, start in enumerate(starts, 1):
            yield start
            show(done)


def to_grayscale(crops: UInt8Array) -> UInt8Array:
    """The luma of crops ``(N, S, S, 3)``, three times."""
    from mien.faces.align import fixed_crop

    gray = Preprocessing(size=crops.shape[1], color="gray")
    return np.stack([fixed_crop(crop, gray)[0] for crop in crops])
