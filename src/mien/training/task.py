"""What a training is made of, whatever it learns: network, batches, and what validation says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import DataLoader

from mien.networks.clips import ClipNetwork
from mien.networks.network import Network, Outputs
from mien.training.batch import Batch


class Task(NamedTuple):
    """Made from a recipe and a dataset by ``expression_task`` or ``severity_task``.

    ``architecture`` rebuilds the network; ``plain`` are training batches that are not augmented;
    ``steps`` are batches an epoch and ``counts`` training rows by class. ``labels`` ``(n,)`` are
    the classes of the validation rows, -1 without one. ``metrics`` and ``kept`` read the outputs
    of the whole split valid: the numbers of an epoch's line, and what ``model.json`` keeps of its
    best epoch. ``described`` goes there too.
    """

    network: Network | ClipNetwork
    architecture: dict[str, Any]
    train: DataLoader[Batch]
    valid: DataLoader[Batch]
    plain: DataLoader[Batch]
    steps: int
    counts: Sequence[int]
    labels: Tensor
    metrics: Callable[[Outputs], dict[str, float]]
    kept: Callable[[Outputs], dict[str, Any]]
    described: dict[str, Any]
