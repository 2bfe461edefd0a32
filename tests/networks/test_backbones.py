from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from mien.errors import MienError
from mien.networks.backbones import (
    create_backbone,
    feature_map,
    feature_width,
    restore_batch_norm,
)


def test_weights_from_a_file_give_the_same_map(tmp_path: Path) -> None:
    source = create_backbone("resnet10t").eval()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    loaded = create_backbone("resnet10t", weights=str(tmp_path / "w.safetensors")).eval()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(source(images), loaded(images))


def test_a_classifier_in_the_file_is_ignored(tmp_path: Path) -> None:
    whole = timm.create_model("resnet10t", num_classes=7)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    create_backbone("resnet10t", weights=str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("missing.safetensors", "existing .onnx or .safetensors"),
        ("w.pth", r"\(fer\) or an existing"),
    ],
)
def test_weights_that_are_no_safetensors_file_are_refused(weights: str, message: str) -> None:
    with pytest.raises(MienError, match=message):
        create_backbone("resnet10t", weights=weights)


def test_weights_of_another_network_and_garbage_are_refused(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "garbage.safetensors").write_bytes(b"not a safetensors file at all")
    with pytest.raises(MienError, match="do not fit the backbone"):
        create_backbone("resnet10t", weights=str(tmp_path / "other.safetensors"))
    with pytest.raises(MienError, match="expected a safetensors file"):
        create_backbone("resnet10t", weights=str(tmp_path / "garbage.safetensors"))


def test_unknown_names_and_arguments_are_refused() -> None:
    with pytest.raises(MienError, match="resnet"):
        create_backbone("resnet10000")
    with pytest.raises(MienError, match=r"backbone\.arguments"):
        create_backbone("resnet10t", arguments={"no_such_argument": 1})


def test_restoring_batch_norm_keeps_the_function_and_sets_the_statistics() -> None:
    torch.manual_seed(0)
    backbone = create_backbone("resnet10t").double().eval()
    for norm in (m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.data.fill_(1.0)
        norm.bias.data.normal_(std=0.1)
    images = 3 * torch.randn(32, 3, 64, 64, dtype=torch.float64)
    before = backbone(images)
    restore_batch_norm(backbone, [images[:16], images[16:]])
    torch.testing.assert_close(backbone(images), before)
    # With the statistics of these very images, training mode computes the same on them.
    backbone.train()
    torch.testing.assert_close(backbone(images), before, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    "name", ["resnet10t", "mobilenetv1_100", "mobilenetv3_small_050", "test_vit", "test_convnext"]
)
def test_every_backbone_gives_a_map_of_the_width_that_it_says(name: str) -> None:
    backbone = create_backbone(name, image_size=64).eval()
    with torch.inference_mode():
        features = feature_map(backbone, torch.randn(2, 3, 64, 64))
    assert features.ndim == 4 and features.shape[:2] == (2, feature_width(backbone))
    assert features.shape[2] == features.shape[3] >= 2


class _Tokens(torch.nn.Module):
    """A class token, a register, and the tokens of a map of 2 x 2, numbered in reading order."""

    num_prefix_tokens = 2

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        numbers = torch.tensor([-1.0, -2.0, 0, 1, 2, 3])
        return torch.stack([numbers, 10 + numbers], 1).expand(len(images), -1, -1)


class _ChannelsLast(torch.nn.Module):
    output_fmt = "NHWC"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.permute(0, 2, 3, 1)


def test_tokens_and_maps_with_channels_last_become_maps() -> None:
    found = feature_map(_Tokens(), torch.zeros(3, 3, 8, 8))
    expected = torch.tensor([[[0.0, 1], [2, 3]], [[10, 11], [12, 13]]])
    assert torch.equal(found, expected.expand(3, -1, -1, -1))
    images = torch.randn(2, 3, 5, 4)
    assert torch.equal(feature_map(_ChannelsLast(), images), images)


def test_what_is_no_map_is_refused() -> None:
    for shape in ((2, 7), (2, 6, 4)):
        backbone = torch.nn.Module()
        backbone.forward = lambda images, shape=shape: torch.zeros(shape)  # type: ignore[assignment]
        with pytest.raises(MienError, match=r"a feature map \(B, C, H, W\) or the tokens"):
            feature_map(backbone, torch.zeros(2, 3, 8, 8))


def test_transformers_of_one_size_are_built_for_the_size_of_the_crops() -> None:
    backbone = create_backbone("test_vit", image_size=48)
    assert feature_map(backbone, torch.zeros(1, 3, 48, 48)).shape[2:] == (3, 3)
    # The recipe's own word stands.
    assert create_backbone("test_vit", image_size=48, arguments={"img_size": 64}) is not None
