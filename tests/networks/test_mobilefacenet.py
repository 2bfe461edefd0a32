"""MobileFaceNet: its shapes, its gradient, its start weights, and how it is exported."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from mien.errors import MienError
from mien.heads.valence_arousal import ValenceArousalInfo
from mien.networks.backbones import create_backbone, feature_map, feature_width
from mien.networks.exported import backbone_state
from mien.networks.mobilefacenet import ChannelPReLU, MobileFaceNet
from mien.networks.network import create_network
from mien.networks.predictions import PredictionNetwork
from mien.training.export import _to_onnx

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SHARED = Path(__file__).parents[3] / "shared" / "models" / "mobilefacenet.onnx"


@pytest.fixture(scope="module")
def start_weights() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import start_weights

        yield start_weights
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize(("size", "side"), [(112, 7), (80, 5), (72, 5), (48, 3)])
def test_a_map_of_a_sixteenth(size: int, side: int) -> None:
    backbone = create_backbone("mobilefacenet", image_size=size).eval()
    with torch.inference_mode():
        features = feature_map(backbone, torch.zeros(2, 3, size, size))
    assert features.shape == (2, 512, side, side)
    assert feature_width(backbone) == 512


def test_parameters_are_those_of_the_paper() -> None:
    # 0.99 M in the paper with a 128-d layer behind the map: 1.0 M here, with PReLUs, without it.
    count = sum(parameter.numel() for parameter in MobileFaceNet(places=False).parameters())
    assert 0.9e6 < count < 1.1e6


def test_the_gradient_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 6, 5, 5, generator=generator)
    features[0, 0, 0, 0] = 0.0
    upstream = torch.randn(3, 6, 5, 5, generator=generator)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        ours, theirs = ChannelPReLU(6), torch.nn.PReLU(6)
        theirs.weight.data = torch.randn(6, generator=generator)
        ours.weight.data = theirs.weight.data.reshape(-1, 1, 1).clone()
        rows = [
            features.contiguous(memory_format=memory_format).clone().requires_grad_()
            for _ in range(2)
        ]
        for layer, row in zip((ours, theirs), rows, strict=True):
            layer(row).backward(upstream.contiguous(memory_format=memory_format))
        assert torch.allclose(rows[0].grad, rows[1].grad)
        assert torch.allclose(ours.weight.grad.flatten(), theirs.weight.grad, atol=1e-5)


def test_evaluation_gives_what_training_does() -> None:
    layer = ChannelPReLU(4)
    slopes = torch.tensor([-9.0, 0.0, 0.3, 5.0])
    layer.weight.data = slopes.reshape(-1, 1, 1)
    features = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = functional.prelu(features, slopes)
    torch.testing.assert_close(layer.eval()(features), expected)
    torch.testing.assert_close(layer.train()(features), expected)


def test_place_weights_are_a_global_depthwise_convolution() -> None:
    backbone = MobileFaceNet(img_size=32).eval()
    plain = MobileFaceNet(img_size=32, places=False).eval()
    torch.nn.init.normal_(backbone.place_weights)
    plain.load_state_dict(
        {key: value for key, value in backbone.state_dict().items() if "place" not in key}
    )
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        pooled = backbone(images).mean((2, 3))
        kernel = backbone.place_weights[:, None] / 4
        expected = backbone.place_norm(functional.conv2d(plain(images), kernel, groups=512))
    assert torch.allclose(pooled, expected.flatten(1), atol=1e-5)


def test_weights_for_another_size(tmp_path: Path) -> None:
    small = MobileFaceNet(img_size=48)
    torch.nn.init.constant_(small.place_weights, 2.5)
    save_file(small.state_dict(), tmp_path / "small.safetensors")
    larger = create_backbone(
        "mobilefacenet", weights=str(tmp_path / "small.safetensors"), image_size=80
    )
    assert larger.place_weights.shape == (512, 5, 5)
    assert torch.allclose(larger.place_weights, torch.tensor(2.5))
    assert torch.equal(larger.stem[1].weight, small.stem[1].weight)


def test_weights_for_a_network_without_places(tmp_path: Path) -> None:
    save_file(MobileFaceNet().state_dict(), tmp_path / "with.safetensors")
    with pytest.raises(MienError, match="do not fit the backbone"):
        save_file({"stem.1.weight": torch.zeros(1)}, tmp_path / "wrong.safetensors")
        create_backbone("mobilefacenet", weights=str(tmp_path / "wrong.safetensors"))
    backbone = create_backbone(
        "mobilefacenet",
        weights=str(tmp_path / "with.safetensors"),
        arguments={"places": False},
        image_size=48,
    )
    assert "place_weights" not in backbone.state_dict()


def test_there_is_nothing_to_download() -> None:
    with pytest.raises((MienError, ValueError, RuntimeError), match="no pretrained weights"):
        create_backbone("mobilefacenet", weights="hub")


def _tfjs_file(network: MobileFaceNet, folder: Path) -> Path:
    """The layers of a network as the published file has them, wrong sign included."""
    nodes: list[dict[str, str]] = []
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, weight: torch.Tensor, shift: torch.Tensor) -> None:
        depthwise = weight.shape[1] == 1
        op = "FusedDepthwiseConv2dNative" if depthwise else "_FusedConv2D"
        end = "" if depthwise else "/Conv2D"
        order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        nodes.append({"op": op, "name": name + ("" if depthwise else "/BatchNorm/FusedBatchNorm")})
        tensors[f"{name}{end}_weights"] = weight.permute(*order).numpy()
        tensors[f"{name}{end}_bn_offset"] = shift.numpy()

    state = {key: value for key, value in network.state_dict().items() if "place" not in key}
    for key, value in state.items():
        name = key.removesuffix(".weight")
        if value.ndim == 4:
            before, number = name.rsplit(".", 1)
            add(name, value, state[f"{before}.{int(number) + 1}.bias"])
        elif key.endswith(".weight") and f"{name}.bias" not in state:
            nodes.append({"op": "Mul", "name": f"{name}/mul_1"})
            tensors[f"{name}/mul"] = value.flatten().numpy() / -2
    add("Logits", network.place_weights.detach()[:, None] / 49, network.place_norm.bias.detach())
    add("Dropped", torch.zeros(8, 512, 1, 1), torch.zeros(8))
    packed = b"".join(np.ascontiguousarray(each).tobytes() for each in tensors.values())
    (folder / "face.bin").write_bytes(packed)
    weights = [
        {"name": name, "shape": list(each.shape), "dtype": "float32"}
        for name, each in tensors.items()
    ]
    document = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["face.bin"], "weights": weights}],
    }
    (folder / "face.json").write_text(json.dumps(document))
    return folder / "face.json"


def test_start_weights_of_the_published_form(start_weights: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MobileFaceNet(img_size=112).eval()
    for parameter in network.parameters():
        if parameter.ndim != 4:
            torch.nn.init.normal_(parameter)
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(norm.weight)
            norm.running_var.fill_(1 - norm.eps)
    layers = start_weights.tfjs_layers(_tfjs_file(network, tmp_path))
    converted = start_weights.mobilefacenet(layers)
    expected = network.state_dict()
    for key, value in converted.state_dict().items():
        assert torch.allclose(value, expected[key], atol=1e-5), key


@pytest.mark.skipif(not SHARED.is_file(), reason="../shared/models is not there")
def test_start_weights_reproduce_the_file(start_weights: ModuleType, tmp_path: Path) -> None:
    import onnx

    network = start_weights.mobilefacenet(start_weights.onnx_layers(onnx.load(SHARED)))
    assert start_weights.difference(network, str(SHARED), slopes=True) < 1e-4
    network.blocks[3].depthwise[2].weight.data.neg_()
    assert start_weights.difference(network, str(SHARED), slopes=True) > 1e-2


@pytest.mark.slow
def test_an_exported_model_gives_start_weights_for_any_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    info = {"valence_arousal": ValenceArousalInfo()}
    network = create_network("mobilefacenet", heads={"valence_arousal": {}}, image_size=48)
    for layer in network.backbone.modules():
        if isinstance(layer, ChannelPReLU):
            torch.nn.init.normal_(layer.weight)
        elif isinstance(layer, torch.nn.BatchNorm2d):
            # Equal constants would share one name in the file.
            for values in (layer.weight.data, layer.bias.data, layer.running_mean):
                values.normal_()
            layer.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(network.backbone.place_weights)
    model = PredictionNetwork(network, info, ("valence_arousal", "embedding")).eval()
    onnx_model = _to_onnx(model, torch.zeros(2, 3, 48, 48))
    assert "PRelu" not in {node.op_type for node in onnx_model.graph.node}
    for size in (48, 80):
        backbone = create_backbone("mobilefacenet", image_size=size).eval()
        backbone.load_state_dict(backbone_state(onnx_model, backbone, "a test"))
        if size == 80:
            assert backbone.place_weights.shape == (512, 5, 5)
            continue
        images = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            expected = network.backbone.eval()(images)
            torch.testing.assert_close(backbone(images), expected, atol=1e-4, rtol=1e-3)
