"""A frozen backbone's maps, computed once: each face as it is, and in a few augmented views.

They lie on disk as float16, memory-mapped, one file a view, in a folder whose name changes with
everything that decides their values: backbone and weights, preprocessing, augmentation, dataset,
rows. Another training with the same ones finds them there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.data.augment import Augmentation
from mien.data.dataset import Dataset
from mien.data.targets import Targets
from mien.files import flush_to_disk, replacing
from mien.networks.clips import ClipNetwork
from mien.networks.network import Network
from mien.schema import MienError
from mien.training.batch import Batch
from mien.training.batches import network_input
from mien.training.recipe import Recipe

_AT_ONCE = 32


class FrozenFeatures(torch.utils.data.Dataset[Batch]):
    """Rows of a dataset as batches of maps; indexed by (epoch, rows) as :class:`Crops` is.

    In training, the view of a row is drawn from (seed, epoch, row); otherwise it is the plain one.
    """

    def __init__(
        self,
        views: list[NDArray[np.float16]],
        known: NDArray[np.int64],
        targets: Targets,
        *,
        seed: int,
        training: bool,
    ) -> None:
        self.views, self.known, self.targets = views, known, targets
        self.seed, self.training = seed, training
        self._draw: tuple[int, NDArray[np.int64]] | None = None  # of the epoch at hand

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        """The view of every known row in an epoch: it does not depend on a row's batch."""
        if self._draw is None or self._draw[0] != epoch:
            drawn = np.zeros(len(self.known), np.int64)
            if self.training and len(self.views) > 1:
                generator = np.random.default_rng((self.seed, epoch))
                drawn = generator.integers(len(self.views), size=len(self.known))
            self._draw = (epoch, drawn)
        return self._draw[1]

    def __getitem__(self, index: tuple[int, NDArray[np.int64]]) -> Batch:
        epoch, rows = index
        places = np.searchsorted(self.known, rows)
        maps = np.empty((len(rows), *self.views[0].shape[1:]), np.float16)
        chosen = self._drawn(epoch)[places]
        for view in np.unique(chosen):
            here = chosen == view
            maps[here] = self.views[view][places[here]]
        return Batch(
            torch.from_numpy(maps).float(),  # four times as fast as numpy widens them
            torch.from_numpy(self.targets.labels[rows]),
            torch.from_numpy(self.targets.distribution[rows]),
            torch.from_numpy(self.targets.valence_arousal[rows]),
        )


def cached_features(
    network: Network,
    dataset: Dataset,
    recipe: Recipe,
    rows: dict[str, NDArray[np.int64]],
    folder: Path,
    *,
    on_view: Callable[[str, int, int], None] | None = None,
) -> dict[str, list[NDArray[np.float16]]]:
    """The maps ``(n, C, H, W)`` of each split's rows: all views of ``train``, else the plain one.

    Read from ``folder`` where they are there, else computed and written, each view whole or not
    at all, so that a killed run goes on with the next view. ``dataset`` reads crops as the
    network does. ``on_view`` hears of each view before it is computed: split, number, how many.
    """
    return _cached(network, dataset, recipe, rows, folder, on_view, alike=None)


def cached_frames(
    network: ClipNetwork,
    dataset: Dataset,
    recipe: Recipe,
    folder: Path,
    *,
    on_view: Callable[[str, int, int], None] | None = None,
) -> list[NDArray[np.float16]]:
    """The rows ``(N, C)`` of all frames of a dataset, one array a view, the plain one first.

    As :func:`cached_features` has maps; in a view, all frames of a recording are augmented alike.
    They are those of all splits, so that folds of a dataset share them.
    """
    names = dataset.column("video")
    first = np.r_[True, names[1:] != names[:-1]]
    rows = {"train": np.arange(len(dataset))}
    alike = np.cumsum(first) - 1
    return _cached(network, dataset, recipe, rows, folder, on_view, alike=alike)["train"]


def _cached(
    network: Network | ClipNetwork,
    dataset: Dataset,
    recipe: Recipe,
    rows: dict[str, NDArray[np.int64]],
    folder: Path,
    on_view: Callable[[str, int, int], None] | None,
    *,
    alike: NDArray[np.int64] | None,
) -> dict[str, list[NDArray[np.float16]]]:
    network.backbone.eval()
    found: dict[str, list[NDArray[np.float16]]] = {}
    for split in rows:
        count = recipe.backbone.views if split == "train" else 1
        frames = alike is not None
        place = folder / _key(network.backbone, dataset, recipe, rows[split], frames=frames)
        found[split] = []
        for number in range(count):
            path = place / f"view-{number}.npy"
            if not path.is_file():
                if on_view:
                    on_view(split, number + 1, count)
                augmentation = recipe.augmentation if number else None
                _write_view(network, dataset, augmentation, number, rows[split], path, alike)
            found[split].append(np.load(path, mmap_mode="r", allow_pickle=False))
    return found


@torch.inference_mode()
def _write_view(
    network: Network | ClipNetwork,
    dataset: Dataset,
    augmentation: Augmentation | None,
    number: int,
    rows: NDArray[np.int64],
    path: Path,
    alike: NDArray[np.int64] | None,
) -> None:
    advice = "make room, or name another folder with --features"
    # Plain writes, because a full disk behind a memory map kills the process.
    with replacing(path, advice=advice) as temporary, temporary.open("wb") as stream:
        for start in range(0, len(rows), _AT_ONCE):
            # Views belong to the data, not to a run's seed: every seed reads the same ones.
            some = rows[start : start + _AT_ONCE]
            images = network_input(
                dataset,
                some,
                augmentation,
                seed=0,
                epoch=number,
                alike=None if alike is None else alike[some],
            )
            maps = network.forward_features(images).numpy()
            with np.errstate(over="ignore"):
                half = np.ascontiguousarray(maps, np.float16)
            if not np.isfinite(half).all():
                raise MienError(
                    "the frozen backbone gives numbers beyond the range of float16; train it "
                    "with backbone.frozen=false"
                )
            if start == 0:
                header = header_data_from_array_1_0(half)
                write_array_header_1_0(stream, header | {"shape": (len(rows), *half.shape[1:])})
            stream.write(half.data)
        flush_to_disk(stream)


def _key(
    backbone: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    rows: NDArray[np.int64],
    *,
    frames: bool,
) -> str:
    settings: dict[str, Any] = {
        "format": 1,
        **({"frames": "averaged, augmented by recording"} if frames else {}),
        "backbone": recipe.backbone.name,
        "arguments": dict(recipe.backbone.arguments),
        "weights": _digest(backbone.state_dict()),
        "dataset": dataset.info.get("checksum") or dataset.info["files"],
        "preprocessing": dataset.preprocessing.model_dump(mode="json"),
        "augmentation": recipe.augmentation.model_dump(mode="json"),
        "rows": hashlib.sha256(rows.tobytes()).hexdigest(),
    }
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()
