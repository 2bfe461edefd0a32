from __future__ import annotations

import loss_twins as twins
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.losses import concordance_loss

FEW = settings(max_examples=40, deadline=None, derandomize=True, database=None)
SEEDS = st.integers(0, 2**31)


def pair(seed: int, rows: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    target = torch.randn(rows, generator=g, dtype=torch.float64)
    return target + torch.randn(rows, generator=g, dtype=torch.float64), target


def test_worked_number_shows_the_convention() -> None:
    loss = concordance_loss(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 4.0]))
    assert loss.item() == pytest.approx(1 - 4 / 6)


@FEW
@given(seed=SEEDS)
def test_equals_its_twin_is_symmetric_and_bounded(seed: int) -> None:
    x, y = pair(seed)
    loss = concordance_loss(x, y).item()
    assert loss == pytest.approx(twins.concordance(x.tolist(), y.tolist()), abs=1e-9)
    assert loss == pytest.approx(concordance_loss(y, x).item(), abs=1e-12)
    assert 0 <= loss <= 2
    assert concordance_loss(y, y).item() == pytest.approx(0, abs=1e-12)
    assert concordance_loss(-y, y).item() >= 1


@FEW
@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_moving_both_alike_is_nothing(seed: int, scale: float, shift: float) -> None:
    x, y = pair(seed)
    moved = concordance_loss(scale * x + shift, scale * y + shift)
    torch.testing.assert_close(moved, concordance_loss(x, y), rtol=1e-6, atol=1e-8)


def test_columns_are_averaged() -> None:
    columns = [pair(seed) for seed in (1, 2, 3)]
    whole = concordance_loss(*(torch.stack(values, 1) for values in zip(*columns, strict=True)))
    torch.testing.assert_close(whole, torch.stack([concordance_loss(*c) for c in columns]).mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, 2, 7, 35, 256])
@pytest.mark.parametrize(
    ("prediction", "target"), [(0.1, 0.1), (0.1, 0.3), (0.0, 0.0), (1e-20, 1e-20), (1e4, 1e4)]
)
def test_constant_inputs_give_one_and_no_gradient_to_speak_of(
    dtype: torch.dtype, rows: int, prediction: float, target: float
) -> None:
    x = torch.full((rows,), prediction, dtype=dtype, requires_grad=True)
    loss = concordance_loss(x, torch.full((rows,), target, dtype=dtype))
    loss.backward()
    assert loss.item() == pytest.approx(1, abs=1e-4)
    assert x.grad.abs().max() < 1e-4


def test_a_constant_prediction_learns_from_a_varying_target() -> None:
    _, y = pair(4)
    x = torch.zeros_like(y, requires_grad=True)
    concordance_loss(x, y).backward()
    assert ((x.grad * (y - y.mean())) <= 0).all()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(3,\) and \(3, 1\)"):
        concordance_loss(torch.zeros(3), torch.zeros(3, 1))
