from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from mien.networks.backbones import create_backbone, restore_batch_norm
from mien.networks.network import Network, Predictions, build_network
from mien.schema import MienError


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


@pytest.mark.parametrize("embedding", [None, 16])
def test_every_parameter_gets_a_gradient(embedding: int | None) -> None:
    network = build_network({"backbone": "resnet10t", "embedding": embedding, "classes": 5})
    outputs = network(torch.randn(4, 3, 64, 64))
    assert outputs.logits.shape == (4, 5)
    assert outputs.embedding.shape == (4, embedding or 512)
    (outputs.logits.square().sum() + outputs.embedding.square().sum()).backward()
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    assert not missing


def test_exported_outputs_are_probabilities_and_unit_rows() -> None:
    network = build_network({"backbone": "resnet10t", "embedding": 8, "classes": 3})
    assert isinstance(network, Network)
    probabilities, embedding = Predictions(network, 2.0).eval()(torch.randn(4, 3, 48, 48))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(4))
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4))
