"""MobileFaceNet as a backbone that timm knows, so that recipes name it like any other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn import functional

__all__: list[str] = []  # register_model adds the name

_STRIDE = 16

# Width within the block, channels, repeats and first stride, as in Table 1 of the paper. Its second
# layer is depthwise only; here a pointwise one follows, as in the network of the start weights.
_STAGES = ((128, 64, 1, 2), (128, 64, 4, 1), (256, 128, 1, 2), (256, 128, 6, 1), (512, 128, 1, 2))
_LAST_STAGE = (256, 128, 2, 1)


class MobileFaceNet(nn.Module):
    """The network of Chen et al. (CCBR 2018) up to its global depthwise convolution.

    Images ``(B, 3, S, S)`` become maps ``(B, 512, S/16, S/16)``, rounded up. The paper replaces
    average pooling with a depthwise convolution as large as the map, because places in an aligned
    face are not worth the same. Here the map is multiplied by the weights of that convolution,
    ``place_weights`` ``(512, h, w)``, and averaged by whoever reads it, which gives the same
    numbers, batch norm included, and leaves a map to look at. They are made for images of
    ``img_size`` and interpolated for others. With ``places`` False there are none.

    Convolutions of stride 2 pad right and bottom only where the side is even, as TensorFlow does,
    in which the start weights were trained.
    """

    output_fmt = "NCHW"

    def __init__(self, *, img_size: int = 112, places: bool = True) -> None:
        super().__init__()
        self.num_features = self.head_hidden_size = 512
        self.stem = _Layer(3, 64, kernel=3, stride=2)
        self.stem_depthwise = _Layer(64, 64, kernel=3, groups=64)
        self.stem_project = _Layer(64, 64, act=False)
        blocks: list[nn.Module] = []
        channels = 64
        for width, out, repeats, stride in (*_STAGES, _LAST_STAGE):
            for _ in range(repeats):
                blocks.append(_Block(channels, width, out, stride))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.last = _Layer(channels, 512)
        side = math.ceil(img_size / _STRIDE)
        self.place_weights = nn.Parameter(torch.ones(512, side, side)) if places else None
        self.place_norm = nn.BatchNorm2d(512) if places else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, S, S)`` -> ``(B, 512, h, w)``."""
        features: Tensor = self.stem_project(self.stem_depthwise(self.stem(images)))
        features = self.last(self.blocks(features))
        if self.place_weights is None:
            return features
        places = _resized(self.place_weights, features.shape[2:])
        weighted: Tensor = self.place_norm(features * places)
        return weighted

    def fitted_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``state`` of the same network for images of another size.

        Place weights are interpolated to this network's map, or left out where it has none.
        """
        if self.place_weights is None:
            return {key: value for key, value in state.items() if not key.startswith("place_")}
        weights = state.get("place_weights")
        if weights is None or weights.ndim != 3:
            return dict(state)
        return {**state, "place_weights": _resized(weights, self.place_weights.shape[1:])}


def _resized(weights: Tensor, shape: torch.Size) -> Tensor:
    """Place weights ``(C, h, w)`` for a map of another ``shape``."""
    if weights.shape[1:] == shape:
        return weights
    size = (shape[0], shape[1])
    return functional.interpolate(weights[None], size, mode="bilinear", align_corners=False)[0]


class _Layer(nn.Sequential):
    """A convolution, its batch norm and, with ``act``, a PReLU with a slope for each channel."""

    def __init__(
        self,
        channels: int,
        out: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        layers: list[nn.Module] = []
        if stride == 2:
            layers.append(_Pad())
        layers += [
            nn.Conv2d(
                channels,
                out,
                kernel,
                stride,
                padding=0 if stride == 2 else kernel // 2,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out),
        ]
        if act:
            layers.append(ChannelPReLU(out))
        super().__init__(*layers)


class _Pad(nn.Module):
    """The border of a convolution of stride 2, as TensorFlow's ``SAME`` adds it."""

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[2:]
        # An odd side gets a pixel at both ends, an even one at its right or lower end only.
        return functional.pad(features, (width % 2, 1, height % 2, 1))


class ChannelPReLU(nn.PReLU):
    """:class:`torch.nn.PReLU` with a slope for each channel, written for speed on CPUs.

    In training its gradient takes half the time. Otherwise, and so in an exported model, it is
    ``slope * x + (1 - slope) * relu(x)``: onnxruntime adds and multiplies three times as fast as
    its own PRelu runs. The slopes ``weight`` are ``(C, 1, 1)``, so that they keep their name in an
    exported model.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(self.weight.data.reshape(-1, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> the same shape."""
        if self.training and features.device.type == "cpu":
            out: Tensor = _PReLUFunction.apply(features, self.weight)
            return out
        return features * self.weight + functional.relu(features) * (1 - self.weight)


class _PReLUFunction(torch.autograd.Function):
    """As PyTorch's, with the gradient of the slopes as sums along contiguous channels."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, slopes: Tensor) -> Tensor:
        ctx.save_for_backward(features, slopes)
        return functional.prelu(features, slopes.flatten())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        features, slopes = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradient, features, 0.0)
        below = gradient - above
        rows = (below * features).permute(0, 2, 3, 1).reshape(-1, len(slopes))
        return torch.addcmul(above, below, slopes), rows.sum(0).view_as(slopes)


class _Block(nn.Module):
    """An inverted residual bottleneck, added to its input where shapes allow."""

    def __init__(self, channels: int, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.expand = _Layer(channels, width)
        self.depthwise = _Layer(width, width, kernel=3, stride=stride, groups=width)
        self.project = _Layer(width, out, act=False)
        self.residual = stride == 1 and channels == out

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.project(self.depthwise(self.expand(features)))
        return out + features if self.residual else out


default_cfgs = generate_default_cfgs(
    {
        "mobilefacenet": {
            "input_size": (3, 112, 112),
            "mean": (0.5, 0.5, 0.5),
            "std": (127.5 / 255 * 256 / 255,) * 3,
            "fixed_input_size": True,
        }
    }
)


@register_model
def mobilefacenet(pretrained: bool = False, **arguments: Any) -> MobileFaceNet:
    """MobileFaceNet for :func:`timm.create_model`; there are no weights to download."""
    if pretrained:
        raise ValueError("mobilefacenet has no pretrained weights to download")
    for name in (
        "num_classes",
        "global_pool",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "cache_dir",
    ):
        arguments.pop(name, None)
    return MobileFaceNet(**arguments)
