"""Backbones that read a clip at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mien.errors import MienError

VIDEO_BACKBONES = ("c3d", "small-3d", "r3d_18", "r2plus1d_18")
"""Backbones that read a clip at once; any other name is timm's and reads it frame by frame."""


class _C3D(nn.Module):
    """C3D (Tran et al., ICCV 2015) up to its fifth block, averaged; ``(B, 3, T, S, S)`` in.

    The two layers of 4,096 units behind it are left out: here the embedding stands in their
    place, and frames need not be 112 pixels wide (ours). Norms make it train from random weights.
    """

    def __init__(self, widths: tuple[int, ...] = (64, 128, 256, 512, 512)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for number, width in enumerate(widths):
            for _ in range(1 if number < 2 else 2):
                layers += [
                    nn.Conv3d(before, width, 3, padding=1, bias=False),
                    nn.BatchNorm3d(width),
                    nn.ReLU(inplace=True),
                ]
                before = width
            if number < len(widths) - 1:
                step = (1, 2, 2) if number == 0 else 2
                layers.append(nn.MaxPool3d(step, step, ceil_mode=True))
        self.layers = nn.Sequential(*layers)
        self.width = before

    def forward(self, clips: Tensor) -> Tensor:
        """``(B, 3, T, S, S)`` -> ``(B, width)``."""
        features: Tensor = self.layers(clips)
        return features.mean((2, 3, 4))


class _Small3D(nn.Module):
    """A 3-D network for processors without a GPU: strides before width, about 0.3 M weights."""

    width = 128

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width, step in ((3, 16, (1, 2, 2)), (16, 32, 2), (32, 64, 2), (64, 128, 2)):
            layers += [
                nn.Conv3d(before, width, 3, stride=step, padding=1, bias=False),
                nn.BatchNorm3d(width),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, clips: Tensor) -> Tensor:
        """``(B, 3, T, S, S)`` -> ``(B, 128)``."""
        features: Tensor = self.layers(clips)
        return features.mean((2, 3, 4))


def create_video_backbone(
    name: str, *, weights: str | None = None, arguments: Mapping[str, Any] | None = None
) -> tuple[nn.Module, int]:
    """A backbone of :data:`VIDEO_BACKBONES` and the width of its rows.

    Called on clips ``(B, 3, T, S, S)`` it returns ``(B, width)``. There are no start weights for
    these: ``weights`` other than None is a :class:`MienError`.
    """
    if weights is not None:
        raise MienError(
            f"expected no backbone.weights for {name}, got {weights!r}: start weights are read "
            "for backbones of timm, which see a clip frame by frame"
        )
    arguments = arguments or {}
    if name == "c3d":
        try:
            c3d = _C3D(**arguments)
        except TypeError:
            raise MienError(
                "expected backbone.arguments of c3d to be widths, five numbers of channels, got "
                f"{dict(arguments)}; correct them in the recipe"
            ) from None
        return c3d, c3d.width
    if arguments:
        raise MienError(f"expected no backbone.arguments for {name}, got {dict(arguments)}")
    if name == "small-3d":
        return _Small3D(), _Small3D.width
    import torchvision

    network: nn.Module = getattr(torchvision.models.video, name)(weights=None)
    network.fc = nn.Identity()
    return network, 512
