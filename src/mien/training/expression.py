"""Training on faces: their rows, batches and validation, and the graph of a graph head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.networks.network import Outputs, build_network
from mien.training.batch import Batch
from mien.training.batches import Crops, EpochBatches, loader
from mien.training.features import FrozenFeatures, cached_features
from mien.training.head import graph_of
from mien.training.recipe import Recipe
from mien.training.rows import training_rows
from mien.training.task import Task
from mien.training.validation import calibrate, validation_metrics

_VALIDATION_BATCH = 128


def expression_task(
    recipe: Recipe,
    dataset: Dataset,
    features: Path,
    on_features: Callable[[str, int, int], None] | None = None,
) -> Task:
    """What :func:`mien.training.fit.fit` needs to train a recipe on faces.

    The maps of a frozen backbone lie in the folder ``features``, or are computed into it.
    """
    targets = make_targets(dataset, recipe.target)
    rows = training_rows(recipe, dataset, targets)
    labels = targets.labels[rows["train"]]
    graph = None
    if recipe.head.kind == "graph":
        affect = targets.valence_arousal[rows["train"]]
        graph = graph_of(recipe.head, dataset.label_space, labels, affect)
    batches = EpochBatches(recipe, rows["train"], labels)
    torch.manual_seed(recipe.seed)
    architecture = recipe.architecture(len(dataset.label_space), graph)
    network = build_network(
        architecture,
        weights=recipe.backbone.weights,
        node_vectors=None if graph is None else graph.vectors,
    )
    source: dict[str, torch.utils.data.Dataset[Batch]]
    if recipe.backbone.frozen:
        found = cached_features(network, dataset, recipe, rows, features, on_view=on_features)
        source = {
            split: FrozenFeatures(
                found[split], rows[split], targets, seed=recipe.seed, training=split == "train"
            )
            for split in rows
        }
    else:
        source = {
            split: Crops(dataset, targets, recipe, training=split == "train") for split in rows
        }
    chunks = np.array_split(rows["valid"], max(1, -(-len(rows["valid"]) // _VALIDATION_BATCH)))
    valid = targets.of(rows["valid"])

    def kept(outputs: Outputs) -> dict[str, Any]:
        return {"calibration": calibrate(valid, outputs)}

    return Task(
        network=network,
        architecture=architecture,
        train=loader(source["train"], batches),
        valid=loader(source["valid"], [(0, chunk) for chunk in chunks]),
        plain=loader(Crops(dataset, targets, recipe, training=False), batches),
        steps=len(batches),
        counts=np.bincount(labels[labels >= 0], minlength=len(dataset.label_space)).tolist(),
        labels=torch.from_numpy(valid.labels),
        metrics=lambda outputs: validation_metrics(valid, outputs),
        kept=kept,
        described={} if graph is None else {"graph": graph.described()},
    )
