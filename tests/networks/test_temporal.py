"""What each way of pooling over time makes of a clip's frames."""

import pytest
import torch

from mien.networks.temporal import create_temporal

CHANNELS = 8


def temporal(kind: str, hidden_size: int = 12) -> torch.nn.Module:
    torch.manual_seed(0)
    module, width = create_temporal(kind, CHANNELS, hidden_size)
    with torch.inference_mode():
        assert module(torch.randn(2, 3, CHANNELS)).shape == (2, width)
    assert width == (CHANNELS if kind == "mean" else hidden_size)
    return module.eval()


@pytest.mark.parametrize("kind", ["gru", "convolution", "mean"])
def test_only_the_mean_does_not_see_the_order_of_frames(kind: str) -> None:
    module = temporal(kind)
    frames = torch.randn(2, 6, CHANNELS)
    with torch.inference_mode():
        forward, backward = module(frames), module(frames.flip(1))
    assert torch.allclose(forward, backward, atol=1e-5) == (kind == "mean")


def test_the_convolution_takes_an_odd_width() -> None:
    module, width = create_temporal("convolution", CHANNELS, 7)
    assert module(torch.randn(2, 3, CHANNELS)).shape == (2, width) == (2, 6)


def signs(*rows: bool) -> torch.Tensor:
    """Frames of plus and minus 1, which the norm in front of the layers leaves as they are.

    Each row says whether the first half of its channels is plus, the second half minus.
    """
    half = torch.cat([torch.ones(CHANNELS // 2), -torch.ones(CHANNELS // 2)])
    return torch.stack([half if plus else -half for plus in rows])[None]


def test_the_convolution_gives_the_mean_and_the_largest_value_over_time() -> None:
    module = temporal("convolution", hidden_size=2 * CHANNELS)
    # Convolutions that hand each channel on as it is; what is below 0 they cut off.
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv1d):
            torch.nn.init.dirac_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    with torch.inference_mode():
        seen = module(signs(True, True, False, True)).reshape(2, 2, CHANNELS // 2)
    # The first half of the channels is 1, 1, 0, 1 over time, the second 0, 0, 1, 0.
    expected = torch.tensor([[3 / 4, 1 / 4], [1, 1]])
    torch.testing.assert_close(
        seen, expected[..., None].expand(-1, -1, CHANNELS // 2), atol=1e-4, rtol=0
    )


def test_the_convolution_sees_one_frame_to_each_side_twice() -> None:
    module = temporal("convolution")
    frames = torch.randn(1, 9, CHANNELS)
    with torch.inference_mode():
        rows = module.layers(module.norm(frames).transpose(1, 2))
        frames[:, 4] *= -1
        other = module.layers(module.norm(frames).transpose(1, 2))
    changed = (rows - other).abs().amax((0, 1)) > 1e-6
    assert changed.tolist() == [2 <= place <= 6 for place in range(9)]


def test_the_recurrent_unit_gives_the_last_state_of_normed_frames() -> None:
    module = temporal("gru")
    frames = torch.randn(2, 5, CHANNELS) * 3 + 1
    with torch.inference_mode():
        mean = frames.mean(2, keepdim=True)
        normed = (frames - mean) / frames.var(2, keepdim=True, correction=0).add(1e-5).sqrt()
        last = module.gru(normed)[1][0]
        torch.testing.assert_close(module(frames), last)


def test_the_mean_is_the_mean_of_the_frames() -> None:
    module, _ = create_temporal("mean", 2, 12)
    assert module(torch.tensor([[[1.0, 8], [2, 0], [6, 1]]])).tolist() == [[3, 3]]
