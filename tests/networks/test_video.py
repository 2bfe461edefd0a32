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


def signs(channels, *rows):
    """Frames of plus and minus 1, which the norm in front of a temporal head leaves as they are.

    Each row says whether the first half of its channels is plus, the second half minus.
    """
    half = torch.cat([torch.ones(channels // 2), -torch.ones(channels // 2)])
    return torch.stack([half if plus else -half for plus in rows])[None]


def test_the_convolution_gives_the_mean_and_the_largest_value_over_time():
    channels = network().channels
    head = network(temporal="convolution", hidden=2 * channels).temporal
    # Convolutions that hand each channel on as it is; what is below 0 they cut off.
    for layer in head.modules():
        if isinstance(layer, torch.nn.Conv1d):
            torch.nn.init.dirac_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    with torch.inference_mode():
        seen = head(signs(channels, True, True, False, True)).reshape(2, 2, channels // 2)
    # The first half of the channels is 1, 1, 0, 1 over time, the second 0, 0, 1, 0.
    expected = torch.tensor([[3 / 4, 1 / 4], [1, 1]])
    torch.testing.assert_close(
        seen, expected[..., None].expand(-1, -1, channels // 2), atol=1e-4, rtol=0
    )


def test_the_convolution_sees_one_frame_to_each_side_twice():
    net = network(temporal="convolution")
    frames = torch.randn(1, 9, net.channels)
    with torch.inference_mode():
        rows = net.temporal.layers(net.temporal.norm(frames).transpose(1, 2))
        frames[:, 4] *= -1
        other = net.temporal.layers(net.temporal.norm(frames).transpose(1, 2))
    changed = (rows - other).abs().amax((0, 1)) > 1e-6
    assert changed.tolist() == [2 <= place <= 6 for place in range(9)]


def test_the_recurrent_head_gives_the_last_state_of_normed_frames():
    net = network(temporal="gru")
    frames = torch.randn(2, 5, net.channels) * 3 + 1
    with torch.inference_mode():
        mean = frames.mean(2, keepdim=True)
        normed = (frames - mean) / frames.var(2, keepdim=True, correction=0).add(1e-5).sqrt()
        last = net.temporal.gru(normed)[1][0]
        torch.testing.assert_close(net.temporal(frames), last)


def test_the_mean_head_is_the_mean_of_the_frames():
    net = network(temporal="mean")
    seen = net.temporal(torch.tensor([[[1.0, 8], [2, 0], [6, 1]]]))
    assert seen.tolist() == [[3, 3]]


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
