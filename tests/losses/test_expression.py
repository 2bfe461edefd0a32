from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import make_batch

from mien.losses import expression_center_loss, expression_metric_loss

CROSS = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1, 1])


def test_worked_numbers() -> None:
    # d: 2 within a class; 2, 2, 4, 4 between, of which [3 - d]_+ is 1, 1, 0, 0.
    assert expression_metric_loss(CROSS, LABELS, margin=3.0).item() == pytest.approx(2 + 0.5)
    assert expression_metric_loss(CROSS, LABELS, margin=3.0, beta=0.0).item() == pytest.approx(2)
    # Class means (1/2, 1/2) and (-1/2, -1/2): 1/2 to each row, 2 between them.
    assert expression_center_loss(CROSS, LABELS, margin=3.0).item() == pytest.approx(0.5 + 1)


@pytest.mark.parametrize("loss", [expression_metric_loss, expression_center_loss])
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**31), low=st.floats(0, 3), more=st.floats(0, 1))
def test_grows_with_the_margin_by_its_growth_at_most(
    loss: object, seed: int, low: float, more: float
) -> None:
    b = make_batch(seed)
    near, far = (loss(b.embeddings, b.labels, margin=m).item() for m in (low, low + more))
    assert -1e-12 <= far - near <= more + 1e-12


@pytest.mark.parametrize("loss", [expression_metric_loss, expression_center_loss])
def test_a_step_down_draws_classes_together_and_apart(loss: object) -> None:
    b = make_batch(0, rows=40, signal=0.2)
    rows = b.embeddings.clone().requires_grad_()

    def ratio(values: torch.Tensor) -> float:
        z = torch.nn.functional.normalize(values.detach())
        d = torch.cdist(z, z).square()
        same = b.labels[:, None] == b.labels
        return (d[~same].mean() / d[same].mean()).item()

    before = ratio(rows)
    optimizer = torch.optim.SGD([rows], lr=1.0)
    for _ in range(100):
        optimizer.zero_grad()
        loss(rows, b.labels).backward()
        optimizer.step()
    assert ratio(rows) > 1.3 * before
