"""Every loss of a recipe on a small network, and the batches on which ranks could go wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from external_losses import NEEDED
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from mien.losses.external import external_names
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses import LOSSES, Loss, LossContext, loss_value
from mien.training.losses.centers import CenterLossModule
from mien.training.ranks import whole_batch
from mien.training.ranks.gather import Ranks, _Gather, current_ranks

CLASSES, WIDTH, LEVELS = 4, 8, 64
CONTEXT = LossContext(CLASSES, WIDTH, slices=2, counts=(30, 10, 60, 20), levels=LEVELS)

OURS: dict[str, dict[str, Any]] = {
    "cross-entropy": {"smoothing": 0.1},
    "cross-entropy balanced": {"balanced": True},
    "binary-cross-entropy": {"positive_weight": 2.0},
    "concordance": {},
    "triplet": {},
    "triplet dual": {"dual": True},
    "triplet all": {"mining": "all"},
    "multi-threshold": {},
    "multi-threshold all": {"mining": "all", "dual": False},
    "expression": {},
    "expression center": {"form": "center"},
    "center": {},
    "center dacl": {"update_rule": "dacl"},
    "triplet-center": {},
    "triplet-center fully": {"negatives": "fully-synthesized"},
    "triplet-center semi": {"negatives": "semi-synthesized"},
    "triplet-center prediction": {"negatives": "prediction-based"},
    "triplet-center dacl": {"update_rule": "dacl"},
    "label-distribution": {"expectation": 0.5},
    "score-classification": {},
    "score-regression": {},
    "score-regression l1": {"error": "l1"},
    "score-regression smooth": {"error": "smooth-l1"},
    "histogram": {},
    "label-aware-histogram": {},
    "ordinal-histogram": {},
    "triplet memory": {"memory": 40},
    "triplet all memory": {"memory": 7, "mining": "all"},
    "histogram memory": {"memory": 40},
    "label-aware-histogram memory": {"memory": 40},
    "ordinal-histogram memory": {"memory": 40},
}
"""Settings by a name whose first part is the loss's."""
PML = {
    **{f"pml.{name}": {"arguments": NEEDED.get(name, {})} for name in external_names("losses")},
    **{f"pml.TripletMarginLoss pml.{name}": {"miner": name} for name in external_names("miners")},
    "pml.SupConLoss memory": {"memory": 40},
    "pml.TripletMarginLoss memory": {"memory": 40, "miner": "BatchHardMiner"},
}
SETTINGS = OURS | PML
SOME = [
    *OURS,
    "pml.SupConLoss",
    "pml.SupConLoss memory",
    "pml.TripletMarginLoss memory",
    "pml.ArcFaceLoss",
    "pml.TripletMarginLoss pml.MultiSimilarityMiner",
]
"""Enough for every test run; the others are slow ones."""


def loss_of(name: str) -> Loss:
    kind = name.split()[0]
    return LOSSES[kind.partition(".")[0]](loss=kind, **SETTINGS[name])


