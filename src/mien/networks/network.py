"""The assembly: backbone, attention, pooling over places and time, embedding, heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from mien.networks.attention import ElementAttention, PixelAttention
from mien.networks.backbones import create_backbone, feature_map, feature_width
from mien.networks.embedding import Embedding
from mien.networks.heads import LAYERS, GraphLayer
from mien.networks.temporal import create_temporal
from mien.networks.video import VIDEO_BACKBONES, create_video_backbone

Pooling = Literal["average", "max"]


class Outputs(NamedTuple):
    """What the network gives for a batch.

    ``embedding`` ``(B, D)`` is not normalized (losses that want unit rows normalize themselves),
    except a sliced one, whose slices have unit rows times the root of their width. ``heads`` are
    the raw outputs of the heads by name, such as the logits ``expression`` ``(B, C)``.
    ``attention`` ``(B, D)`` weighs the embedding's dimensions and ``attention_map`` ``(B, H, W)``
    the places of the last map, both in (0, 1); None without.
    """

    embedding: Tensor
    heads: dict[str, Tensor]
    attention: Tensor | None = None
    attention_map: Tensor | None = None


class Network(nn.Module):
    """Backbone -> attention -> pooling -> (temporal) -> embedding -> heads.

    A network of clips differs from one of images in its backbone and its pooling over time: with
    ``temporal`` each frame is read by the backbone and pooled, and ``temporal`` makes one row of
    the frames'; with ``whole_clips`` the backbone reads the clip at once.

    ``dropout`` acts before the heads only. With ``pixel_attention`` the map is weighted place by
    place before it is pooled; ``attended`` False pools the plain map for embedding and heads, so
    that the weights reach the element-wise attention alone. ``element_attention`` weighs the
    embedding's dimensions for the losses that take it; the heads see the embedding as it is.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        embedding: Embedding,
        heads: nn.ModuleList,
        pixel_attention: PixelAttention | None = None,
        element_attention: ElementAttention | None = None,
        attended: bool = True,
        temporal: nn.Module | None = None,
        whole_clips: bool = False,
        dropout: float = 0.0,
        pooling: Pooling = "average",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pixel_attention = pixel_attention
        self.temporal = temporal
        self.embedding = embedding
        self.element_attention = element_attention
        self.attended = attended
        self.whole_clips = whole_clips
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.heads = heads

    def forward(self, inputs: Tensor) -> Outputs:
        """Images ``(B, 3, S, S)`` as :func:`mien.faces.tensors.to_tensor` makes them, or clips.

        Clips are ``(B, T, 3, S, S)``.
        """
        if self.whole_clips:
            return self.forward_head(self.backbone(inputs.transpose(1, 2)))
        if self.temporal is None:
            return self.forward_head(self.forward_features(inputs))
        rows = self.forward_features(inputs.flatten(0, 1))
        return self.forward_head(rows.reshape(*inputs.shape[:2], -1))

    def forward_features(self, images: Tensor) -> Tensor:
        """What a frozen backbone gives once and for all.

        The last map ``(B, C, H, W)`` of images; for frames of clips, which have no attention, its
        pooled rows ``(B, C)``.
        """
        features = feature_map(self.backbone, images)
        return features if self.temporal is None else self._pool(features, None)

    def forward_head(self, features: Tensor) -> Outputs:
        """Everything above the backbone.

        ``features`` are maps ``(B, C, H, W)`` of images, or of clips the rows of their frames
        ``(B, T, C)``, or with a backbone that reads clips at once ``(B, C)``.
        """
        weights = None if self.pixel_attention is None else self.pixel_attention(features)
        if self.whole_clips:
            pooled = seen = features
        elif self.temporal is not None:
            pooled = seen = self.temporal(features)
        else:
            pooled = self._pool(features, weights if self.attended else None)
            seen = pooled if self.attended else self._pool(features, weights)
        embedding = self.embedding(pooled)
        attention = None if self.element_attention is None else self.element_attention(seen)
        rows = self.dropout(embedding)
        outputs: dict[str, Tensor] = {}
        for head in self.heads:
            outputs |= head(rows)
        return Outputs(
            embedding, outputs, attention, None if weights is None else weights.squeeze(1)
        )

    def _pool(self, features: Tensor, weights: Tensor | None) -> Tensor:
        """The map, each place times its weight, over its axes; ``(B, C)``."""
        # Not by an adaptive pool: the exported graph stays free of fixed sizes.
        if self.pooling == "max":
            return (features if weights is None else features * weights).amax((2, 3))
        if weights is None:
            return features.mean((2, 3))
        # One product per row, forward and back, where a weighted map would be written out.
        places = features.flatten(2)
        return (places @ weights.flatten(2).mT).squeeze(2) / places.shape[2]


