"""The cells of the comparison of heads for valence and arousal, and what all of them share."""

from __future__ import annotations

from pathlib import Path

Changes = tuple[str, ...]

SHARED: Changes = (
    "backbone.arguments={pad_type: same}",
    "backbone.license_terms=see benchmarks/start_weights.py",
    "backbone.frozen=true",
    "backbone.augmented_views=2",
    # On frozen features heads share nothing but this layer; without it, tasks trained together
    # were the same as tasks trained alone.
    "embedding={size: 256, dropout: 0.3, pooling: max}",
    "sampler={kind: shuffled, batch_size: 64}",
    "optimizer={lr: 0.001, weight_decay: 0.05}",
    "keep=last",
)
EXPRESSIONS, AFFECT = "expressions only", "valence and arousal only"
AVERAGE, LINEAR = "linear heads, average pooling", "linear heads, max pooling"
IDENTITY, GRAPH = "graph without edges", "Emotion-GCN"

_LINEAR: Changes = ("graph=null",)
CELLS: dict[str, Changes] = {
    EXPRESSIONS: (
        *_LINEAR,
        "heads={expression: {bias: false}}",
        "losses=[{loss: cross-entropy, balanced: true}]",
    ),
    # The shared layer feels a ten thousandth of the cross-entropy; its accuracy is not shown.
    AFFECT: (*_LINEAR, "losses.0.weight=1e-4"),
    AVERAGE: (
        *_LINEAR,
        "heads={expression: {}, valence_arousal: {}}",
        "embedding.pooling=average",
    ),
    LINEAR: _LINEAR,
    IDENTITY: ("graph.adjacency=identity",),
    GRAPH: (),
}
PEERS = ("ridge on blendshapes", "ridge on frozen features")


def settings_of(cell: str, seed: int, epochs: int, weights: Path) -> tuple[str, Changes]:
    """The recipe's name and changes of a cell."""
    own = (f"backbone.weights={weights}", f"schedule={{epochs: {epochs}, warmup: 1}}")
    return "emotion-gcn", (*SHARED, *own, *CELLS[cell], f"seed={seed}")
