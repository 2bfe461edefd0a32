"""The cells of the ablation: what each changes, and what all of a part share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

THRESHOLDS = (0.1, 0.4, 0.8, 1.2, 1.6)
STRATEGIES = ("nearest", "fully-synthesized", "semi-synthesized", "prediction-based")

# Chosen on the held-out tenth of the training rows, with a seed that no cell uses.
TRIPLET_WEIGHT, CENTER_WEIGHT, EXPRESSION_WEIGHT = 0.5, 0.01, 0.3
MARGIN = 1.0

Changes = tuple[str, ...]
PARTIAL: Changes = ("preprocessing={partial_image: stack}",)
ATTENTION: Changes = ("attention={pixel: true, element: true}",)
SLICES: Changes = ("embedding.slices=8",)


def term(kind: str, weight: float, place: int = 1, **settings: object) -> Changes:
    """A loss term as the recipe's second one, or at ``place``."""
    more = "".join(f", {key}: {str(value).lower()}" for key, value in settings.items())
    return (f"losses.{place}={{term: {kind}, weight: {weight}{more}}}",)


def triplet(threshold: float, *, dual: bool, weight: float = TRIPLET_WEIGHT) -> Changes:
    """One threshold for the whole embedding."""
    return term("triplet", weight, threshold=threshold, dual=dual)


def multi(
    *, low: float = 0.1, high: float = 1.6, dual: bool = True, weight: float = TRIPLET_WEIGHT
) -> Changes:
    """Eight slices with a threshold each."""
    return SLICES + term("multi-threshold", weight, low=low, high=high, dual=dual)


def center(*, weight: float = CENTER_WEIGHT, rule: str = "gradient", rate: float = 10) -> Changes:
    """The center loss."""
    return term("center", weight, rule=rule, rate=rate)


def strategy(negatives: str, *, weight: float = CENTER_WEIGHT, margin: float = MARGIN) -> Changes:
    """Triplet-center loss with a way to choose the negative."""
    return term("triplet-center", weight, negatives=negatives, margin=margin)


EMLF = term("expression", EXPRESSION_WEIGHT)

CELLS: dict[str, Changes] = {
    "softmax": (),
    "softmax, pixel attention": ("attention={pixel: true}",),
    "center": center(),
    "dacl": (*center(rule="dacl", rate=0.5), "attention={element: true}"),
    **{f"triplet-center {name}": strategy(name) for name in STRATEGIES},
    **{f"triplet-center {name}, attention": strategy(name) + ATTENTION for name in STRATEGIES},
    **{f"triplet {t}": triplet(t, dual=False) for t in THRESHOLDS},
    **{f"dual triplet {t}": triplet(t, dual=True) for t in THRESHOLDS},
    "multi-threshold": multi(),
    "multi-threshold, conventional": multi(dual=False),
    "multi-threshold, equal thresholds": multi(low=0.85, high=0.85),
    "softmax, slices": SLICES,
    "full + expression loss": EMLF,
    "partial": PARTIAL,
    "partial + expression loss": PARTIAL + EMLF,
    "combined": (),
}

TUNE: dict[str, Changes] = {
    "softmax": (),
    **{f"triplet weight {w}": triplet(0.8, dual=True, weight=w) for w in (0.1, 0.3, 1.0)},
    **{f"center weight {w}": center(weight=w) for w in (0.001, 0.003, 0.01, 0.03)},
    **{
        f"triplet-center weight {w} margin {m}": strategy("nearest", weight=w, margin=m)
        for w in (0.003, 0.01, 0.03)
        for m in (1.0, 30.0)
    },
    **{f"expression weight {w}": term("expression", w) for w in (0.1, 0.3, 1.0)},
}


class Part(NamedTuple):
    """A network and schedule that a set of cells shares."""

    size: int
    seeds: int
    cells: list[str]
    shared: Changes


PARTS = {
    "frozen": Part(
        size=128,
        seeds=5,
        cells=list(CELLS),
        shared=(
            "backbone.arguments={pad_type: same}",
            "backbone.terms=see benchmarks/start_weights.py",
            "backbone.frozen=true",
            "backbone.views=2",
            "embedding={size: 256, hidden: 256, dropout: 0.4}",
            "sampler={kind: shuffled, batch_size: 128}",
            "schedule={epochs: 5, warmup: 0.5}",
            "optimizer={rate: 0.001, weight_decay: 0.05}",
        ),
    ),
    "small": Part(
        size=48,
        seeds=3,
        cells=[
            "softmax",
            "center",
            "triplet-center prediction-based, attention",
            "dual triplet 0.8",
            "multi-threshold",
            "partial",
            "partial + expression loss",
            "combined",
        ],
        shared=(
            "backbone={name: resnet18, arguments: {channels: [16, 32, 64, 128]}}",
            "embedding={size: 256, dropout: 0.2}",
            "sampler={kind: shuffled, batch_size: 128}",
            "schedule={epochs: 6, warmup: 0.5}",
            "optimizer={rate: 0.003, weight_decay: 0.02}",
        ),
    ),
}


def settings_of(part: str, cell: str, seed: int, out: Path) -> tuple[str, Changes]:
    """The recipe's name and changes of a cell."""
    shared = PARTS[part].shared
    if part == "frozen":
        shared = (*shared, f"backbone.weights={out / 'weights.safetensors'}")
    changes = CELLS[cell] if cell in CELLS else TUNE[cell]
    return "softmax", (*shared, *changes, f"seed={seed}")
