from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import make_batch

from mien.losses import active_triplets, dual_triplet_loss, multi_threshold_loss, triplet_loss

FEW = settings(max_examples=30, deadline=None, derandomize=True, database=None)
SEEDS = st.integers(0, 2**31)
MINING = pytest.mark.parametrize("mining", ["hard", "all"])

# Unit rows at 0, 90, 180 and 270 degrees: d is 2 to a neighbor and 4 across.
CROSS = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]], dtype=torch.float64)


def test_worked_numbers() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    # Each anchor: d(a, p) = 2, d(a, n) = 2, and its partner p has d(p, n) = 4.
    assert triplet_loss(CROSS, labels, threshold=0.5).item() == pytest.approx(0.5)
    assert dual_triplet_loss(CROSS, labels, threshold=0.5).item() == pytest.approx(0.5)
    assert dual_triplet_loss(CROSS, labels, threshold=2.5).item() == pytest.approx(2.5 + 0.5)
    # All triplets of an anchor: 2 - 2 + 2.5 and 2 - 4 + 2.5.
    assert triplet_loss(CROSS, labels, threshold=2.5, mining="all").item() == pytest.approx(1.5)
    # The inactive half does not count in the mean.
    assert triplet_loss(CROSS, labels, threshold=1.0, mining="all").item() == pytest.approx(1.0)


@FEW
@given(seed=SEEDS, low=st.floats(0.01, 3), more=st.floats(0.0, 1))
def test_hard_mining_grows_with_the_threshold_by_its_growth_at_most(
    seed: int, low: float, more: float
) -> None:
    b = make_batch(seed)
    for loss, judgments in ((triplet_loss, 1), (dual_triplet_loss, 2)):
        near = loss(b.embeddings, b.labels, threshold=low).item()
        far = loss(b.embeddings, b.labels, threshold=low + more).item()
        assert -1e-12 <= far - near <= judgments * more + 1e-12


@FEW
@given(seed=SEEDS, threshold=st.floats(0.05, 2))
def test_dual_lies_above_conventional_and_is_twice_it_over_all(seed: int, threshold: float) -> None:
    b = make_batch(seed)
    args = {"threshold": threshold}
    hard = triplet_loss(b.embeddings, b.labels, **args).item()
    assert hard <= dual_triplet_loss(b.embeddings, b.labels, **args).item() + 1e-12
    every = triplet_loss(b.embeddings, b.labels, mining="all", **args).item()
    both = dual_triplet_loss(b.embeddings, b.labels, mining="all", **args).item()
    assert both == pytest.approx(2 * every, rel=1e-12)


@MINING
@FEW
@given(seed=SEEDS)
def test_slices_are_independent_losses(mining: str, seed: int) -> None:
    b = make_batch(seed)
    thresholds = (0.2, 0.9, 1.4)
    parts = [
        dual_triplet_loss(part, b.labels, threshold=t, mining=mining)
        for part, t in zip(b.embeddings.chunk(3, dim=1), thresholds, strict=True)
    ]
    whole = multi_threshold_loss(b.embeddings, b.labels, thresholds=thresholds, mining=mining)
    torch.testing.assert_close(whole, torch.stack(parts).mean(), rtol=1e-12, atol=1e-12)


@MINING
def test_one_threshold_is_the_plain_loss(mining: str) -> None:
    b = make_batch(1)
    for dual, loss in ((True, dual_triplet_loss), (False, triplet_loss)):
        one = multi_threshold_loss(
            b.embeddings, b.labels, thresholds=[0.7], dual=dual, mining=mining
        )
        assert one == loss(b.embeddings, b.labels, threshold=0.7, mining=mining)


def test_collapse_costs_the_threshold_a_judgment() -> None:
    rows = torch.ones(12, 6)
    labels = torch.arange(12) % 3
    assert triplet_loss(rows, labels, threshold=0.3).item() == pytest.approx(0.3)
    assert dual_triplet_loss(rows, labels, threshold=0.3).item() == pytest.approx(0.6)


@MINING
def test_memory_of_the_graph_is_quadratic(mining: str) -> None:
    """The largest tensor kept for the backward pass has at most B x max(B, D) values."""
    kept = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    b = make_batch(2, rows=128, width=16, classes=4)
    rows = b.embeddings.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        triplet_loss(rows, b.labels, mining=mining).backward()
    assert 0 < max(kept) <= 128 * 128


@MINING
def test_second_derivatives_are_derivatives(mining: str) -> None:
    b = make_batch(3, rows=7, width=4, classes=2)
    rows = b.embeddings.requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda x: dual_triplet_loss(x, b.labels, mining=mining), rows
    )


def test_wrong_settings_are_refused() -> None:
    b = make_batch(0)
    with pytest.raises(ValueError, match="divisible by the 5 thresholds, got 12"):
        multi_threshold_loss(b.embeddings, b.labels, thresholds=[0.1] * 5)
    with pytest.raises(ValueError, match="thresholds"):
        multi_threshold_loss(b.embeddings, b.labels, thresholds=[])
    with pytest.raises(ValueError, match="'hard' or 'all', got 'semi'"):
        triplet_loss(b.embeddings, b.labels, mining="semi")
    with pytest.raises(ValueError, match=r"\(B, D\)"):
        triplet_loss(b.embeddings[0], b.labels)


def test_only_rows_with_both_kinds_of_others_have_active_triplets() -> None:
    # On a circle: two rows of class 0 at 0 and 60 degrees, class 1 at 90, and class 2 alone at 180.
    angles = torch.deg2rad(torch.tensor([0.0, 60.0, 90.0, 180.0]))
    rows, labels = torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([0, 0, 1, 2])
    # Squared distances: 0-60 1, 0-90 2, 60-90 0.268. Of the two rows with a positive, the first
    # has the hinge 1 + 0.5 - 2 and the second 1 + 0.5 - 0.268.
    assert active_triplets(rows, labels, thresholds=[0.5]) == 0.5
    assert active_triplets(rows, labels, thresholds=[1.1]) == 1.0
    # Judged from the positive, the hinges are 1 + 0.5 - 0.268 and 1 + 0.5 - 2.
    assert active_triplets(rows, labels, thresholds=[0.5], dual=True) == 0.5
    assert active_triplets(rows[2:], labels[2:], thresholds=[0.5]) == 0.0
