"""Networks on clips: frames or whole clips in, an embedding and a severity out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.networks.backbones import create_backbone
from mien.networks.network import Embedding, Outputs, width_of
from mien.schema import MienError

Temporal = Literal["gru", "convolution", "mean"]
VIDEO_BACKBONES = ("c3d", "small-3d", "r3d_18", "r2plus1d_18")
"""Backbones that read a clip at once; any other name is timm's and reads it frame by frame."""


class ClipNetwork(nn.Module):
    """Backbone -> (temporal head) -> embedding -> severity.

    A backbone of :data:`VIDEO_BACKBONES` reads the clip at once. Another one reads each frame,
    its map is averaged, and ``temporal`` makes one row of the frames'. With ``head`` ``levels``
    the embedding gives a logit for each score 0 to ``top``, divided by ``temperature``, and the
    severity is the expectation of their softmax; with ``score`` a linear layer gives it.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        frames: bool,
        channels: int,
        temporal: nn.Module,
        embedding: Embedding,
        top: int,
        head: Literal["levels", "score"] = "levels",
        temperature: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone, self.frames, self.channels = backbone, frames, channels
        self.temporal, self.embedding = temporal, embedding
        self.top, self.head, self.temperature = top, head, temperature
        self.classes = top + 1 if head == "levels" else 1
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(embedding.size, self.classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.constant_(self.classifier.bias, 0.0 if head == "levels" else 0.5)
        self.register_buffer("steps", torch.arange(top + 1.0), persistent=False)

    def forward(self, clips: Tensor) -> Outputs:
        """Clips ``(B, T, 3, S, S)``, frames as :func:`mien.faces.tensors.to_tensor` makes them."""
        if not self.frames:
            return self.forward_head(self.backbone(clips.transpose(1, 2)))
        rows = self.forward_features(clips.flatten(0, 1))
        return self.forward_head(rows.reshape(*clips.shape[:2], -1))

    def forward_features(self, images: Tensor) -> Tensor:
        """Images ``(N, 3, S, S)`` -> the mean of each one's map ``(N, C)``."""
        features: Tensor = self.backbone(images)
        if features.ndim != 4:
            raise MienError(
                "expected a backbone that gives a feature map (B, C, H, W), got shape "
                f"{tuple(features.shape)}; choose a convolutional one"
            )
        return features.mean((2, 3))

    def forward_head(self, features: Tensor) -> Outputs:
        """Everything above the backbone: rows of frames ``(B, T, C)``, or of clips ``(B, C)``.

        ``logits`` are those of the levels ``(B, top + 1)``, or the score as a share of the scale
        ``(B, 1)``; ``severity`` ``(B,)`` is in points, and of ``score`` may leave the scale.
        """
        embedding = self.embedding(self.temporal(features))
        logits = self.classifier(self.dropout(embedding))
        if self.head == "score":
            return Outputs(embedding, logits, severity=logits.squeeze(1) * self.top)
        logits = logits / self.temperature
        return Outputs(embedding, logits, severity=logits.softmax(1) @ self.steps)


class SeverityPredictions(nn.Module):
    """The network as it is exported: clips in; severity, distribution and unit embedding out."""

    def __init__(self, network: ClipNetwork) -> None:
        super().__init__()
        self.network = network

    @property
    def names(self) -> tuple[str, ...]:
        """What :meth:`forward` gives, in order; a head without levels gives no distribution."""
        levels = ("distribution",) if self.network.head == "levels" else ()
        return ("severity", "embedding", *levels)

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """``(B, T, 3, S, S)`` -> severity ``(B,)`` in [0, top], embedding ``(B, D)``, levels."""
        seen = self.network(clips)
        if seen.severity is None:
            raise RuntimeError("expected a network that gives a severity")
        outputs = (
            seen.severity.clamp(0, self.network.top),
            functional.normalize(seen.embedding, dim=1),
        )
        if self.network.head == "levels":
            return (*outputs, seen.logits.softmax(1))
        return outputs


class _Recurrent(nn.Module):
    """A gated recurrent unit over the frames; its last state."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.gru = nn.GRU(channels, hidden, batch_first=True)

    def forward(self, frames: Tensor) -> Tensor:
        """``(B, T, C)`` -> ``(B, hidden)``."""
        states: Tensor = self.gru(self.norm(frames))[0]
        return states[:, -1]


class _Convolution(nn.Module):
    """Two convolutions over time, then the mean and the largest value of each channel."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        half = hidden // 2
        self.layers = nn.Sequential(
            nn.Conv1d(channels, half, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(half, half, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """``(B, T, C)`` -> ``(B, hidden)``."""
        rows: Tensor = self.layers(self.norm(frames).transpose(1, 2))
        return torch.cat([rows.mean(2), rows.amax(2)], 1)


class _Mean(nn.Module):
    """The mean of the frames: the control that sees no order."""

    def forward(self, frames: Tensor) -> Tensor:
        """``(B, T, C)`` -> ``(B, C)``."""
        return frames.mean(1)


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


def build_clip_network(
    architecture: Mapping[str, Any], *, weights: str | None = None
) -> ClipNetwork:
    """A clip network from its architecture, as ``model.json`` stores it under that name.

    ``backbone`` and ``arguments``, ``temporal`` and ``hidden``, ``embedding`` (``size`` and
    ``hidden``), ``dropout``, ``head``, ``temperature`` and ``top``. ``weights`` are the start
    weights of a backbone of timm (see :func:`mien.networks.backbones.create_backbone`).
    """
    name = architecture["backbone"]
    backbone: nn.Module
    temporal: nn.Module = nn.Identity()
    if name in VIDEO_BACKBONES:
        if weights is not None:
            raise MienError(
                f"expected no backbone.weights for {name}, got {weights!r}: start weights are read "
                "for backbones of timm, which see a clip frame by frame"
            )
        backbone, channels = _video_backbone(name, architecture.get("arguments") or {})
        width = channels
    else:
        backbone = create_backbone(name, weights=weights, arguments=architecture.get("arguments"))
        channels = width_of(backbone)
        temporal, width = _temporal(architecture["temporal"], channels, architecture["hidden"])
    return ClipNetwork(
        backbone,
        frames=name not in VIDEO_BACKBONES,
        channels=channels,
        temporal=temporal,
        embedding=Embedding(width, **architecture["embedding"]),
        top=architecture["top"],
        head=architecture["head"],
        temperature=architecture["temperature"],
        dropout=architecture["dropout"],
    )


def _temporal(kind: Temporal, channels: int, hidden: int) -> tuple[nn.Module, int]:
    if kind == "mean":
        return _Mean(), channels
    return (_Recurrent if kind == "gru" else _Convolution)(channels, hidden), hidden


def _video_backbone(name: str, arguments: Mapping[str, Any]) -> tuple[nn.Module, int]:
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
