"""What a training is made of: network, batches, and what its heads say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mien.data.dataset import Dataset
from mien.data.targets import Targets
from mien.errors import MienError
from mien.heads import HEADS, HeadInfo, Labels
from mien.models import ClipsInfo
from mien.networks.network import Network, create_network
from mien.training.batches.units import Loaders, OnView, Units, open_units
from mien.training.graph import EmotionGraphData, graph_of
from mien.training.losses import LossContext
from mien.training.ranks import ONE, Ranks
from mien.training.recipe.recipe import Recipe


class Setup(NamedTuple):
    """Made from a recipe and a dataset by :func:`set_up`.

    ``architecture`` rebuilds the network. ``infos`` are what the heads say of themselves before
    training. ``described`` goes into ``model.json`` as it is.
    """

    network: Network
    architecture: dict[str, Any]
    infos: dict[str, HeadInfo]
    units: Units
    loaders: Loaders
    context: LossContext
    described: dict[str, Any]


def set_up(
    recipe: Recipe,
    dataset: Dataset,
    features: Path,
    on_view: OnView | None = None,
    *,
    ranks: Ranks = ONE,
    workers: int = 0,
) -> Setup:
    """Everything that a training needs but the training itself.

    ``dataset`` reads crops as the recipe does. The maps of a frozen backbone lie in the folder
    ``features``, or are computed into it. ``workers`` are processes that read batches. Raises
    :class:`~mien.errors.MienError` where recipe and dataset do not fit.
    """
    _check_joined(recipe, dataset)
    labels = Labels(dataset.label_space, dataset.scale, dataset.license_terms, str(dataset.folder))
    infos = {
        name: HEADS[name].describe(settings, labels) for name, settings in recipe.heads.items()
    }
    for loss in recipe.losses:
        loss.check_heads(infos)
    units = open_units(recipe, dataset)
    graph = _graph(recipe, dataset, units)
    torch.manual_seed(recipe.seed)
    architecture = recipe.architecture(
        infos,
        dataset.preprocessing.size,
        None if graph is None or recipe.graph is None else graph.architecture(recipe.graph),
    )
    network = create_network(
        **architecture,
        weights=recipe.backbone.weights,
        node_vectors=None if graph is None else graph.vectors,
    )
    if "expression" in infos and (
        shares := class_shares(units.targets["train"], len(dataset.label_space))
    ):
        infos["expression"] = infos["expression"].model_copy(update={"shares": shares})
    expressions = units.targets["train"]["expression"]
    classes = len(dataset.label_space)
    context = LossContext(
        classes=classes,
        width=network.embedding.size,
        slices=network.embedding.slices,
        counts=tuple(np.bincount(expressions[expressions >= 0], minlength=classes).tolist()),
        levels=0 if dataset.scale is None else dataset.scale.levels,
    )
    return Setup(
        network=network,
        architecture=architecture,
        infos=infos,
        units=units,
        loaders=units.loaders(network, features, on_view, ranks=ranks, workers=workers),
        context=context,
        described={
            "clips": _clips(recipe, dataset),
            **({} if graph is None else {"graph": graph.described()}),
            **units.described(),
        },
    )


def class_shares(targets: Targets, classes: int) -> tuple[float, ...]:
    """The classes' shares of targets, of distributions where there are any; empty without rows."""
    if "expression_distribution" in targets.values:
        counts = targets["expression_distribution"].sum(0, dtype=np.float64)
    else:
        counts = np.bincount(
            targets["expression"][targets.labeled("expression")], minlength=classes
        )
    return tuple((counts / counts.sum()).round(6).tolist()) if counts.sum() else ()


def _check_joined(recipe: Recipe, dataset: Dataset) -> None:
    """Recordings are read from one dataset; said first, as several joined have no scale either."""
    if recipe.clips is not None and "parts" in dataset.info:
        raise MienError(
            f"expected one dataset for the recipe {recipe.name}, got several joined: their "
            "recordings and people may share names; prepare them as one corpus"
        )


def _graph(recipe: Recipe, dataset: Dataset, units: Units) -> EmotionGraphData | None:
    if recipe.graph is None:
        return None
    targets = units.targets["train"]
    return graph_of(
        recipe.graph, dataset.label_space, targets["expression"], targets["valence_arousal"]
    )


def _clips(recipe: Recipe, dataset: Dataset) -> dict[str, Any] | None:
    """How clips are cut, as the model will say it."""
    if recipe.clips is None:
        return None
    info = ClipsInfo(
        **recipe.clips.model_dump(),
        fps=frames_per_second(dataset),
        aggregate=recipe.temporal.aggregate,
    )
    return info.model_dump(mode="json")


def frames_per_second(dataset: Dataset) -> float | None:
    """Rows per second of the median recording; None where frames have no times."""
    times, names = dataset.column("time"), dataset.column("video")
    steps = np.diff(np.asarray(times, np.float64))[names[1:] == names[:-1]]
    steps = steps[np.isfinite(steps) & (steps > 0)]
    return round(float(1 / np.median(steps)), 3) if steps.size else None
