from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import make_batch
from loss_twins import histogram as twin_histogram

from mien.losses import (
    histogram_loss,
    label_aware_histogram_loss,
    ordinal_histogram_loss,
)
from mien.losses.histogram import _histograms

FEW = settings(max_examples=30, deadline=None, derandomize=True, database=None)
SEEDS = st.integers(0, 2**31)


def exact_probability(rows: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of (positive pair, negative pair) where the negative is more similar."""
    z = torch.nn.functional.normalize(rows)
    first, second = torch.triu_indices(len(z), len(z), 1)
    s = (z @ z.T)[first, second]
    same = labels[first] == labels[second]
    return (s[~same][:, None] > s[same][None, :]).double().mean().item()


@FEW
@given(seed=SEEDS, signal=st.floats(0, 2), width=st.integers(3, 16))
def test_is_near_the_exact_probability(seed: int, signal: float, width: int) -> None:
    b = make_batch(seed, rows=64, width=width, signal=signal)
    loss = histogram_loss(b.embeddings, b.labels).item()
    assert loss == pytest.approx(exact_probability(b.embeddings, b.labels), abs=0.02)


@FEW
@given(seed=SEEDS, bins=st.integers(2, 200), groups=st.integers(1, 4))
def test_histograms_have_mass_one_and_no_negative_bin(seed: int, bins: int, groups: int) -> None:
    g = torch.Generator().manual_seed(seed)
    s = 2 * torch.rand(50, generator=g, dtype=torch.float64) - 1
    s[:3] = torch.tensor([-1.0, 1.0, 0.0])
    group = torch.randint(groups, (50,), generator=g)
    weights = torch.rand(50, generator=g, dtype=torch.float64)
    found, masses = _histograms(s, group, groups, bins, weights)
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum(1), (masses > 0).double())
    torch.testing.assert_close(masses.sum(), weights.sum())
    members = group == 0
    if members.any():
        twin = twin_histogram(s[members].tolist(), weights[members].tolist(), bins)
        torch.testing.assert_close(found[0], torch.tensor(twin, dtype=torch.float64))


@pytest.mark.parametrize("loss", [histogram_loss, label_aware_histogram_loss])
def test_zero_when_like_pairs_are_alike_and_one_when_opposite(loss: object) -> None:
    rows = torch.eye(2, dtype=torch.float64).repeat_interleave(4, 0)
    scores = torch.tensor([0] * 4 + [400] * 4)
    assert loss(rows, scores).item() == pytest.approx(0, abs=1e-12)
    mixed = torch.tensor([0, 400] * 4)
    separate = loss(rows, mixed).item()
    assert 0.5 < separate < 1


@FEW
@given(seed=SEEDS)
def test_label_aware_with_far_scores_is_the_binary_loss(seed: int) -> None:
    b = make_batch(seed)
    far = label_aware_histogram_loss(b.embeddings, b.labels * 1000)
    torch.testing.assert_close(far, histogram_loss(b.embeddings, b.labels))


@FEW
@given(seed=SEEDS)
def test_ordinal_with_two_groups_is_the_binary_loss(seed: int) -> None:
    b = make_batch(seed)
    two = ordinal_histogram_loss(b.embeddings, b.labels, edges=(0, 1, 4))
    torch.testing.assert_close(two, histogram_loss(b.embeddings, b.labels))


@FEW
@given(seed=SEEDS)
def test_only_gaps_count(seed: int) -> None:
    b = make_batch(seed)
    scores = b.scores.double()
    for loss in (label_aware_histogram_loss, ordinal_histogram_loss):
        for other in (scores + 100, 63 - scores):
            torch.testing.assert_close(loss(b.embeddings, other), loss(b.embeddings, scores))


@pytest.mark.parametrize("loss", [label_aware_histogram_loss, ordinal_histogram_loss])
def test_a_line_in_the_order_of_its_scores_beats_a_shuffled_one(loss: object) -> None:
    scores = torch.arange(0, 64, 3)
    angles = scores.double() / 64 * torch.pi
    line = torch.stack([angles.cos(), angles.sin()], 1)
    shuffled = line[torch.randperm(len(line), generator=torch.Generator().manual_seed(0))]
    assert loss(line, scores).item() < 0.2 < 0.4 < loss(shuffled, scores).item()


def test_small_gaps_keep_their_digits() -> None:
    """1 - exp(-x) of a gap of 1e-6 is zero in float32; the histogram of unlike pairs is not."""
    b = make_batch(0)
    scores = b.scores.double()
    wide, exact = (
        label_aware_histogram_loss(b.embeddings.to(t), scores.to(t), bandwidth=1e6).item()
        for t in (torch.float32, torch.float64)
    )
    assert wide == pytest.approx(exact, rel=1e-4) and exact > 0


def test_wrong_settings_are_refused() -> None:
    b = make_batch(0)
    with pytest.raises(ValueError, match="at least two bins, got 1"):
        histogram_loss(b.embeddings, b.labels, bins=1)
    with pytest.raises(ValueError, match="bandwidth"):
        label_aware_histogram_loss(b.embeddings, b.scores, bandwidth=0.0)
    for edges in ((1, 5), (0, 5, 5), (0,), ()):
        with pytest.raises(ValueError, match="ascend from 0"):
            ordinal_histogram_loss(b.embeddings, b.scores, edges=edges)
    with pytest.raises(ValueError, match="below the last edge 10"):
        ordinal_histogram_loss(b.embeddings, b.scores, edges=(0, 5, 10))


def test_a_gap_at_the_last_edge_is_beyond_it() -> None:
    embeddings, scores = torch.eye(2), torch.tensor([0.0, 10.0])
    ordinal_histogram_loss(embeddings, scores, edges=(0, 5, 10.5))
    with pytest.raises(ValueError, match="below the last edge 10"):
        ordinal_histogram_loss(embeddings, scores, edges=(0, 5, 10))
