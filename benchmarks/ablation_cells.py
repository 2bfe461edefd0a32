"""The cells of the ablation: what each changes, and what all of a part share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

THRESHOLDS = (0.1, 0.4, 0.8, 1.2, 1.6)
STRATEGIES = ("nearest", "fully-synthesized", "semi-synthesized", "prediction-based")

Changes = tuple[str, ...]
PARTIAL: Changes = ("preprocessing={partial_image: stack}",)
ATTENTION: Changes = ("attention={pixel: true, element: true}",)
SLICES: Changes = ("embedding.slices=8",)


class Weights(NamedTuple):
    """The weight of each kind of loss beside the cross-entropy, and the triplet-center margin."""

    triplet: float = 0.5
    center: float = 0.01
    triplet_center: float = 0.01
    margin: float = 1.0
    expression: float = 0.3
    all_triplets: float = 0.5


def loss(kind: str, weight: float, place: int = 1, **settings: object) -> Changes:
    """A loss as the recipe's second one, or at ``place``."""
    more = "".join(f", {key}: {str(value).lower()}" for key, value in settings.items())
    return (f"losses.{place}={{loss: {kind}, weight: {weight}{more}}}",)


def triplet(weights: Weights, threshold: float, *, dual: bool) -> Changes:
    """One threshold for the whole embedding, batch-hard."""
    return loss("triplet", weights.triplet, threshold=threshold, dual=dual)


def all_triplets(weights: Weights) -> tuple[Changes, Changes]:
    """One threshold and many over all triplets, which a few wrong labels do not rule."""
    settings = {"dual": False, "mining": "all"}  # over all triplets, dual is twice the same
    one = loss("triplet", weights.all_triplets, threshold=0.8, **settings)
    many = loss("multi-threshold", weights.all_triplets, low=0.1, high=1.6, **settings)
    return one, SLICES + many


def multi(weights: Weights, *, low: float = 0.1, high: float = 1.6, dual: bool = True) -> Changes:
    """Eight slices with a threshold each."""
    return SLICES + loss("multi-threshold", weights.triplet, low=low, high=high, dual=dual)


def strategy(weights: Weights, negatives: str, place: int = 1) -> Changes:
    """Triplet-center loss with a way to choose the negative."""
    settings = {"negatives": negatives, "margin": weights.margin}
    return loss("triplet-center", weights.triplet_center, place, **settings)


def cells_of(weights: Weights) -> dict[str, Changes]:
    """Every cell by name, softmax first."""
    expression = loss("expression", weights.expression)
    dacl = loss("center", weights.center, update_rule="dacl", step=0.5)
    one, many = all_triplets(weights)
    return {
        "softmax": (),
        "softmax, pixel attention": ("attention={pixel: true}",),
        "center": loss("center", weights.center),
        "dacl": (*dacl, "attention={element: true}"),
        **{f"triplet-center {name}": strategy(weights, name) for name in STRATEGIES},
        **{
            f"triplet-center {name}, attention": strategy(weights, name) + ATTENTION
            for name in STRATEGIES
        },
        **{f"triplet {t}": triplet(weights, t, dual=False) for t in THRESHOLDS},
        **{f"dual triplet {t}": triplet(weights, t, dual=True) for t in THRESHOLDS},
        "multi-threshold": multi(weights),
        "multi-threshold, conventional": multi(weights, dual=False),
        "multi-threshold, equal thresholds": multi(weights, low=0.85, high=0.85),
        "triplet 0.8, all triplets": one,
        "multi-threshold, all triplets": many,
        "softmax, slices": SLICES,
        "full + expression loss": expression,
        "partial": PARTIAL,
        "partial, mask": ("preprocessing={partial_image: mask}",),
        "partial + expression loss": PARTIAL + expression,
    }


CELLS = (*cells_of(Weights()), "combined")


class Part(NamedTuple):
    """A network and schedule that a set of cells shares, and the weights of their losses.

    ``combined`` is the cell of our own: what the held-out rows liked best of each kind.
    """

    size: int
    seeds: int
    cells: tuple[str, ...]
    weights: Weights
    combined: Changes
    shared: Changes


# By `run tune`: the best of each grid on the held-out tenth of the training rows.
TUNED = Weights(
    triplet=0.1, center=0.01, triplet_center=0.03, margin=30.0, expression=0.3, all_triplets=2.0
)

PARTS = {
    "frozen": Part(
        size=128,
        seeds=5,
        # Masks would be computed a third time for one control.
        cells=tuple(cell for cell in CELLS if cell != "partial, mask"),
        weights=TUNED,
        combined=(
            *strategy(TUNED, "fully-synthesized"),
            *loss("triplet", TUNED.triplet, 2, threshold=0.8, dual=True),
        ),
        shared=(
            "backbone.arguments={pad_type: same}",
            "backbone.license_terms=see benchmarks/start_weights.py",
            "backbone.frozen=true",
            "backbone.augmented_views=1",
            "embedding={size: 256, hidden_size: 256, dropout: 0.4}",
            "sampler={kind: shuffled, batch_size: 128}",
            "schedule={epochs: 5, warmup: 0.5}",
            "optimizer={lr: 0.001, weight_decay: 0.05}",
        ),
    ),
    "small": Part(
        size=48,
        seeds=3,
        cells=(
            "softmax",
            "center",
            "triplet-center prediction-based, attention",
            "dual triplet 0.8",
            "multi-threshold",
            "partial",
            "partial + expression loss",
            "combined",
        ),
        weights=Weights(),  # the recipes'
        combined=PARTIAL + strategy(Weights(), "prediction-based") + ATTENTION,
        shared=(
            "backbone={name: resnet18, arguments: {channels: [16, 32, 64, 128]}}",
            "embedding={size: 256, dropout: 0.2}",
            "sampler={kind: shuffled, batch_size: 128}",
            "schedule={epochs: 6, warmup: 0.5}",
            "optimizer={lr: 0.003, weight_decay: 0.02}",
        ),
    ),
}

# What `run tune` trains on the frozen backbone, with a seed that no cell uses.
TUNE: dict[str, Changes] = {
    "softmax": (),
    **{f"triplet weight {w}": triplet(Weights(triplet=w), 0.8, dual=True) for w in (0.1, 0.3, 1.0)},
    **{f"center weight {w}": loss("center", w) for w in (0.001, 0.003, 0.01, 0.03)},
    **{
        f"triplet-center weight {w} margin {m}": strategy(
            Weights(triplet_center=w, margin=m), "nearest"
        )
        for w in (0.003, 0.01, 0.03)
        for m in (1.0, 30.0)
    },
    **{f"expression weight {w}": loss("expression", w) for w in (0.1, 0.3, 1.0)},
    **{
        f"all triplets weight {w}": all_triplets(Weights(all_triplets=w))[0]
        for w in (0.1, 0.5, 2.0)
    },
}


def settings_of(part: str, cell: str, seed: int, out: Path) -> tuple[str, Changes]:
    """The recipe's name and changes of a cell."""
    of_part = PARTS[part]
    shared = of_part.shared
    if part == "frozen":
        shared = (*shared, f"backbone.weights={out / 'weights.safetensors'}")
    known = {**TUNE, **cells_of(of_part.weights), "combined": of_part.combined}
    changes = known[cell]
    return "softmax", (*shared, *changes, f"seed={seed}")
