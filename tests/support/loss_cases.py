"""Every loss as a function of one batch, beside its twin, and the batches they must survive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import loss_twins as twins
import torch
from torch import Tensor

from mien import losses

THRESHOLDS = (0.2, 0.7, 1.3)
EDGES = (0, 2, 5, 10, 20, 64)
STRATEGIES = ("nearest", "semi-synthesized", "fully-synthesized", "prediction-based")


@dataclass(frozen=True)
class Batch:
    """Rows with a class and a score each, and what some losses want besides."""

    embeddings: Tensor
    labels: Tensor
    scores: Tensor
    centers: Tensor
    logits: Tensor
    attention: Tensor

    @property
    def inputs(self) -> dict[str, Tensor]:
        names = ("embeddings", "centers", "logits", "attention")
        return {name: getattr(self, name) for name in names}

    def cast(self, dtype: torch.dtype) -> Batch:
        return replace(self, **{name: value.to(dtype) for name, value in self.inputs.items()})

    def tracked(self) -> Batch:
        leaves = {name: v.detach().clone().requires_grad_() for name, v in self.inputs.items()}
        return replace(self, **leaves)

    def reordered(self, order: Tensor) -> Batch:
        by_row = ("embeddings", "labels", "scores", "logits", "attention")
        return replace(self, **{name: getattr(self, name)[order] for name in by_row})


def make_batch(
    seed: int = 0, rows: int = 18, width: int = 12, classes: int = 4, signal: float = 0.5
) -> Batch:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    labels = torch.randint(classes, (rows,), generator=g)
    means = signal * normal(classes, width)
    return Batch(
        embeddings=normal(rows, width) + means[labels],
        labels=labels,
        scores=torch.randint(64, (rows,), generator=g),
        centers=normal(classes, width),
        logits=normal(rows, classes),
        attention=torch.rand(rows, width, generator=g, dtype=torch.float64),
    )


def degenerate_batches() -> dict[str, Batch]:
    batch = make_batch(seed=3)
    rows, width = batch.embeddings.shape
    one = batch.embeddings[:1]
    some_zero = batch.embeddings.clone()
    some_zero[::5] = 0
    twice = torch.arange(rows) // 2
    return {
        "random": batch,
        "one class": replace(
            batch, labels=torch.zeros_like(batch.labels), scores=torch.full_like(batch.scores, 7)
        ),
        "all singletons": replace(
            make_batch(seed=4, rows=6, classes=6), labels=torch.arange(6).flip(0)
        ),
        "one row": batch.reordered(torch.tensor([2])),
        "two rows": batch.reordered(torch.tensor([2, 5])),
        "no row": batch.reordered(torch.tensor([], dtype=torch.int64)),
        "duplicate rows": batch.reordered(twice),
        "duplicates across classes": replace(batch, embeddings=batch.embeddings[twice]),
        "all equal": replace(batch, embeddings=one.expand(rows, width).clone()),
        "opposite rows": replace(
            batch, embeddings=one * (1.0 - 2.0 * (torch.arange(rows) % 2))[:, None]
        ),
        "some zero rows": replace(batch, embeddings=some_zero),
        "all zero rows": replace(batch, embeddings=torch.zeros_like(batch.embeddings)),
        "on the centers": replace(batch, embeddings=batch.centers[batch.labels]),
        "center without rows": replace(batch, labels=batch.labels.clamp_max(2)),
        "equal centers": replace(batch, centers=batch.centers[:1].expand(4, width).clone()),
        "no attention": replace(batch, attention=torch.zeros_like(batch.attention)),
        "tiny": replace(batch, embeddings=batch.embeddings * 1e-6),
        "huge": replace(batch, embeddings=batch.embeddings * 1e3),
        "two far scores": replace(batch, scores=63 * (batch.scores % 2)),
    }


@dataclass(frozen=True)
class Case:
    """A loss on a batch, its twin, the inputs it differentiates, and its symmetries."""

    loss: Callable[[Batch], Tensor]
    twin: Callable[[Batch], float | tuple[float, float]]
    inputs: tuple[str, ...] = ("embeddings",)
    rotates: bool = True
    scale_free: bool = True
    zero_without_pairs: bool = True


def _lists(b: Batch) -> tuple[list, list]:
    return twins.rows_of(b.embeddings), b.labels.tolist()


def _centers(b: Batch) -> tuple[list, list, list]:
    return (*_lists(b), twins.rows_of(b.centers))


def _triplet_center(negatives: str, *, attended: bool) -> Case:
    def loss(b: Batch) -> Tensor:
        return losses.triplet_center_loss(
            b.embeddings,
            b.labels,
            b.centers,
            margin=2.0,
            negatives=negatives,
            logits=b.logits,
            attention=b.attention if attended else None,
        )

    def twin(b: Batch) -> float:
        weights = b.attention if attended else torch.ones_like(b.attention)
        logits, weights = twins.rows_of(b.logits), twins.rows_of(weights)
        return twins.triplet_center(*_centers(b), 2.0, negatives, logits, weights, 0.5)

    return Case(
        loss,
        twin,
        ("embeddings", "centers", "attention") if attended else ("embeddings", "centers"),
        rotates=not attended and negatives in ("nearest", "prediction-based"),
        scale_free=False,
        zero_without_pairs=False,
    )


CASES: dict[str, Case] = {
    **{
        f"triplet {mining}": Case(
            lambda b, mining=mining: losses.triplet_loss(b.embeddings, b.labels, mining=mining),
            lambda b, mining=mining: twins.triplet(*_lists(b), 0.5, mining),
        )
        for mining in ("hard", "all")
    },
    **{
        f"dual {mining}": Case(
            lambda b, mining=mining: losses.dual_triplet_loss(
                b.embeddings, b.labels, mining=mining
            ),
            lambda b, mining=mining: twins.dual(*_lists(b), 0.5, mining),
        )
        for mining in ("hard", "all")
    },
    **{
        f"multi-threshold {mining} {'dual' if both else 'conventional'}": Case(
            lambda b, mining=mining, both=both: losses.multi_threshold_loss(
                b.embeddings, b.labels, thresholds=THRESHOLDS, dual=both, mining=mining
            ),
            lambda b, mining=mining, both=both: twins.multi_threshold(
                *_lists(b), list(THRESHOLDS), mining, both=both
            ),
            rotates=False,
        )
        for mining in ("hard", "all")
        for both in (True, False)
    },
    "expression pairs": Case(
        lambda b: losses.expression_metric_loss(b.embeddings, b.labels, margin=1.2, beta=0.7),
        lambda b: twins.expression_metric(*_lists(b), 1.2, 0.7),
        zero_without_pairs=False,
    ),
    "expression centers": Case(
        lambda b: losses.expression_center_loss(b.embeddings, b.labels, margin=1.2, beta=0.7),
        lambda b: twins.expression_center(*_lists(b), 1.2, 0.7),
        zero_without_pairs=False,
    ),
    "center": Case(
        lambda b: losses.center_loss(b.embeddings, b.labels, b.centers),
        lambda b: twins.center(*_centers(b), twins.rows_of(torch.ones_like(b.attention))),
        ("embeddings", "centers"),
        scale_free=False,
        zero_without_pairs=False,
    ),
    "center attended": Case(
        lambda b: losses.center_loss(b.embeddings, b.labels, b.centers, attention=b.attention),
        lambda b: twins.center(*_centers(b), twins.rows_of(b.attention)),
        ("embeddings", "centers", "attention"),
        rotates=False,
        scale_free=False,
        zero_without_pairs=False,
    ),
    **{
        f"triplet-center {negatives}{' attended' if attended else ''}": _triplet_center(
            negatives, attended=attended
        )
        for negatives in STRATEGIES
        for attended in (False, True)
    },
    "histogram": Case(
        lambda b: losses.histogram_loss(b.embeddings, b.labels, bins=41),
        lambda b: twins.binary_histogram(*_lists(b), 41),
    ),
    "histogram label-aware": Case(
        lambda b: losses.label_aware_histogram_loss(b.embeddings, b.scores, bins=41),
        lambda b: twins.label_aware_histogram(
            twins.rows_of(b.embeddings), b.scores.tolist(), 41, 5.0
        ),
    ),
    "histogram ordinal": Case(
        lambda b: losses.ordinal_histogram_loss(b.embeddings, b.scores, bins=41),
        lambda b: twins.ordinal_histogram(
            twins.rows_of(b.embeddings), b.scores.tolist(), list(EDGES), 41
        ),
    ),
    "label distribution": Case(
        lambda b: losses.label_distribution_loss(
            b.embeddings,
            losses.label_distribution(
                (b.scores % 12).to(b.embeddings), levels=b.embeddings.shape[1]
            ),
        ),
        lambda b: twins.label_distribution_divergence(
            twins.rows_of(b.embeddings),
            twins.label_distribution((b.scores % 12).tolist(), b.embeddings.shape[1], 2.0),
        ),
        rotates=False,
        scale_free=False,
        zero_without_pairs=False,
    ),
    "concordance": Case(
        lambda b: losses.concordance_loss(
            b.embeddings[:, :2], torch.stack([b.scores / 64, b.scores % 3 / 2], 1)
        ),
        lambda b: twins.mean(
            [
                twins.concordance(twins.rows_of(b.embeddings[:, column]), target.tolist())
                for column, target in enumerate((b.scores.double() / 64, b.scores % 3 / 2))
            ]
        ),
        rotates=False,
        scale_free=False,
        zero_without_pairs=False,
    ),
}