def create_network(
    backbone: str = "mobilenetv1_100",
    *,
    heads: Mapping[str, Mapping[str, Any]],
    arguments: Mapping[str, Any] | None = None,
    embedding: Mapping[str, Any] | int | None = None,
    pooling: Pooling = "average",
    dropout: float = 0.0,
    attention: Mapping[str, bool] | None = None,
    temporal: Mapping[str, Any] | None = None,
    graph: Mapping[str, Any] | None = None,
    weights: str | None = None,
    image_size: int | None = None,
    node_vectors: ArrayLike | None = None,
) -> Network:
    """A network from its architecture, which ``model.json`` of a run stores under that name.

    Parameters
    ----------
    backbone, arguments, weights
        As for :func:`mien.networks.backbones.create_backbone`, or one of
        :data:`mien.networks.video.VIDEO_BACKBONES`, which reads clips at once.
    heads
        The architecture of each head by name: ``{"expression": {"classes": 7, "bias": True}}``,
        ``{"valence_arousal": {}}``, or ``{"severity": {"top": 63, "kind": "levels",
        "temperature": 1}}``.
    embedding
        Its size, or ``size``, ``hidden_size`` and ``slices`` (see :class:`Embedding`); None takes
        the pooled features themselves.
    pooling, dropout, attention
        ``attention`` has ``pixel``, ``element`` and ``attended`` (see :class:`Network`).
    temporal
        ``kind`` and ``hidden_size`` of the pooling over a clip's frames (see
        :func:`mien.networks.temporal.create_temporal`); None reads single images.
    graph
        ``adjacency``, ``nodes``, ``node_size`` and ``hidden_size`` of an emotion graph that makes
        the classifiers of expression, valence and arousal; None gives each head its own layer.
    image_size
        Side of the images in pixels, for backbones that are built for one size.
    node_vectors
        Word vectors ``(C+2, F)`` of a graph whose ``nodes`` are ``vectors``; without them they are
        zeros, for a state to be loaded.

    >>> network = create_network("test_resnet", heads={"expression": {"classes": 7}}, embedding=16)
    >>> outputs = network(torch.zeros(2, 3, 32, 32))
    >>> tuple(outputs.embedding.shape), tuple(outputs.heads["expression"].shape)
    ((2, 16), (2, 7))
    """
    whole_clips = backbone in VIDEO_BACKBONES
    body: nn.Module
    pooling_over_time: nn.Module | None = None
    if whole_clips:
        body, width = create_video_backbone(backbone, weights=weights, arguments=arguments)
        channels = width
    else:
        body = create_backbone(
            backbone, weights=weights, arguments=arguments, image_size=image_size
        )
        channels = width = feature_width(body)
        if temporal is not None:
            pooling_over_time, width = create_temporal(
                temporal["kind"], channels, temporal["hidden_size"]
            )
    # A bare number is the size.
    shape = embedding if isinstance(embedding, Mapping) else {"size": embedding}
    rows = Embedding(width, **shape)
    kinds = attention or {}
    return Network(
        body,
        embedding=rows,
        pixel_attention=PixelAttention(channels) if kinds.get("pixel") else None,
        element_attention=ElementAttention(width, rows.size) if kinds.get("element") else None,
        attended=kinds.get("attended", True),
        temporal=pooling_over_time,
        whole_clips=whole_clips,
        dropout=dropout,
        pooling=pooling,
        heads=_create_heads(heads, graph, rows.size, node_vectors),
    )


def _create_heads(
    heads: Mapping[str, Mapping[str, Any]],
    graph: Mapping[str, Any] | None,
    size: int,
    node_vectors: ArrayLike | None,
) -> nn.ModuleList:
    """One module per head, or one of a graph for the heads that it joins."""
    joined = () if graph is None else ("expression", "valence_arousal")
    modules: list[nn.Module] = []
    if graph is not None:
        nodes = graph["nodes"]
        if nodes == "vectors":
            shape = (heads["expression"]["classes"] + 2, graph["node_size"])
            nodes = torch.zeros(shape) if node_vectors is None else node_vectors
        options = {"nodes": nodes, "node_size": graph["node_size"]}
        modules.append(
            GraphLayer(graph["adjacency"], size, hidden_size=graph["hidden_size"], **options)
        )
    modules += [
        LAYERS[name].create(size, **options)
        for name, options in heads.items()
        if name not in joined
    ]
    return nn.ModuleList(modules)
