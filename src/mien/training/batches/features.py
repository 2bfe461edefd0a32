"""A frozen backbone's maps, computed once: each face as it is, and in a few augmented views.

They lie on disk as float16, memory-mapped, one file per view, in a folder whose name changes with
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
from mien.errors import MienError
from mien.files import flush_to_disk, replacing
from mien.networks.network import Network
from mien.training.batches.batch import Batch
from mien.training.batches.clips import ClipIndex
from mien.training.batches.faces import network_input, target_tensors
from mien.training.recipe.recipe import Recipe

_AT_ONCE = 32


class FaceFeatures(torch.utils.data.Dataset[Batch]):
    """Rows of a dataset as batches of maps.

    Indexed by (epoch, rows), as :class:`~mien.training.batches.faces.FaceCrops` is. ``rows`` are
    those that the maps are of, ascending. In training, the view of a row is drawn from (seed,
    epoch, row); otherwise it is the plain one.
    """

    def __init__(
        self,
        views: list[NDArray[np.float16]],
        rows: NDArray[np.int64],
        targets: Targets,
        *,
        seed: int,
        training: bool,
    ) -> None:
        self.views, self.rows, self.targets = views, rows, targets
        self.seed, self.training = seed, training
        self._draw: tuple[int, NDArray[np.int64]] | None = None  # of the epoch at hand

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        """The view of every row in an epoch: it does not depend on a row's batch."""
        if self._draw is None or self._draw[0] != epoch:
            views = np.zeros(len(self.rows), np.int64)
            if self.training and len(self.views) > 1:
                generator = np.random.default_rng((self.seed, epoch))
                views = generator.integers(len(self.views), size=len(self.rows))
            self._draw = (epoch, views)
        return self._draw[1]

    def __getitem__(self, index: tuple[int, NDArray[np.int64]]) -> Batch:
        epoch, rows = index
        positions = np.searchsorted(self.rows, rows)
        maps = np.empty((len(rows), *self.views[0].shape[1:]), np.float16)
        drawn = self._drawn(epoch)[positions]
        for view in np.unique(drawn):
            members = drawn == view
            maps[members] = self.views[view][positions[members]]
        # Four times as fast as numpy widens them.
        return Batch(torch.from_numpy(maps).float(), target_tensors(self.targets, rows))


class ClipFeatures(torch.utils.data.Dataset[Batch]):
    """Clips as the rows that a frozen backbone gave of their frames.

    Indexed as :class:`~mien.training.batches.clips.ClipCrops` is.

    In training a clip is read in the view that (seed, epoch, recording) draw, else in the plain
    one. ``targets`` are those of the recordings.
    """

    def __init__(
        self,
        views: list[NDArray[np.float16]],
        targets: Targets,
        *,
        seed: int,
        training: bool,
    ) -> None:
        self.views, self.targets = views, targets
        self.seed, self.training = seed, training

    def __getitem__(self, index: ClipIndex) -> Batch:
        epoch, recordings, rows = index
        drawn = np.zeros(len(self.targets), np.int64)
        if self.training:
            generator = np.random.default_rng((self.seed, epoch, 2))
            drawn = generator.integers(len(self.views), size=len(self.targets))
        frames = np.stack(
            [self.views[drawn[video]][clip] for video, clip in zip(recordings, rows, strict=True)]
        )
        return Batch(torch.from_numpy(frames).float(), target_tensors(self.targets, recordings))


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
    at all, so that a killed run resumes at the next view. ``dataset`` reads crops as the
    network does. ``on_view`` hears of each view before it is computed: split, number, how many.
    """
    return _cached(network, dataset, recipe, rows, folder, on_view, alike=None)


def cached_frames(
    network: Network,
    dataset: Dataset,
    recipe: Recipe,
    folder: Path,
    *,
    on_view: Callable[[str, int, int], None] | None = None,
) -> list[NDArray[np.float16]]:
    """The rows ``(N, C)`` of all frames of a dataset, one array per view, the plain one first.

    As :func:`cached_features` has maps; in a view, all frames of a recording are augmented alike.
    They are those of all splits, so that folds of a dataset share them.
    """
    names = dataset.column("video")
    first = np.r_[True, names[1:] != names[:-1]]
    rows = {"train": np.arange(len(dataset))}
    alike = np.cumsum(first) - 1
    return _cached(network, dataset, recipe, rows, folder, on_view, alike=alike)["train"]


def _cached(
    network: Network,
    dataset: Dataset,
    recipe: Recipe,
    rows: dict[str, NDArray[np.int64]],
    folder: Path,
    on_view: Callable[[str, int, int], None] | None,
    *,
    alike: NDArray[np.int64] | None,
) -> dict[str, list[NDArray[np.float16]]]:
    network.backbone.eval()
    features: dict[str, list[NDArray[np.float16]]] = {}
    for split in rows:
        count = 1 + recipe.backbone.augmented_views if split == "train" else 1
        frames = alike is not None
        subfolder = folder / _key(network.backbone, dataset, recipe, rows[split], frames=frames)
        features[split] = []
        for number in range(count):
            path = subfolder / f"view-{number}.npy"
            if not path.is_file():
                if on_view:
                    on_view(split, number + 1, count)
                augmentation = recipe.augmentation if number else None
                _write_view(network, dataset, augmentation, number, rows[split], path, alike)
            features[split].append(np.load(path, mmap_mode="r", allow_pickle=False))
    return features


@torch.inference_mode()
def _write_view(
    network: Network,
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
            chunk = rows[start : start + _AT_ONCE]
            images = network_input(
                dataset,
                chunk,
                augmentation,
                seed=0,
                epoch=number,
                alike=None if alike is None else alike[chunk],
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
        **({"frames": f"{recipe.embedding.pooling}, augmented by recording"} if frames else {}),
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
