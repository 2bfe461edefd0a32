"""Training on clips of recordings: their rows, batches, validation and what a run keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data.augment import augment
from mien.data.clips import (
    Videos,
    clip_rows,
    even_clips,
    random_offsets,
    stratified_batches,
    videos_of,
)
from mien.data.dataset import Dataset
from mien.metrics.aggregation import aggregate_clips
from mien.metrics.regression import (
    concordance,
    correlation,
    mean_absolute_error,
    moments,
    root_mean_squared_error,
)
from mien.networks.clips import ClipNetwork, build_clip_network
from mien.networks.network import Outputs
from mien.scales import RESEARCH_ONLY, Scale
from mien.schema import MienError
from mien.statistics.conformal import calibrate
from mien.statistics.recordings import Recordings
from mien.training.batch import Batch
from mien.training.batches import images_for_network, loader
from mien.training.features import cached_frames
from mien.training.recipe import Recipe, Severity
from mien.training.task import Task

_CLIPS_AT_ONCE = 16


class ClipBatches:
    """A batch sampler that yields (epoch, numbers of recordings, their clips' rows)."""

    def __init__(self, recipe: Recipe, videos: Videos) -> None:
        self.recipe, self.videos = recipe, videos
        self.clips = (recipe.severity or Severity()).clips
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch, also when resuming."""
        self.epoch = epoch

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        return stratified_batches(
            self.videos.scores,
            self.recipe.sampler.batch_size,
            seed=self.recipe.seed,
            epoch=epoch,
            passes=self.clips.per_video,
        )

    def __len__(self) -> int:
        return len(self._batches(0))

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        epoch = self.epoch
        for number, chosen in enumerate(self._batches(epoch)):
            generator = np.random.default_rng((self.recipe.seed, epoch, number, 1))
            counts = self.videos.counts[chosen]
            offsets = random_offsets(counts, self.clips, generator)
            yield (
                epoch,
                chosen,
                clip_rows(self.videos.starts[chosen], counts, offsets, self.clips),
            )


class ClipCrops(torch.utils.data.Dataset[Batch]):
    """Clips as augmented, normalized batches; a clip's frames are all changed alike."""

    def __init__(self, dataset: Dataset, videos: Videos, recipe: Recipe, *, training: bool) -> None:
        self.dataset, self.videos, self.recipe = dataset, videos, recipe
        self.training = training

    def __getitem__(self, index: tuple[int, NDArray[np.int64], NDArray[np.int64]]) -> Batch:
        epoch, chosen, rows = index
        crops = self.dataset.crops[rows.ravel()]
        if self.training:
            same = np.repeat(chosen, rows.shape[1])
            crops = augment(
                crops, same, self.recipe.augmentation, seed=self.recipe.seed, epoch=epoch
            )
        images = images_for_network(crops, self.dataset.preprocessing)
        return _batch(images.reshape(*rows.shape, *images.shape[1:]), self.videos.scores[chosen])


class ClipFeatures(torch.utils.data.Dataset[Batch]):
    """Clips as the rows that a frozen backbone gave of their frames.

    In training a clip is read in the view that (seed, epoch, recording) draw, else in the plain
    one.
    """

    def __init__(
        self,
        views: list[NDArray[np.float16]],
        videos: Videos,
        *,
        seed: int,
        training: bool,
    ) -> None:
        self.views, self.videos = views, videos
        self.seed, self.training = seed, training

    def __getitem__(self, index: tuple[int, NDArray[np.int64], NDArray[np.int64]]) -> Batch:
        epoch, chosen, rows = index
        drawn = np.zeros(len(self.videos), np.int64)
        if self.training:
            generator = np.random.default_rng((self.seed, epoch, 2))
            drawn = generator.integers(len(self.views), size=len(self.videos))
        frames = np.stack(
            [self.views[drawn[video]][own] for video, own in zip(chosen, rows, strict=True)]
        )
        return _batch(torch.from_numpy(frames).float(), self.videos.scores[chosen])


def _batch(inputs: Tensor, scores: NDArray[np.float32]) -> Batch:
    count = len(scores)
    return Batch(
        inputs,
        torch.full((count,), -1),
        torch.zeros(count, 1),
        torch.full((count, 2), torch.nan),
        torch.from_numpy(np.asarray(scores, np.float32)),
    )


def severity_task(
    recipe: Recipe,
    dataset: Dataset,
    features: Path,
    on_features: Callable[[str, int, int], None] | None = None,
) -> Task:
    """What :func:`mien.training.fit.fit` needs to train a recipe with ``severity``.

    Raises :class:`MienError` for a dataset without scores or recordings, and where the recipe does
    not fit its scale.
    """
    scale, severity = dataset.scale, recipe.severity or Severity()
    if "parts" in dataset.info:
        raise MienError(
            f"expected one dataset for the recipe {recipe.name}, got several joined: their "
            "recordings and people may share names; prepare them as one corpus"
        )
    if scale is None:
        raise MienError(
            f"expected a dataset with scores for the recipe {recipe.name}, got {dataset.folder} "
            "without; prepare a video corpus, or make one with mien synth --videos"
        )
    _check_scale(recipe, scale)
    found = {split: videos_of(dataset, split) for split in ("train", "valid")}
    videos = {split: _scored(dataset, split, own) for split, own in found.items()}
    torch.manual_seed(recipe.seed)
    architecture = recipe.clip_architecture(scale.top)
    network = build_clip_network(architecture, weights=recipe.backbone.weights)
    batches = ClipBatches(recipe, videos["train"])
    rows, owners = even_clips(videos["valid"], severity.clips)
    source: dict[str, ClipCrops | ClipFeatures]
    if recipe.backbone.frozen:
        views = cached_frames(network, dataset, recipe, features, on_view=on_features)
        source = {
            split: ClipFeatures(views, own, seed=recipe.seed, training=split == "train")
            for split, own in videos.items()
        }
    else:
        source = {
            split: ClipCrops(dataset, own, recipe, training=split == "train")
            for split, own in videos.items()
        }
    chunks = np.array_split(np.arange(len(rows)), max(1, -(-len(rows) // _CLIPS_AT_ONCE)))

    def judged(outputs: Outputs) -> Recordings:
        return _recordings(videos["valid"], outputs, owners, scale, severity)

    def metrics(outputs: Outputs) -> dict[str, float]:
        answers = judged(outputs)
        said, truth = np.asarray(answers.predictions, float), np.asarray(answers.scores, float)
        if not np.isfinite(said).all():
            raise FloatingPointError("the severity of a recording of valid became NaN")
        of_both = moments(said, truth)
        return {
            "mae": float(mean_absolute_error(said, truth)),
            "rmse": float(root_mean_squared_error(said, truth)),
            # A constant has no correlation; in the log it counts as none.
            "pcc": float(np.nan_to_num(correlation(of_both))),
            "ccc": float(np.nan_to_num(concordance(of_both))),
        }

    def kept(outputs: Outputs) -> dict[str, Any]:
        return {"conformal": calibrate(judged(outputs))}

    return Task(
        network=network,
        architecture=architecture,
        train=loader(source["train"], batches),
        valid=loader(source["valid"], [(0, owners[chunk], rows[chunk]) for chunk in chunks]),
        plain=loader(ClipCrops(dataset, videos["train"], recipe, training=False), batches),
        steps=len(batches),
        counts=(),
        labels=torch.full((len(rows),), -1),
        metrics=metrics,
        kept=kept,
        described={
            "task": "severity",
            "scale": scale.model_dump(mode="json"),
            "clips": {
                **severity.clips.model_dump(),
                "rate": frame_rate(dataset),
                "aggregate": severity.aggregate,
            },
            "recordings": {
                split: {"used": len(own), "without_score": len(found[split]) - len(own)}
                for split, own in videos.items()
            },
            "use": f"{RESEARCH_ONLY} Trained on: {dataset.license_terms}",
        },
    )


def frame_rate(dataset: Dataset) -> float | None:
    """Rows a second of the median recording; None where frames have no times."""
    times, names = dataset.column("time"), dataset.column("video")
    steps = np.diff(np.asarray(times, np.float64))[names[1:] == names[:-1]]
    steps = steps[np.isfinite(steps) & (steps > 0)]
    return round(float(1 / np.median(steps)), 3) if steps.size else None


def _scored(dataset: Dataset, split: str, videos: Videos) -> Videos:
    scored = videos.of(~np.isnan(videos.scores))
    if len(scored) < 2:
        raise MienError(
            f"expected two or more recordings with a score in the split {split} of "
            f"{dataset.folder}, got {len(scored)} of {len(videos)}; prepare it again with more"
        )
    return scored


def _check_scale(recipe: Recipe, scale: Scale) -> None:
    for term in recipe.losses:
        edges = getattr(term, "edges", None)
        if edges is not None and edges[-1] <= scale.top:
            raise MienError(
                f"expected edges of {term.term} that end beyond the scale {scale.name} (0 to "
                f"{scale.top}), got {edges[-1]:g}; set the last one to {scale.top + 1}"
            )


def _recordings(
    videos: Videos,
    outputs: Outputs,
    owners: NDArray[np.int64],
    scale: Scale,
    severity: Severity,
) -> Recordings:
    """What the outputs of clips say of their recordings; scores are cut to the scale."""
    if outputs.severity is None:
        raise ValueError("expected outputs with a severity")
    said = outputs.severity.clamp(0, scale.top).double().numpy()
    rows = outputs.embedding.double().numpy()
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    means = np.stack([rows[owners == number].mean(0) for number in range(len(videos))])
    return Recordings(
        videos=videos.names,
        subjects=videos.subjects,
        scores=videos.scores.astype(np.float64),
        predictions=aggregate_clips(said, owners, len(videos), severity.aggregate),
        embeddings=means,
    )


@torch.inference_mode()
def predict_recordings(
    network: ClipNetwork,
    dataset: Dataset,
    split: str,
    severity: Severity,
    scale: Scale,
    *,
    features: NDArray[np.float16] | None = None,
) -> Recordings:
    """What a network says of the recordings of a split, those without a score included.

    ``dataset`` reads crops as the network does. Memory does not grow with the recordings.
    ``features`` ``(N, C)`` are a frozen backbone's rows of all frames, if they are at hand.
    """
    videos = videos_of(dataset, split)
    rows, owners = even_clips(videos, severity.clips)
    parts = []
    for start in range(0, len(rows), _CLIPS_AT_ONCE):
        own = rows[start : start + _CLIPS_AT_ONCE]
        if features is not None:
            parts.append(network.forward_head(torch.from_numpy(features[own]).float()))
        else:
            images = images_for_network(dataset.crops[own.ravel()], dataset.preprocessing)
            parts.append(network(images.reshape(*own.shape, *images.shape[1:])))
    joined = Outputs(
        torch.cat([part.embedding for part in parts]),
        torch.cat([part.logits for part in parts]),
        severity=torch.cat([part.severity for part in parts if part.severity is not None]),
    )
    found = _recordings(videos, joined, owners, scale, severity)
    tasks = _tasks(dataset, videos)
    return found if tasks is None else Recordings(**{**vars(found), "tasks": tasks})


def _tasks(dataset: Dataset, videos: Videos) -> NDArray[Any] | None:
    """What was done in each recording, where the corpus says it."""
    if "task" not in dataset.faces.column_names:
        return None
    return np.array([name or "" for name in dataset.column("task")], str)[videos.starts]
