"""Layers that see the whole batch, on ranks and on one rank."""

from __future__ import annotations

from typing import NamedTuple

import torch
from rank_cases import quiet
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mien.training.ranks.gather import current_ranks, gather
from mien.training.ranks.layers import over_ranks

NORMS = {
    "vectors": lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh()),
    "maps": lambda: nn.Sequential(nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4), nn.Tanh()),
    "channels last": lambda: nn.Sequential(nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4), nn.Tanh()).to(
        memory_format=torch.channels_last
    ),
    "clips": lambda: nn.Sequential(nn.Conv3d(5, 4, 1), nn.BatchNorm3d(4), nn.Tanh()),
    "with an activation": lambda: nn.Sequential(nn.Conv2d(5, 4, 3), BatchNormAct2d(4)),
    "without weights": lambda: nn.Sequential(nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4, affine=False)),
    "dropout": lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.4)),
    "cumulative": lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, momentum=None)),
}
SHAPES = {"vectors": (5,), "dropout": (5,), "cumulative": (5,), "clips": (5, 3, 4, 4)}
ROWS = 7


class Normed(NamedTuple):
    """What two steps leave behind, and what the network then gives for all rows."""

    loss: Tensor
    gradients: dict[str, Tensor]
    state: dict[str, Tensor]
    evaluated: Tensor


def inputs(kind: str, dtype: torch.dtype) -> Tensor:
    g = torch.Generator().manual_seed(4)
    rows = torch.randn(ROWS, *SHAPES.get(kind, (5, 6, 6)), generator=g, dtype=dtype) * 3 + 2
    return rows.contiguous(memory_format=torch.channels_last) if kind == "channels last" else rows


def normed(dtype: torch.dtype = torch.float64) -> dict[str, Normed]:
    """Every kind of norm in a network, on this rank's part of the rows."""
    return {kind: _normed(kind, dtype) for kind in NORMS}


@quiet()
def _normed(kind: str, dtype: torch.dtype) -> Normed:
    ranks = current_ranks()
    torch.manual_seed(0)
    network: nn.Module = NORMS[kind]().to(dtype)
    module = network
    if ranks.size > 1:
        network = over_ranks(network, on_cpu=True)
        module = DistributedDataParallel(network, broadcast_buffers=False)
    rows = inputs(kind, dtype)
    for _ in range(2):
        network.zero_grad()
        torch.manual_seed(7)
        (outputs,) = gather([module(rows[ranks.rank :: ranks.size]).flatten(1)])
        # Not a mean of rows: products of neighbors.
        loss = (outputs[1:] * outputs[:-1]).sum() + outputs.square().mean()
        loss.backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters()}
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        evaluated = network.eval()(rows)
    return Normed(loss.detach(), gradients, state, evaluated)


def everything(names: list[str]) -> dict[str, dict]:
    """All that the tests look at, so that they need one start of processes."""
    from rank_cases import faulty_steps, steps

    return {"steps": steps(names), "faults": faulty_steps(), "norms": normed()}
