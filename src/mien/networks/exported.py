"""The backbone inside an exported model: its tensors, back under the names of the network.

``mien export`` keeps the names of tensors, but not every tensor: batch norms may be folded into the
convolutions before them, and with int8 a weight is small integers times a scale per channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from mien.errors import MienError
from mien.networks.mobilefacenet import MobileFaceNet

_PREFIX = "network.backbone."  # in the graph, which is that of a `PredictionNetwork`


def read_onnx(path: str | Path) -> onnx.ModelProto:
    """The graph in a file; raises :class:`MienError` where there is none."""
    try:
        return onnx.load(str(path))
    except (OSError, ValueError, DecodeError, onnx.checker.ValidationError) as error:
        raise MienError(f"expected an ONNX model, got {path}: {error}") from None


def has_folded_norms(model: onnx.ModelProto) -> bool:
    """Whether batch norms of the backbone were folded into convolutions."""
    return any(bias not in ("", f"{layer}.bias") for layer, bias in _convolutions(model))


def backbone_state(model: onnx.ModelProto, backbone: nn.Module, source: str) -> dict[str, Tensor]:
    """The state with which ``backbone`` computes what the one in ``model`` does.

    ``backbone`` is of the same architecture. A norm that was folded away becomes the identity with
    the folded bias, so the tensors are not those of the training, but the function is. Raises
    :class:`MienError`, which names ``source``, where a tensor is missing or of another shape.
    """
    tensors = _stored(model)
    layers, norms = dict(backbone.named_modules()), _norms_behind(backbone, model)
    for layer, bias in _convolutions(model):
        name, norm = norms.get(layer, ("", None))
        # A norm whose statistics are there was not folded, so the bias is the convolution's own.
        if (
            norm is None
            or not norm.affine
            or f"{name}.running_var" in tensors
            or bias not in tensors
        ):
            continue
        folded = tensors.pop(bias)
        tensors |= {f"{name}.{key}": value for key, value in _shift(norm, folded).items()}
        if layers[layer].bias is not None:
            tensors[f"{layer}.bias"] = torch.zeros_like(folded)
    wanted = backbone.state_dict()
    # How many batches a norm has seen is not exported, and matters to none with a momentum.
    counters = {key: wanted[key] for key in wanted if key.endswith("num_batches_tracked")}
    state = tensors | counters
    if isinstance(backbone, MobileFaceNet):
        state = backbone.fitted_state(state)
    wrong = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
    if wrong:
        raise MienError(
            f"expected every tensor of the backbone in {source}, got {len(wrong)} missing or of "
            f"another shape (first: {wrong[0]}); start from its run's model.safetensors instead"
        )
    return {key: state[key] for key in wanted}


def _stored(model: onnx.ModelProto) -> dict[str, Tensor]:
    """The backbone's tensors as they are in the file, int8 ones unpacked as onnxruntime does it."""
    tensors = {
        tensor.name.removeprefix(_PREFIX): torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
        for tensor in model.graph.initializer
        if tensor.name.startswith(_PREFIX)
    }
    for name in [name for name in tensors if name.endswith(".int8")]:
        weight = name.removesuffix(".int8")
        tensors[weight] = tensors.pop(name).float() * tensors.pop(f"{weight}.scale")
    return tensors


def _convolutions(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    """The backbone's convolutions and the names of their biases, if any, without the prefix."""
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1].startswith(_PREFIX):
            bias = node.input[2].removeprefix(_PREFIX) if len(node.input) > 2 else ""
            yield node.input[1].removeprefix(_PREFIX).removesuffix(".weight"), bias


@torch.no_grad()
def _norms_behind(
    backbone: nn.Module, model: onnx.ModelProto
) -> dict[str, tuple[str, nn.BatchNorm2d]]:
    """Of each convolution whose output a batch norm reads, that norm, found by a pass of zeros."""
    names = {layer: name for name, layer in backbone.named_modules()}
    made: list[tuple[str, Tensor]] = []  # alive, so that no two outputs share an identity
    norms: dict[str, tuple[str, nn.BatchNorm2d]] = {}

    def see(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            made.append((names[layer], output))
        elif isinstance(layer, nn.BatchNorm2d):
            norms.update({name: (names[layer], layer) for name, it in made if it is inputs[0]})

    hooks = [layer.register_forward_hook(see) for layer in names]
    training = backbone.training
    shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    backbone.eval()(torch.zeros(1, *shape[1:]))
    backbone.train(training)
    for hook in hooks:
        hook.remove()
    return norms


def _shift(norm: nn.BatchNorm2d, bias: Tensor) -> dict[str, Tensor]:
    """The state of a batch norm that only adds ``bias``."""
    return {
        "weight": torch.full_like(bias, math.sqrt(1 + norm.eps)),
        "bias": bias,
        "running_mean": torch.zeros_like(bias),
        "running_var": torch.ones_like(bias),
    }
