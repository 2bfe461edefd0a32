"""Losses and miners of pytorch-metric-learning by name, as modules on (embeddings, labels)."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import MienError

# Abstract classes, wrappers of other losses, and what reads anything but one label per row.
NOT_NAMED = {
    "losses": {
        "BaseLossWrapper",
        "BaseMetricLossFunction",
        "CrossBatchMemory",
        "EmbeddingRegularizerMixin",
        "GenericPairLoss",
        "ManifoldLoss",
        "MultipleLosses",
        "SelfSupervisedLoss",
        "VICRegLoss",
        "WeightRegularizerMixin",
    },
    "miners": {"BaseMiner", "EmbeddingsAlreadyPackagedAsTriplets"},
}


def pytorch_metric_learning_loss(
    name: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    miner: str | None = None,
    miner_arguments: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A loss of pytorch-metric-learning, with a miner in front of it when one is named.

    Parameters
    ----------
    name, miner
        Class names, e.g. ``"SupConLoss"`` and ``"MultiSimilarityMiner"``.
    arguments, miner_arguments
        What their constructors take by keyword.

    Returns
    -------
    nn.Module
        A module on embeddings ``(B, D)`` and labels ``(B,)`` that returns a scalar. With a third
        argument, the number of anchors, only so many of the first rows are compared with all.

    Raises
    ------
    MienError
        pytorch-metric-learning is missing, a name or an argument is unknown.
    """
    loss = _build("losses", "loss", name, arguments or {})
    if miner is None:
        if miner_arguments:
            raise MienError(f"expected a miner for the arguments {dict(miner_arguments)}, got none")
        return _Mined(loss, None)
    return _Mined(loss, _build("miners", "miner", miner, miner_arguments or {}))


def external_names(module: str) -> tuple[str, ...]:
    """What can be named of ``"losses"`` or ``"miners"``, sorted."""
    return tuple(
        sorted(
            name
            for name, value in vars(_module(module)).items()
            if isinstance(value, type) and issubclass(value, nn.Module)
            if name not in NOT_NAMED[module]
        )
    )


def _module(module: str) -> Any:
    try:
        from pytorch_metric_learning import losses, miners
    except ImportError as error:
        raise MienError(
            "expected pytorch-metric-learning, got no such package: pip install 'mien[train]'"
        ) from error
    return {"losses": losses, "miners": miners}[module]


def _build(module: str, kind: str, name: str, arguments: Mapping[str, Any]) -> nn.Module:
    names = external_names(module)
    if name not in names:
        close = get_close_matches(name, names, n=5, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(names)}"
        raise MienError(f"expected a {kind} of pytorch-metric-learning, got {name!r}; {hint}")
    try:
        built: nn.Module = getattr(_module(module), name)(**arguments)
    except (TypeError, ValueError, KeyError, AssertionError) as error:
        raise MienError(
            f"expected arguments that {name} takes, got {dict(arguments)}: {error}"
        ) from error
    return built


class _Mined(nn.Module):
    def __init__(self, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, embeddings: Tensor, labels: Tensor, anchors: int | None = None) -> Tensor:
        result: Tensor
        if anchors is None:
            pairs = None if self.miner is None else self.miner(embeddings, labels)
            result = self.loss(embeddings, labels, pairs)
            return result
        # As the library's own memory does: pairs of the anchors with all rows but themselves.
        from pytorch_metric_learning.utils import loss_and_miner_utils as pairing

        rows, of_rows = embeddings[:anchors], labels[:anchors]
        if self.miner is None:
            pairs = pairing.get_all_pairs_indices(of_rows, labels)
        else:
            pairs = self.miner(rows, of_rows, embeddings, labels)
        places = torch.arange(anchors, device=labels.device)
        pairs = pairing.remove_self_comparisons(pairs, places, len(labels))
        result = self.loss(rows, of_rows, pairs, embeddings, labels)
        return result


def takes_memory(name: str) -> bool:
    """Whether a loss of pytorch-metric-learning compares a batch with rows of earlier ones."""
    memory = vars(_module("losses"))["CrossBatchMemory"]
    return name in memory.supported_losses()
