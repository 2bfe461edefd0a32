"""What mixup makes of a batch."""

import numpy as np
import pytest
import torch

from mien.training.batches.batch import Batch, mix

ROWS = 8


def example() -> Batch:
    """Rows with a class each, so that the blended distribution says what a row is made of."""
    inputs = torch.randn(ROWS, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    targets = {"expression": torch.arange(ROWS), "expression_distribution": torch.eye(ROWS)}
    return Batch(inputs, targets)


def shares(step: int, *, alpha: float = 1.0, seed: int = 0) -> torch.Tensor:
    """How much of each row is in each blended one."""
    return mix(example(), alpha=alpha, seed=seed, step=step).targets["expression_distribution"]


def test_every_row_is_blended_with_one_other() -> None:
    found = shares(2)
    own = found.diagonal()
    partner = (found - found.diag().diag()).argmax(1)
    share = own.min().item()
    assert 0.5 <= share < 0.99
    for row in range(ROWS):
        expected = torch.zeros(ROWS)
        expected[row] += share
        expected[int(partner[row]) if own[row] < 1 else row] += 1 - share
        torch.testing.assert_close(found[row], expected)
    # Each row is lent once, most of them to another row.
    torch.testing.assert_close(found.sum(0), torch.ones(ROWS))
    assert (own < 1).sum() >= ROWS / 2


def test_images_are_blended_as_their_targets_are() -> None:
    batch = example()
    for step in range(4):
        mixed = mix(batch, alpha=0.4, seed=5, step=step)
        distribution = mixed.targets["expression_distribution"]
        expected = torch.einsum("ij,jchw->ichw", distribution, batch.inputs)
        torch.testing.assert_close(mixed.inputs, expected)
        assert torch.equal(mixed.targets["expression"], distribution.argmax(1))
        assert torch.equal(mixed.targets["expression"], batch.targets["expression"])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_larger_share_is_a_folded_beta(alpha: float) -> None:
    found = np.array([shares(step, alpha=alpha).diagonal().min() for step in range(400)])
    expected = np.random.default_rng(9).beta(alpha, alpha, 100_000)
    expected = np.maximum(expected, 1 - expected)
    assert found.mean() == pytest.approx(expected.mean(), abs=4 * expected.std() / 20)
    assert found.std() == pytest.approx(expected.std(), rel=0.15)


def test_a_blend_depends_on_the_seed_and_the_step_alone() -> None:
    assert torch.equal(shares(1), shares(1))
    assert not torch.equal(shares(1), shares(2))
    assert not torch.equal(shares(1), shares(1, seed=1))


def test_numbers_are_blended_where_both_rows_have_them() -> None:
    values = torch.arange(2.0 * ROWS).reshape(ROWS, 2)
    values[1::2] = float("nan")
    values[0, 1] = float("nan")
    batch = example()
    distribution = batch.targets["expression_distribution"].clone()
    distribution[3] = 0  # a row without an expression
    targets = batch.targets | {"valence_arousal": values, "expression_distribution": distribution}
    for step in range(4):
        share = shares(step).diagonal()
        partner = (shares(step) - shares(step).diag().diag()).argmax(1)
        mixed = mix(Batch(batch.inputs, targets), alpha=1.0, seed=0, step=step).targets
        for row in range(ROWS):
            other = int(partner[row]) if share[row] < 1 else row
            blend = share[row] * values[row] + (1 - share[row]) * values[other]
            expected = torch.where(values[other].isnan(), values[row], blend)
            torch.testing.assert_close(mixed["valence_arousal"][row], expected, equal_nan=True)
            lacks = 3 in (row, other) and row != 3
            if row != 3:
                total = mixed["expression_distribution"][row].sum()
                torch.testing.assert_close(total, torch.tensor(1.0))
                assert not lacks or torch.equal(
                    mixed["expression_distribution"][row], distribution[row]
                )
