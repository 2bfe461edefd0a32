"""The layers of each head, and what they give when the network is exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from mien.heads import HeadInfo
from mien.heads.expression import ExpressionInfo
from mien.heads.severity import SeverityInfo
from mien.networks.graph import EmotionGraph

Tensors = Mapping[str, Tensor]


class LinearLayer(nn.Module):
    """Linear outputs of the embedding under one name: logits of classes, or values.

    Weights start small, N(0, 0.01), so that the first predictions are near uniform.
    """

    def __init__(self, name: str, size: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.name = name
        self.linear = nn.Linear(size, outputs, bias=bias)
        nn.init.normal_(self.linear.weight, std=0.01)
        if bias:
            nn.init.zeros_(self.linear.bias)

    def forward(self, embeddings: Tensor) -> dict[str, Tensor]:
        """Embeddings ``(B, size)`` -> ``{name: (B, outputs)}``."""
        return {self.name: self.linear(embeddings)}


class SeverityLayer(nn.Module):
    """The score of a scale from 0 to ``top``, in points.

    With ``kind`` ``levels`` the embedding gives a logit for each score, divided by
    ``temperature``, and the severity is the expectation of their softmax; with ``score`` it is
    one linear output, a share of the scale, which may leave it.
    """

    steps: Tensor

    def __init__(self, size: int, *, top: int, kind: str, temperature: float) -> None:
        super().__init__()
        self.top, self.kind, self.temperature = top, kind, temperature
        outputs = top + 1 if kind == "levels" else 1
        self.linear = nn.Linear(size, outputs)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.constant_(self.linear.bias, 0.0 if kind == "levels" else 0.5)
        self.register_buffer("steps", torch.arange(top + 1.0), persistent=False)

    def forward(self, embeddings: Tensor) -> dict[str, Tensor]:
        """``severity`` ``(B,)``, and ``severity_levels`` ``(B, top + 1)``, logits, if there are."""
        logits: Tensor = self.linear(embeddings)
        if self.kind == "score":
            return {"severity": logits.squeeze(1) * self.top}
        logits = logits / self.temperature
        return {"severity": logits.softmax(1) @ self.steps, "severity_levels": logits}


class GraphLayer(nn.Module):
    """Expression, valence and arousal by the classifiers of an :class:`EmotionGraph`.

    ``options`` are the graph's. Neither output has a bias or is squashed, as released, so
    valence and arousal may leave [-1, 1].
    """

    def __init__(self, adjacency: ArrayLike | Tensor, size: int, **options: Any) -> None:
        super().__init__()
        # Not named `graph`: torch.export's modules have an attribute of that name.
        self.classifiers = EmotionGraph(adjacency, size, **options)

    def forward(self, embeddings: Tensor) -> dict[str, Tensor]:
        """``expression`` ``(B, C)``, logits, and ``valence_arousal`` ``(B, 2)``."""
        scores = embeddings @ self.classifiers().T
        return {"expression": scores[:, :-2], "valence_arousal": scores[:, -2:]}


def _expression_predictions(outputs: Tensors, info: ExpressionInfo) -> dict[str, Tensor]:
    logits = outputs["expression"] / info.calibration.temperature
    if info.calibration.balance:
        logits = logits + logits.new_tensor(info.offsets)
    return {"expression": logits.softmax(1)}


def _affect_predictions(outputs: Tensors, info: HeadInfo) -> dict[str, Tensor]:
    # Labels lie in [-1, 1]; the layer has no bounds (ours).
    return {"valence_arousal": outputs["valence_arousal"].clamp(-1, 1)}


def _action_unit_predictions(outputs: Tensors, info: HeadInfo) -> dict[str, Tensor]:
    return {"action_units": outputs["action_units"].sigmoid()}


def _severity_predictions(outputs: Tensors, info: SeverityInfo) -> dict[str, Tensor]:
    severity = {"severity": outputs["severity"].clamp(0, info.scale.top)}
    if not info.levels:
        return severity
    return severity | {"severity_levels": outputs["severity_levels"].softmax(1)}


class Layers(NamedTuple):
    """Torch's side of a head.

    ``create`` makes its module from the embedding's width and its architecture; ``predictions``
    turns raw outputs into what the exported model gives, under the names of
    :meth:`mien.heads.Head.outputs`, calibrated as the head's info says.
    """

    create: Callable[..., nn.Module]
    predictions: Callable[[Tensors, Any], dict[str, Tensor]]


def _expression(size: int, *, classes: int, bias: bool = True) -> nn.Module:
    return LinearLayer("expression", size, classes, bias=bias)


def _valence_arousal(size: int, *, bias: bool = True) -> nn.Module:
    return LinearLayer("valence_arousal", size, 2, bias=bias)


def _action_units(size: int, *, units: int, bias: bool = True) -> nn.Module:
    return LinearLayer("action_units", size, units, bias=bias)


LAYERS: dict[str, Layers] = {
    "expression": Layers(_expression, _expression_predictions),
    "valence_arousal": Layers(_valence_arousal, _affect_predictions),
    "action_units": Layers(_action_units, _action_unit_predictions),
    "severity": Layers(SeverityLayer, _severity_predictions),
}
"""The layers of each head of :data:`mien.heads.HEADS`."""


def head_predictions(outputs: Tensors, infos: Mapping[str, HeadInfo]) -> dict[str, Tensor]:
    """What the exported model gives for the raw outputs of a network, head by head."""
    predictions: dict[str, Tensor] = {}
    for name, info in infos.items():
        predictions |= LAYERS[name].predictions(outputs, info)
    return predictions
