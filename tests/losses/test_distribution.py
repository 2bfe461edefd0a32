from __future__ import annotations

import loss_twins as twins
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.losses import label_distribution, label_distribution_loss

FEW = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@FEW
@given(score=st.floats(0, 63), deviation=st.floats(0.3, 20))
def test_equals_its_twin_and_has_mass_one(score: float, deviation: float) -> None:
    found = label_distribution(torch.tensor([score], dtype=torch.float64), deviation=deviation)
    twin = twins.label_distribution([score], 64, deviation)
    torch.testing.assert_close(found, torch.tensor(twin, dtype=torch.float64), atol=1e-9, rtol=0)
    assert found.sum().item() == pytest.approx(1)
    assert abs(found.argmax().item() - score) <= 0.5 + 1e-9


def test_the_expectation_is_the_score_away_from_the_ends() -> None:
    scores = torch.tensor([20.0, 31.5, 40.25], dtype=torch.float64)
    expectation = label_distribution(scores) @ torch.arange(64, dtype=torch.float64)
    torch.testing.assert_close(expectation, scores, atol=1e-6, rtol=0)


def test_integers_give_the_default_float() -> None:
    found = label_distribution(torch.tensor([3]), levels=8)
    assert found.shape == (1, 8) and found.dtype == torch.get_default_dtype()


@pytest.mark.parametrize("score", [-0.01, 63.01, float("nan"), float("inf")])
def test_scores_off_the_scale_are_refused(score: float) -> None:
    with pytest.raises(ValueError, match=r"in \[0, 63\], got"):
        label_distribution(torch.tensor([5.0, score]))


def test_wrong_shapes_and_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="deviation above 0"):
        label_distribution(torch.tensor([1.0]), deviation=0.0)
    with pytest.raises(ValueError, match=r"scores \(B,\)"):
        label_distribution(torch.ones(2, 2))
    with pytest.raises(ValueError, match="one shape"):
        label_distribution_loss(torch.zeros(3, 4), torch.full((3, 5), 0.2))


def test_divergence_is_zero_at_the_target_and_skips_empty_levels() -> None:
    target = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64)
    logits = torch.tensor([[0.0, 0.0, -800.0]], dtype=torch.float64, requires_grad=True)
    loss = label_distribution_loss(logits, target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert logits.grad.abs().max() < 1e-12
    impossible = torch.tensor([[0.0, 0.0, -torch.inf]], dtype=torch.float64, requires_grad=True)
    loss = label_distribution_loss(impossible, target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12) and impossible.grad.isfinite().all()
    # Uniform p against a certain q: log 3.
    certain = torch.tensor([[1.0, 0.0, 0.0]])
    assert label_distribution_loss(torch.zeros(1, 3), certain).item() == pytest.approx(1.0986123)


@FEW
@given(seed=st.integers(0, 2**31))
def test_divergence_is_never_negative_and_its_gradient_is_p_minus_q(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 64, generator=g, dtype=torch.float64).requires_grad_()
    target = label_distribution(63 * torch.rand(5, generator=g, dtype=torch.float64))
    loss = label_distribution_loss(logits, target)
    loss.backward()
    assert loss.item() > 0
    torch.testing.assert_close(logits.grad, (logits.softmax(1) - target).detach() / 5)
