"""The cells of the comparison of severity losses, and what all of them share."""

from __future__ import annotations

Changes = tuple[str, ...]

SHARED: Changes = (
    "backbone={weights: fer, frozen: true, augmented_views: 2}",
    "embedding={size: 128, dropout: 0.3}",
    "temporal.kind=gru",
    "temporal.hidden_size=128",
    "clips={length: 16, stride: 2, per_video: 4}",
    "sampler.batch_size=32",
    "optimizer={lr: 0.001, weight_decay: 0.05}",
    "keep=last",
)
REGRESSION, CLASSES, LDL = "regression", "score classification", "LDL"
BINARY, SOFT, ORDINAL = "LDL + histogram", "LDL + label-aware", "LDL + label-aware, ordinal"
EXPECTATION, JOINT = "LDL + expectation", "LDL + expectation + label-aware"
PEER, CONSTANT = "ridge on frame statistics", "the training mean"

CELLS: dict[str, tuple[str, Changes]] = {
    REGRESSION: ("regression", ()),
    CLASSES: ("score-classification", ()),
    LDL: ("ldl", ()),
    BINARY: ("ldl", ("losses.1={loss: histogram, width: 5.0}",)),
    SOFT: ("dj-ldml", ()),
    ORDINAL: ("dj-ldml", ("losses.1={loss: ordinal-histogram}",)),
    EXPECTATION: ("ldl", ("losses.0.expectation=0.1",)),
    JOINT: ("dj-ldml", ("losses.0.expectation=0.1",)),
}
"""A recipe and its changes. DLDL-v2 adds the error of the expectation once; in points of a scale
of 63 that would drown the divergence, so a tenth of it is taken (ours)."""


def settings_of(cell: str, seed: int, epochs: int) -> tuple[str, Changes]:
    """The recipe's name and changes of a cell."""
    name, own = CELLS[cell]
    return name, (*SHARED, f"schedule={{epochs: {epochs}, warmup: 1}}", *own, f"seed={seed}")
