"""The assembly: backbone, attention, pooling, embedding, heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mien.networks.attention import ElementAttention, PixelAttention
from mien.networks.backbones import create_backbone
from mien.networks.graph import GraphHead, LinearHead
from mien.schema import MienError

Pooling = Literal["average", "max"]


class Outputs(NamedTuple):
    """What the network gives for a batch.

    ``embedding`` ``(B, D)`` is not normalized (losses that want unit rows normalize themselves),
    except a sliced one, whose slices have unit rows times the root of their width. ``logits`` is
    ``(B, classes)``. ``attention`` ``(B, D)`` weighs the embedding's dimensions and
    ``attention_map`` ``(B, H, W)`` the places of the last map, both in (0, 1). ``valence_arousal``
    ``(B, 2)`` is as the head gives it and may leave [-1, 1]. ``severity`` ``(B,)`` is in points; a
    network that gives it has the logits of its levels. None is what the network has not.
    """

    embedding: Tensor
    logits: Tensor
    attention: Tensor | None = None
    attention_map: Tensor | None = None
    valence_arousal: Tensor | None = None
    severity: Tensor | None = None


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
    """Backbone -> attention -> pooling -> embedding -> head.

    The head is linear and gives logits, unless ``affect_head`` gives valence and arousal as well.
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
        bias: bool = True,
        affect_head: LinearHead | GraphHead | None = None,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.backbone = backbone
        self.pooling = pooling
        self.attended = attended
        self.pixel_attention = PixelAttention(channels) if pixel_attention else None
        self.embedding = embedding
        self.element_attention = (
            ElementAttention(channels, embedding.size) if element_attention else None
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = affect_head or nn.Linear(embedding.size, classes, bias=bias)
        for layer in self.classifier.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    @property
    def gives_affect(self) -> bool:
        """Whether the head gives valence and arousal."""
        return not isinstance(self.classifier, nn.Linear)

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
        scores = self.classifier(self.dropout(embedding))
        logits, affect = scores if self.gives_affect else (scores, None)
        return Outputs(
            embedding,
            logits,
            attention,
            None if weights is None else weights.squeeze(1),
            affect,
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

    Valence and arousal are cut to [-1, 1], where their labels are (ours; the head has no bounds).
    With ``mirror`` the outputs for an image and its mirror image are averaged: a little more
    accurate, since a face's expression has no side, at twice the time.
    """

    def __init__(self, network: Network, temperature: float, *, mirror: bool = False) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.mirror = mirror

    @property
    def names(self) -> tuple[str, ...]:
        """What :meth:`forward` gives, in order; the last two only where the network has them."""
        given = {
            "valence_arousal": self.network.gives_affect,
            "attention": self.network.pixel_attention is not None,
        }
        return ("probabilities", "embedding", *(name for name, there in given.items() if there))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, S, S)`` -> tensors by :attr:`names`.

        Probabilities ``(B, classes)``, embedding ``(B, D)`` of length 1, valence and arousal
        ``(B, 2)`` in [-1, 1], attention map ``(B, H, W)`` in (0, 1).
        """
        seen = self.network(images)
        embedding, logits, places = seen.embedding, seen.logits, seen.attention_map
        affect = seen.valence_arousal
        if self.mirror:
            mirrored = self.network(images.flip(3))
            embedding = functional.normalize(embedding, dim=1)
            embedding = embedding + functional.normalize(mirrored.embedding, dim=1)
            logits = (logits + mirrored.logits) / 2
            affect = None if affect is None else (affect + mirrored.valence_arousal) / 2
            places = None if places is None else (places + mirrored.attention_map.flip(2)) / 2
        probabilities = functional.softmax(logits / self.temperature, dim=1)
        affect = None if affect is None else affect.clamp(-1, 1)
        outputs = (probabilities, functional.normalize(embedding, dim=1), affect, places)
        return tuple(output for output in outputs if output is not None)


def build_network(
    architecture: Mapping[str, Any],
    *,
    weights: str | None = None,
    node_vectors: ArrayLike | None = None,
) -> Network:
    """A network from its architecture, as ``model.json`` stores it under that name.

    ``backbone`` (a timm name), ``arguments`` for it, ``classes``, ``embedding`` (a size, or
    ``size``, ``hidden`` and ``slices``), ``dropout``, ``pooling``, ``attention`` (``pixel``,
    ``element``, ``attended``) and ``head`` (``kind``, ``valence_arousal``, ``bias``, and of a
    graph its ``adjacency``, ``nodes``, ``node_size`` and ``hidden``); only ``backbone`` and
    ``classes`` have to be there. ``weights`` are the backbone's start weights (see
    :func:`mien.networks.backbones.create_backbone`). ``node_vectors`` ``(C+2, F)`` are the word
    vectors of a graph whose ``nodes`` are ``vectors``; without them they are zeros, for a state
    to be loaded.
    """
    backbone = create_backbone(
        architecture["backbone"], weights=weights, arguments=architecture.get("arguments")
    )
    channels = width_of(backbone)
    embedding = architecture.get("embedding")
    # A bare number is the size.
    embedding = embedding if isinstance(embedding, Mapping) else {"size": embedding}
    attention, head = architecture.get("attention", {}), architecture.get("head", {})
    rows = Embedding(channels, **embedding)
    classes = architecture["classes"]
    return Network(
        backbone,
        channels=channels,
        classes=classes,
        embedding=rows,
        dropout=architecture.get("dropout", 0.0),
        pooling=architecture.get("pooling", "average"),
        pixel_attention=attention.get("pixel", False),
        element_attention=attention.get("element", False),
        attended=attention.get("attended", True),
        bias=head.get("bias", True),
        affect_head=_affect_head(head, classes, rows.size, node_vectors),
    )


def _affect_head(
    head: Mapping[str, Any], classes: int, size: int, node_vectors: ArrayLike | None
) -> LinearHead | GraphHead | None:
    """The head for expressions, valence and arousal; None for expressions alone."""
    if not head.get("valence_arousal", False):
        return None
    if head["kind"] == "linear":
        return LinearHead(classes, size, bias=head["bias"])
    nodes = head["nodes"]
    if nodes == "vectors":
        shape = (classes + 2, head["node_size"])
        nodes = torch.zeros(shape) if node_vectors is None else node_vectors
    options = {"nodes": nodes, "node_size": head["node_size"], "hidden": head["hidden"]}
    return GraphHead(head["adjacency"], size, **options)


def width_of(backbone: nn.Module) -> int:
    """Channels of the map that a timm backbone returns; some widen it behind `num_features`."""
    width: Any = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    return int(width)