def batches(size: int) -> dict[str, Batch]:
    """Whole batches by name; a rank of ``size`` gets every ``size``-th row."""
    rows = 6 * size
    place = torch.arange(rows)
    mixed = torch.randint(CLASSES, (rows,), generator=torch.Generator().manual_seed(1))
    return {
        "even": _batch(mixed, 2),
        "uneven": _batch(mixed[: rows - 1], 3),
        "a rank without a positive pair": _batch(
            torch.where(place % size == 0, place // size % CLASSES, mixed)[: 4 * size], 4
        ),
        "positive pairs on different ranks only": _batch((place // size)[: 4 * size], 5),
        "a rank with one class": _batch(torch.where(place % size == 0, 2, mixed), 6),
        "one class": _batch(torch.full((rows,), 1), 7),
        "a rank without labels": _unlabeled(_batch(mixed, 8), place % size == 0),
        "no labels": _unlabeled(_batch(mixed, 9), place >= 0),
    }


def _batch(labels: Tensor, seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)
    rows = len(labels)
    units = torch.rand(rows, 12, generator=g, dtype=torch.float64).round(decimals=1)
    units[torch.rand(rows, 12, generator=g) < 0.2] = torch.nan
    return Batch(
        torch.randn(rows, 6, generator=g, dtype=torch.float64),
        {
            "expression": labels,
            "expression_distribution": functional.one_hot(labels, CLASSES).double(),
            "valence_arousal": torch.rand(rows, 2, generator=g, dtype=torch.float64) * 2 - 1,
            "action_units": units,
            "severity": torch.randint(LEVELS, (rows,), generator=g).double(),
        },
    )


def _unlabeled(batch: Batch, rows: Tensor) -> Batch:
    targets = {name: target.clone() for name, target in batch.targets.items()}
    for name, target in targets.items():
        target[rows] = torch.nan if target.is_floating_point() else -1
        if name == "expression_distribution":
            target[rows] = 0
    return batch._replace(targets=targets)


class SmallNetwork(nn.Module):
    """A network with every output that a loss may read, and one loss."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, WIDTH))
        sizes = {"expression": CLASSES, "valence_arousal": 2, "action_units": 12, "levels": LEVELS}
        self.heads = nn.ModuleDict({name: nn.Linear(WIDTH, size) for name, size in sizes.items()})
        self.attention = nn.Linear(WIDTH, WIDTH)
        self.settings = loss_of(name)
        self.loss = self.settings.build(CONTEXT)
        self.double()

    def outputs(self, inputs: Tensor) -> Outputs:
        embedding = self.trunk(inputs)
        heads = {name: head(embedding) for name, head in self.heads.items()}
        levels = heads.pop("levels")
        heads["severity_levels"] = levels
        heads["severity"] = (levels.softmax(1) * torch.arange(LEVELS).double()).sum(1)
        return Outputs(embedding, heads, self.attention(embedding).sigmoid())

    def forward(self, batch: Batch) -> Tensor:
        outputs, batch = whole_batch(self.outputs(batch.inputs), batch)
        torch.manual_seed(0)
        value = loss_value(self.settings, self.loss, outputs, batch)
        return outputs.embedding.sum() * 0 if value is None else value


class Step(NamedTuple):
    """A loss, its gradients, and what the loss has learned after its step; or why it is refused."""

    value: Tensor
    gradients: dict[str, Tensor]
    learned: dict[str, Tensor]
    refused: str = ""


def steps(names: list[str]) -> dict[tuple[str, str], Step]:
    """A step of each loss on each batch, by this rank's part of it."""
    ranks = current_ranks()
    return {
        (name, kind): step(name, deal(batch, ranks))
        for kind, batch in batches(max(2, ranks.size)).items()
        for name in names
    }


def deal(batch: Batch, ranks: Ranks) -> Batch:
    rows = torch.from_numpy(ranks.deal(np.arange(len(batch.inputs))).copy())
    return Batch(batch.inputs[rows], {name: t[rows] for name, t in batch.targets.items()})


FAULTS: dict[str, Callable[..., tuple[Tensor | None, ...]]] = {
    "no gradient": lambda ctx, *upstream: (None,) * (2 + len(upstream)),
    "not times the number of ranks": lambda ctx, *upstream: (
        *(None, None),
        *(None if part is None else part[ctx.ranks.rank :: ctx.ranks.size] for part in upstream),
    ),
    "the rows of another rank": lambda ctx, *upstream: (
        *(None, None),
        *(None if part is None else part[1 - ctx.ranks.rank :: 2] * 2 for part in upstream),
    ),
}
"""Wrong gradients of the gathering."""


def faulty_steps() -> dict[tuple[str, str], Step]:
    """A step of the triplet loss on an even batch, by fault."""
    found = {}
    for fault, backward in FAULTS.items():
        with mock.patch.object(_Gather, "backward", staticmethod(backward)):
            found[fault, "even"] = step("triplet", deal(batches(2)["even"], current_ranks()))
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Without what the library's calls into newer versions of torch, numpy and scipy warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@quiet()
def step(name: str, batch: Batch) -> Step:
    network = SmallNetwork(name)
    module: nn.Module = network
    if current_ranks().size > 1:
        module = DistributedDataParallel(network, find_unused_parameters=True)
    try:
        if network.settings.model_dump().get("memory"):
            module(batch).backward()  # fills it
            network.zero_grad()
        value = module(batch)
    except (ValueError, RuntimeError) as error:
        # Losses of the library that want as many rows of each class, or overrun their own buffer.
        if not name.startswith("pml."):
            raise
        return Step(torch.zeros(()), {}, {}, str(error))
    value.backward()
    if isinstance(network.loss, CenterLossModule):
        network.loss.after_step()
    return Step(
        value.detach(),
        {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None},
        {name: value.clone() for name, value in network.loss.state_dict().items()},
    )
