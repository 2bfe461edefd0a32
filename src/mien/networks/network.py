"""The assembly: backbone, pooling, embedding, heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from mien.networks.backbones import create_backbone
from mien.schema import MienError


class Outputs(NamedTuple):
    """What the network gives for a batch.

    ``features`` ``(B, C, H, W)`` is the backbone's last map, ``embedding`` ``(B, D)`` is not
    normalised (losses that want unit rows normalise themselves), ``logits`` ``(B, classes)``.
    """

    features: Tensor
    embedding: Tensor
    logits: Tensor


class Network(nn.Module):
    """Backbone -> average pool -> embedding -> linear classification head.

    ``embedding_size`` None takes the pooled features themselves as the embedding; a number adds
    a linear layer with batch norm. ``dropout`` acts before the head only.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_features: int,
        num_classes: int,
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.embedding: nn.Module = (
            nn.Identity()
            if embedding_size is None
            else nn.Sequential(
                nn.Linear(num_features, embedding_size, bias=False),
                nn.BatchNorm1d(embedding_size),
            )
        )
        self.embedding_size = embedding_size or num_features
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.embedding_size, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Outputs:
        """Images ``(B, 3, S, S)`` as :func:`mien.faces.tensors.to_tensor` makes them."""
        features = self.backbone(images)
        if features.ndim != 4:
            raise MienError(
                "expected a backbone that gives a feature map (B, C, H, W), got shape "
                f"{tuple(features.shape)}; choose a convolutional one"
            )
        # A mean over the axes, not AdaptiveAvgPool: the exported graph stays free of fixed sizes.
        embedding = self.embedding(features.mean((2, 3)))
        return Outputs(features, embedding, self.classifier(self.dropout(embedding)))


class Predictions(nn.Module):
    """The network as it is exported: images in, calibrated probabilities and unit embedding out.

    With ``mirror`` the logits and embeddings of an image and of its mirror image are averaged: a
    little more accurate, since a face's expression has no side, at twice the time.
    """

    def __init__(self, network: Network, temperature: float, *, mirror: bool = False) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.mirror = mirror

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, 3, S, S)`` -> probabilities ``(B, classes)``, embedding ``(B, D)`` of length 1."""
        _, embedding, logits = self.network(images)
        if self.mirror:
            _, mirrored, mirrored_logits = self.network(images.flip(3))
            embedding = functional.normalize(embedding, dim=1)
            embedding = embedding + functional.normalize(mirrored, dim=1)
            logits = (logits + mirrored_logits) / 2
        probabilities = functional.softmax(logits / self.temperature, dim=1)
        return probabilities, functional.normalize(embedding, dim=1)


def build_network(architecture: Mapping[str, Any], *, weights: str | None = None) -> Network:
    """A network from its architecture: backbone, arguments, embedding, dropout, classes.

    The mapping is what ``model.json`` stores under ``architecture``; ``weights`` are the
    backbone's start weights (see :func:`mien.networks.backbones.create_backbone`).
    """
    backbone = create_backbone(
        architecture["backbone"], weights=weights, arguments=architecture.get("arguments")
    )
    return Network(
        backbone,
        num_features=_width(backbone),
        num_classes=architecture["classes"],
        embedding_size=architecture.get("embedding"),
        dropout=architecture.get("dropout", 0.0),
    )


def _width(backbone: nn.Module) -> int:
    """Channels of the map that a timm backbone returns; some widen it behind `num_features`."""
    width: Any = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    return int(width)
