"""The assembly: backbone, attention, pooling, embedding, heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from mien.networks.attention import ElementAttention, PixelAttention
from mien.networks.backbones import create_backbone
from mien.schema import MienError

Pooling = Literal["average", "max"]


class Outputs(NamedTuple):
    """What the network gives for a batch.

    ``embedding`` ``(B, D)`` is not normalised (losses that want unit rows normalise themselves),
    except a sliced one, whose slices have unit rows times the root of their width. ``logits`` is
    ``(B, classes)``. ``attention`` ``(B, D)`` weighs the embedding's dimensions and
    ``attention_map`` ``(B, H, W)`` the places of the last map, both in (0, 1); None where the
    network has none.
    """

    embedding: Tensor
    logits: Tensor
    attention: Tensor | None = None
    attention_map: Tensor | None = None


class Embedding(nn.Sequential):
    """Pooled features ``(B, C)`` -> embedding ``(B, D)``.

    ``size`` None takes the features themselves; a number adds a linear layer with batch norm, and
    ``hidden`` another one with ReLU before it. ``slices`` > 1 cuts the embedding into equal
    slices and scales each to unit rows times the root of its width, so that its entries keep the
    size that batch norm gave them; losses on unit slices do not see the factor.
    """

    def __init__(
        self, channels: int, *, size: int | None, hidden: int | None = None, slices: int = 1
    ) -> None:
        layers: list[nn.Module] = []
        if hidden is not None:
            layers += [nn.Linear(channels, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
        if size is not None:
            width = hidden or channels
            layers += [nn.Linear(width, size, bias=False), nn.BatchNorm1d(size)]
        super().__init__(*layers)
        self.size = size or hidden or channels
        self.slices = slices

    def forward(self, pooled: Tensor) -> Tensor:
        """``(B, C)`` -> ``(B, D)``."""
        rows: Tensor = pooled
        for layer in self:
            rows = layer(rows)
        if self.slices == 1:
            return rows
        width = self.size // self.slices
        slices: Tensor = functional.normalize(rows.reshape(-1, self.slices, width), dim=2)
        return slices.reshape(-1, self.size).mul(width**0.5)


class Network(nn.Module):
    """Backbone -> attention -> pooling -> embedding -> linear classification head.

    ``dropout`` acts before the head only. With ``pixel_attention`` the map is weighted place by
    place before it is pooled; ``attended`` False pools the plain map for embedding and head, so
    that the weights reach the element-wise attention alone. ``element_attention`` weighs the
    embedding's dimensions for the losses that take it; the head sees the embedding as it is.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        channels: int,
        classes: int,
        embedding: Embedding,
        dropout: float = 0.0,
        pooling: Pooling = "average",
        pixel_attention: bool = False,
        element_attention: bool = False,
        attended: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.attended = attended
        self.pixel_attention = PixelAttention(channels) if pixel_attention else None
        self.embedding = embedding
        self.element_attention = (
            ElementAttention(channels, embedding.size) if element_attention else None
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(embedding.size, classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Outputs:
        """Images ``(B, 3, S, S)`` as :func:`mien.faces.tensors.to_tensor` makes them."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """The backbone's last map ``(B, C, H, W)``."""
        features: Tensor = self.backbone(images)
        if features.ndim != 4:
            raise MienError(
                "expected a backbone that gives a feature map (B, C, H, W), got shape "
                f"{tuple(features.shape)}; choose a convolutional one"
            )
        return features

    def forward_head(self, features: Tensor) -> Outputs:
        """Everything above the map ``(B, C, H, W)``."""
        weights = None if self.pixel_attention is None else self.pixel_attention(features)
        pooled = self._pool(features, weights if self.attended else None)
        embedding = self.embedding(pooled)
        attention = None
        if self.element_attention is not None:
            seen = pooled if self.attended else self._pool(features, weights)
            attention = self.element_attention(seen)
        return Outputs(
            embedding,
            self.classifier(self.dropout(embedding)),
            attention,
            None if weights is None else weights.squeeze(1),
        )

    def _pool(self, features: Tensor, weights: Tensor | None) -> Tensor:
        """The map, each place times its weight, over its axes; ``(B, C)``."""
        # Not by an adaptive pool: the exported graph stays free of fixed sizes.
        if self.pooling == "max":
            return (features if weights is None else features * weights).amax((2, 3))
        if weights is None:
            return features.mean((2, 3))
        # One product a row, forward and back, where a weighted map would be written out.
        places = features.flatten(2)
        return (places @ weights.flatten(2).mT).squeeze(2) / places.shape[2]


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

    @property
    def names(self) -> tuple[str, ...]:
        """What :meth:`forward` gives, in order; a network without attention map gives none."""
        names = ("probabilities", "embedding")
        return names if self.network.pixel_attention is None else (*names, "attention")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, S, S)`` -> tensors by :attr:`names`.

        Probabilities ``(B, classes)``, embedding ``(B, D)`` of length 1, attention map
        ``(B, H, W)`` in (0, 1).
        """
        seen = self.network(images)
        embedding, logits, places = seen.embedding, seen.logits, seen.attention_map
        if self.mirror:
            mirrored = self.network(images.flip(3))
            embedding = functional.normalize(embedding, dim=1)
            embedding = embedding + functional.normalize(mirrored.embedding, dim=1)
            logits = (logits + mirrored.logits) / 2
            places = None if places is None else (places + mirrored.attention_map.flip(2)) / 2
        probabilities = functional.softmax(logits / self.temperature, dim=1)
        outputs = (probabilities, functional.normalize(embedding, dim=1))
        return outputs if places is None else (*outputs, places)


def build_network(architecture: Mapping[str, Any], *, weights: str | None = None) -> Network:
    """A network from its architecture, as ``model.json`` stores it under that name.

    ``backbone`` (a timm name), ``arguments`` for it, ``classes``, ``embedding`` (a size, or
    ``size``, ``hidden`` and ``slices``), ``dropout``, ``pooling`` and ``attention`` (``pixel``,
    ``element``, ``attended``); only ``backbone`` and ``classes`` have to be there. ``weights`` are
    the backbone's start weights (see :func:`mien.networks.backbones.create_backbone`).
    """
    backbone = create_backbone(
        architecture["backbone"], weights=weights, arguments=architecture.get("arguments")
    )
    channels = _width(backbone)
    embedding = architecture.get("embedding")
    # A bare number is the size.
    embedding = embedding if isinstance(embedding, Mapping) else {"size": embedding}
    attention = architecture.get("attention", {})
    return Network(
        backbone,
        channels=channels,
        classes=architecture["classes"],
        embedding=Embedding(channels, **embedding),
        dropout=architecture.get("dropout", 0.0),
        pooling=architecture.get("pooling", "average"),
        pixel_attention=attention.get("pixel", False),
        element_attention=attention.get("element", False),
        attended=attention.get("attended", True),
    )


def _width(backbone: nn.Module) -> int:
    """Channels of the map that a timm backbone returns; some widen it behind `num_features`."""
    width: Any = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    return int(width)
