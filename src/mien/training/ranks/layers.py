"""Layers that see the whole batch: batch norm and dropout as on one rank."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from timm.layers.norm_act import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from mien.training.ranks.gather import current_ranks, exchange, row_counts

Module = TypeVar("Module", bound=nn.Module)


def over_ranks(network: Module, *, on_cpu: bool) -> Module:
    """The network with layers over all ranks, their weights and statistics as they were.

    Of batch norm, torch has a layer for GPUs, to which timm's conversion leads: torch's drops the
    activations of timm's layers. DDP refuses that layer on CPUs, so there one of ours takes its
    place. Names of weights stay.
    """
    layer: Any
    for layer in network.modules():
        if type(layer) is nn.Dropout:
            layer.__class__ = _Dropout
        elif on_cpu and isinstance(layer, _BatchNorm):
            timms = isinstance(layer, BatchNormAct2d)
            layer.__class__ = _BatchNormWithActivation if timms else _BatchNormOverRanks
    if on_cpu:
        return network
    converted: Module = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return converted


class _Dropout(nn.Dropout):
    """Dropout by this rank's part of the whole batch's mask, which is one rank's on CPUs."""

    def forward(self, inputs: Tensor) -> Tensor:
        ranks = current_ranks()
        if not self.training or ranks.size == 1 or not 0 < self.p < 1:
            return super().forward(inputs)
        rows = sum(row_counts(inputs, ranks))
        mask = inputs.new_empty(rows, *inputs.shape[1:]).bernoulli_(1 - self.p).div_(1 - self.p)
        return inputs * mask[ranks.rank :: ranks.size]


class _BatchNormOverRanks(_BatchNorm):
    """A batch norm that in training reads the statistics of all ranks; for CPUs."""

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or current_ranks().size == 1:
            return super().forward(inputs)
        weight = inputs.new_ones(self.num_features) if self.weight is None else self.weight
        bias = inputs.new_zeros(self.num_features) if self.bias is None else self.bias
        normalized: Tensor
        normalized, mean, variance, count = _Normalize.apply(inputs, weight, bias, self.eps)
        if self.running_mean is not None:
            self._track(mean, variance * count / (count - 1).clamp_min(1))
        return normalized

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None  # where there are running statistics
        assert self.running_mean is not None and self.running_var is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # a cumulative average
            share = 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_(variance.to(self.running_var), share)

    def _check_input_dim(self, inputs: Tensor) -> None:
        """What the layer checked that this one took the place of."""


class _BatchNormWithActivation(_BatchNormOverRanks):
    """Timm's layer, whose activation follows the norm."""

    drop: nn.Module
    act: nn.Module

    def forward(self, inputs: Tensor) -> Tensor:
        activated: Tensor = self.act(self.drop(super().forward(inputs)))
        return activated


class _Normalize(torch.autograd.Function):
    """Normalize by the mean and the variance of the rows of all ranks, by two exchanges in all.

    Gives the normalized inputs, and without gradients mean, variance (divided by n) and n.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        channels = inputs.shape[1]
        places = [axis for axis in range(inputs.ndim) if axis != 1]
        wide = inputs if inputs.dtype == torch.float64 else inputs.float()
        variance, mean = torch.var_mean(wide, places, correction=0)
        local = torch.cat([mean.new_tensor([inputs.numel() // channels]), mean, variance]).double()
        parts = exchange(local, current_ranks())
        counts, means, variances = torch.split(parts, [1, channels, channels], 1)
        count = counts.sum()
        whole = (counts * means).sum(0) / count
        spread = (counts * (variances + (means - whole).square())).sum(0) / count
        mean, variance = whole.to(wide.dtype), spread.to(wide.dtype)
        ctx.save_for_backward(inputs, weight, mean, variance)
        ctx.eps, ctx.count = eps, count.item()
        ctx.mark_non_differentiable(mean, variance, count)
        normalized = functional.batch_norm(inputs, mean, variance, weight, bias, False, 0.0, eps)
        return normalized, mean, variance, count

    @staticmethod
    def backward(
        ctx: Any, upstream: Tensor, *_: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        inputs, weight, mean, variance = ctx.saved_tensors
        # With constant statistics; the part that runs through them is added below.
        gradient, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            *(upstream.contiguous(memory_format=_format(inputs)), inputs, weight, mean, variance),
            *(None, None, False, ctx.eps, [True, True, True]),
        )
        sums = torch.cat([of_weight, of_bias])
        distributed.all_reduce(sums)
        along, level = sums.chunk(2)
        scale = (variance + ctx.eps).rsqrt()
        slope = -weight * scale.square() * along / ctx.count
        shift = -weight * scale * level / ctx.count - slope * mean
        shape = (1, -1, *[1] * (inputs.ndim - 2))
        change = torch.addcmul(shift.view(shape), inputs, slope.view(shape))
        return gradient + change.to(gradient.dtype), of_weight, of_bias, None


def _format(tensor: Tensor) -> torch.memory_format:
    if tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format
