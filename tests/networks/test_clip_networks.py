"""Networks on clips."""

import pytest
import torch

from mien.networks.clips import VIDEO_BACKBONES, build_clip_network
from mien.schema import MienError

BASE = {
    "arguments": {},
    "temporal": "gru",
    "hidden": 12,
    "embedding": {"size": 10, "hidden": None},
    "dropout": 0.0,
    "head": "levels",
    "temperature": 1.0,
    "top": 24,
}


def network(**changes):
    torch.manual_seed(0)
    return build_clip_network(BASE | {"backbone": "test_resnet"} | changes).eval()


@pytest.mark.parametrize("name", ["small-3d", "c3d", "r3d_18", "r2plus1d_18", "test_resnet"])
def test_every_backbone_reads_clips(name):
    changes = {"arguments": {"widths": (4, 4, 8, 8, 8)}} if name == "c3d" else {}
    with torch.inference_mode():
        seen = network(backbone=name, **changes)(torch.randn(2, 4, 3, 32, 32))
    assert seen.embedding.shape == (2, 10) and seen.logits.shape == (2, 25)
    assert ((seen.severity >= 0) & (seen.severity <= 24)).all()
    assert set(VIDEO_BACKBONES) >= {name} or name == "test_resnet"


def test_the_severity_is_the_expectation_of_the_levels():
    net = network(temperature=2.0)
    seen = net(torch.randn(3, 4, 3, 32, 32))
    expected = seen.logits.softmax(1) @ torch.arange(25.0)
    torch.testing.assert_close(seen.severity, expected)
    sharper = network(temperature=1.0)
    sharper.load_state_dict(net.state_dict())
    again = sharper(torch.randn(1, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    assert again.logits.shape == (1, 25)


def test_a_score_head_gives_points_and_starts_at_the_middle():
    seen = network(head="score")(torch.zeros(1, 4, 3, 32, 32))
    assert seen.logits.shape == (1, 1)
    torch.testing.assert_close(seen.severity, seen.logits[:, 0] * 24)
    assert 8 < seen.severity.item() < 16


@pytest.mark.parametrize("temporal", ["gru", "convolution", "mean"])
def test_only_the_mean_does_not_see_the_order_of_frames(temporal):
    net = network(temporal=temporal)
    frames = torch.randn(2, 6, net.channels)
    with torch.inference_mode():
        forward = net.forward_head(frames).embedding
        backward = net.forward_head(frames.flip(1)).embedding
    assert torch.allclose(forward, backward, atol=1e-5) == (temporal == "mean")


def test_frames_one_by_one_are_what_clips_are():
    net = network()
    clips = torch.randn(2, 4, 3, 32, 32)
    with torch.inference_mode():
        rows = net.forward_features(clips.flatten(0, 1)).reshape(2, 4, -1)
        torch.testing.assert_close(net.forward_head(rows).severity, net(clips).severity)


def test_start_weights_are_not_for_3d_backbones():
    with pytest.raises(MienError, match=r"no backbone\.weights for small-3d"):
        build_clip_network(BASE | {"backbone": "small-3d"}, weights="fer")


def test_arguments_that_a_backbone_does_not_take_are_named():
    with pytest.raises(MienError, match=r"of c3d to be widths.*'depth': 3"):
        network(backbone="c3d", arguments={"depth": 3})
    with pytest.raises(MienError, match=r"no backbone\.arguments for r3d_18"):
        network(backbone="r3d_18", arguments={"depth": 3})
