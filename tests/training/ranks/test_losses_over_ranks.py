"""On W ranks every loss has the value and the gradients that it has on one rank."""

from __future__ import annotations

import pytest
import rank_cases
import torch
from rank_cases import FAULTS, OURS, SETTINGS, SOME, Step, batches
from rank_processes import on_ranks

from mien.training.losses import LOSSES

Steps = dict[tuple[str, str], Step]
OTHERS = [name for name in SETTINGS if name not in SOME]
EACH_BATCH = pytest.mark.parametrize("kind", batches(2))


@pytest.fixture(scope="module")
def two_of_others(tmp_path_factory: pytest.TempPathFactory) -> list[Steps]:
    return on_ranks(2, tmp_path_factory.mktemp("others"), rank_cases.steps, OTHERS)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Steps]:
    return on_ranks(3, tmp_path_factory.mktemp("three"), rank_cases.steps, list(SETTINGS))


def check(steps: list[Steps], name: str, kind: str) -> None:
    """Every rank has what one rank has of the whole batch."""
    expected = rank_cases.step(name, batches(len(steps))[kind])
    for of_rank in steps:
        got = of_rank[name, kind]
        assert got.refused == expected.refused
        assert got.gradients.keys() == expected.gradients.keys()
        torch.testing.assert_close(got[:3], expected[:3], rtol=1e-6, atol=1e-6)
        learned = steps[0][name, kind].learned
        assert all(torch.equal(value, learned[key]) for key, value in got.learned.items())


def test_no_loss_of_a_recipe_is_left_out() -> None:
    assert {name.split()[0] for name in OURS} == LOSSES.keys() - {"pml"}


@pytest.mark.slow
def test_a_loss_is_refused_on_few_batches_only() -> None:
    refused = {
        name
        for name in SETTINGS
        if all(rank_cases.step(name, batch).refused for batch in batches(2).values())
    }
    assert not refused


@pytest.mark.slow
@EACH_BATCH
@pytest.mark.parametrize("name", SOME)
def test_two_ranks_equal_one(two_ranks: list[dict[str, Steps]], name: str, kind: str) -> None:
    check([of_rank["steps"] for of_rank in two_ranks], name, kind)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_gradient_is_seen(two_ranks: list[dict[str, Steps]], fault: str) -> None:
    faulty = [{("triplet", "even"): of_rank["faults"][fault, "even"]} for of_rank in two_ranks]
    with pytest.raises(AssertionError):
        check(faulty, "triplet", "even")


@pytest.mark.slow
@EACH_BATCH
@pytest.mark.parametrize("name", OTHERS)
def test_two_ranks_equal_one_with_other_losses(
    two_of_others: list[Steps], name: str, kind: str
) -> None:
    check(two_of_others, name, kind)


@pytest.mark.slow
@EACH_BATCH
@pytest.mark.parametrize("name", SETTINGS)
def test_three_ranks_equal_one(three: list[Steps], name: str, kind: str) -> None:
    check(three, name, kind)
