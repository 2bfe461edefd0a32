"""Networks of clips: their backbones, and what stands above them."""

from typing import Any

import pytest
import torch

from mien.errors import MienError
from mien.networks.network import Network, create_network
from mien.networks.video import VIDEO_BACKBONES, create_video_backbone

LEVELS = {"top": 24, "kind": "levels", "temperature": 1.0}


def network(*, backbone: str = "test_resnet", head: dict[str, Any] | None = None, **changes: Any):
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "temporal": {"kind": "gru", "hidden_size": 12},
        "embedding": 10,
        "heads": {"severity": LEVELS | (head or {})},
    }
    return create_network(backbone, **settings | changes).eval()


@pytest.mark.parametrize("name", ["small-3d", "c3d", "r3d_18", "r2plus1d_18", "test_resnet"])
def test_every_backbone_reads_clips(name: str) -> None:
    changes = {"arguments": {"widths": (4, 4, 8, 8, 8)}} if name == "c3d" else {}
    with torch.inference_mode():
        seen = network(backbone=name, **changes)(torch.randn(2, 4, 3, 32, 32))
    assert seen.embedding.shape == (2, 10) and seen.heads["severity_levels"].shape == (2, 25)
    severity = seen.heads["severity"]
    assert severity.shape == (2,) and ((severity >= 0) & (severity <= 24)).all()
    assert set(VIDEO_BACKBONES) >= {name} or name == "test_resnet"


@pytest.mark.parametrize("name", ["small-3d", "test_resnet"])
def test_any_head_reads_clips(name: str) -> None:
    heads = {"expression": {"classes": 4}, "valence_arousal": {}}
    with torch.inference_mode():
        seen = network(backbone=name, heads=heads)(torch.randn(2, 4, 3, 32, 32))
    shapes = {key: tuple(rows.shape) for key, rows in seen.heads.items()}
    assert shapes == {"expression": (2, 4), "valence_arousal": (2, 2)}


@pytest.mark.parametrize("name", ["small-3d", "r3d_18"])
def test_a_3d_network_sees_the_order_of_frames(name: str) -> None:
    net, clips = network(backbone=name), torch.randn(2, 8, 3, 32, 32)
    with torch.inference_mode():
        forward, backward = net(clips).embedding, net(clips.flip(1)).embedding
    assert not torch.allclose(forward, backward, atol=1e-4)


def test_frames_one_by_one_are_what_clips_are() -> None:
    net = network()
    clips = torch.randn(2, 4, 3, 32, 32)
    with torch.inference_mode():
        rows = net.forward_features(clips.flatten(0, 1)).reshape(2, 4, -1)
        kept, read = net.forward_head(rows), net(clips)
    torch.testing.assert_close(kept.heads["severity"], read.heads["severity"])
    torch.testing.assert_close(kept.embedding, read.embedding)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_a_frame_is_pooled_as_an_image_is(pooling: str) -> None:
    net: Network = network(pooling=pooling)
    images = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        features = net.backbone(images)
        rows = net.forward_features(images)
    pooled = features.mean((2, 3)) if pooling == "average" else features.amax((2, 3))
    torch.testing.assert_close(rows, pooled)


def test_start_weights_are_not_for_3d_backbones() -> None:
    with pytest.raises(MienError, match=r"no backbone\.weights for small-3d"):
        create_video_backbone("small-3d", weights="fer")
    with pytest.raises(MienError, match=r"no backbone\.weights for small-3d"):
        network(backbone="small-3d", weights="fer")


def test_arguments_that_a_backbone_does_not_take_are_named() -> None:
    with pytest.raises(MienError, match=r"of c3d to be widths.*'depth': 3"):
        network(backbone="c3d", arguments={"depth": 3})
    with pytest.raises(MienError, match=r"no backbone\.arguments for r3d_18"):
        network(backbone="r3d_18", arguments={"depth": 3})
