"""The network as it is exported: predictions instead of raw outputs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from mien.heads import HeadInfo
from mien.networks.heads import head_predictions
from mien.networks.network import Network


class PredictionNetwork(nn.Module):
    """Images or clips in; calibrated predictions of the heads and a unit embedding out.

    ``names`` are the outputs, in order, of those that :attr:`mien.models.ModelInfo.outputs` lists.
    With ``mirror`` the raw outputs for an input and its mirror image are averaged: a little more
    accurate, since a face's expression has no side, at twice the time.
    """

    def __init__(
        self,
        network: Network,
        heads: Mapping[str, HeadInfo],
        names: tuple[str, ...],
        *,
        mirror: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.infos, self.names, self.mirror = dict(heads), names, mirror

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, S, S)`` or ``(B, T, 3, S, S)`` -> tensors by :attr:`names`."""
        outputs = self.network(inputs)
        embedding, heads, places = outputs.embedding, outputs.heads, outputs.attention_map
        if self.mirror:
            mirrored = self.network(inputs.flip(-1))
            embedding = functional.normalize(embedding, dim=1)
            embedding = embedding + functional.normalize(mirrored.embedding, dim=1)
            heads = {name: (heads[name] + mirrored.heads[name]) / 2 for name in heads}
            places = None if places is None else (places + mirrored.attention_map.flip(2)) / 2
        predictions = head_predictions(heads, self.infos)
        predictions["embedding"] = functional.normalize(embedding, dim=1)
        if places is not None:
            predictions["attention"] = places
        return tuple(predictions[name] for name in self.names)
