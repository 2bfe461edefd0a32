from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import STRATEGIES, make_batch

from mien.losses import Centers, center_loss, negative_centers, triplet_center_loss

FEW = settings(max_examples=30, deadline=None, derandomize=True, database=None)
SEEDS = st.integers(0, 2**31)
ROWS = torch.tensor([[0.0, 0.0]])
OWN = torch.tensor([0])
CENTERS = torch.tensor([[9.0, 9.0], [1.0, -4.0], [3.0, 2.0]])


def test_worked_numbers() -> None:
    assert center_loss(torch.tensor([[3.0, 4.0]]), OWN, torch.zeros(2, 2)).item() == 12.5
    # 1/2 (81 + 81) to the own center, 1/2 (9 + 4) to the nearest other.
    assert triplet_center_loss(ROWS, OWN, CENTERS, margin=1.0).item() == 81 - 6.5 + 1


def test_each_strategy_by_hand() -> None:
    logits = torch.tensor([[5.0, 2.0, 1.0]])
    attention = torch.tensor([[0.1, 0.9]])

    def negative(name: str, **kwargs: object) -> list[float]:
        return negative_centers(ROWS, OWN, CENTERS, negatives=name, **kwargs)[0].tolist()

    assert negative("nearest") == [3, 2]
    assert negative("fully-synthesized") == [1, 2]
    assert negative("semi-synthesized") == [1, 2]
    # Attention makes the second dimension the synthesized one; it is the nearest center's anyway.
    assert negative("semi-synthesized", attention=attention) == [3, 2]
    assert negative("semi-synthesized", ratio=0.0) == [3, 2]
    assert negative("semi-synthesized", ratio=1.0) == [1, 2]
    assert negative("prediction-based", logits=logits) == [1, -4]
    # Distance is weighted: where only the first dimension counts, the nearest center changes.
    assert negative("nearest", attention=torch.tensor([[1.0, 0.0]])) == [1, -4]


@FEW
@given(seed=SEEDS, ratio=st.floats(0, 1), attended=st.booleans())
def test_negatives_are_ordered_by_how_hard_they_are(
    seed: int, ratio: float, attended: bool
) -> None:
    b = make_batch(seed)
    weights = b.attention if attended else torch.ones_like(b.attention)

    def distance(name: str) -> torch.Tensor:
        chosen = negative_centers(
            b.embeddings,
            b.labels,
            b.centers,
            negatives=name,
            logits=b.logits,
            attention=b.attention if attended else None,
            ratio=ratio,
        )
        return (weights * (b.embeddings - chosen).square()).sum(1) / 2

    fully, semi = distance("fully-synthesized"), distance("semi-synthesized")
    nearest, predicted = distance("nearest"), distance("prediction-based")
    assert (fully <= semi + 1e-12).all()
    assert (semi <= nearest + 1e-12).all()
    assert (nearest <= predicted + 1e-12).all()


@FEW
@given(seed=SEEDS, low=st.floats(0, 3), more=st.floats(0, 1))
def test_grows_with_the_margin_by_its_growth_at_most(seed: int, low: float, more: float) -> None:
    b = make_batch(seed)
    for name in STRATEGIES:
        near, far = (
            triplet_center_loss(
                b.embeddings, b.labels, b.centers, margin=m, negatives=name, logits=b.logits
            ).item()
            for m in (low, low + more)
        )
        assert -1e-12 <= far - near <= more + 1e-12


def test_ones_as_attention_are_no_attention() -> None:
    b = make_batch(0)
    ones = torch.ones_like(b.attention)
    plain = center_loss(b.embeddings, b.labels, b.centers)
    assert plain == center_loss(b.embeddings, b.labels, b.centers, attention=ones)


def test_the_own_center_is_never_the_negative() -> None:
    b = make_batch(1)
    sure = torch.nn.functional.one_hot(b.labels, 4) * 100.0
    on_center = b.centers[b.labels]
    for name in STRATEGIES:
        chosen = negative_centers(on_center, b.labels, b.centers, negatives=name, logits=sure)
        assert ((chosen - on_center).abs().sum(1) > 0).all()


def test_the_negative_center_is_pushed() -> None:
    centers = CENTERS.clone().requires_grad_()
    triplet_center_loss(ROWS, OWN, centers).backward()
    assert torch.equal(centers.grad, torch.tensor([[9.0, 9.0], [0.0, 0.0], [-3.0, -2.0]]))


def test_wrong_settings_are_refused() -> None:
    b = make_batch(0)
    args = (b.embeddings, b.labels, b.centers)
    with pytest.raises(ValueError, match="'prediction-based', got 'hardest'"):
        triplet_center_loss(*args, negatives="hardest")
    with pytest.raises(ValueError, match=r"expected logits \(18, 4\), got none"):
        triplet_center_loss(*args, negatives="prediction-based")
    with pytest.raises(ValueError, match="at least two classes, got 1"):
        triplet_center_loss(b.embeddings, b.labels * 0, b.centers[:1])
    with pytest.raises(ValueError, match=r"expected centers \(C, 12\), got \(4, 11\)"):
        center_loss(b.embeddings, b.labels, b.centers[:, 1:])
    with pytest.raises(ValueError, match=r"expected attention \(18, 12\), got \(18, 1\)"):
        center_loss(*args, attention=b.attention[:, :1])
    with pytest.raises(ValueError, match="ratio in"):
        triplet_center_loss(*args, negatives="semi-synthesized", ratio=1.5)


class TestCenters:
    def test_the_optimizer_moves_them_at_their_own_rate(self) -> None:
        b = make_batch(2).cast(torch.float32)
        centers = Centers(4, 12, lr=0.25)
        before = centers.weight.detach().clone()
        network = torch.nn.Linear(12, 12)
        optimizer = torch.optim.SGD(
            [{"params": network.parameters()}, centers.parameter_group()], lr=1e-3
        )
        center_loss(network(b.embeddings), b.labels, centers()).backward()
        gradient = centers.weight.grad.clone()
        optimizer.step()
        torch.testing.assert_close(centers.weight.detach(), before - 0.25 * gradient)
        centers.update(b.embeddings, b.labels)
        torch.testing.assert_close(centers.weight.detach(), before - 0.25 * gradient)

    @pytest.mark.parametrize("attended", [False, True])
    def test_the_other_rule_moves_them_towards_their_rows(self, attended: bool) -> None:
        b = make_batch(3).cast(torch.float32)
        labels = b.labels.clamp_max(2)
        weights = b.attention if attended else torch.ones_like(b.attention)
        centers = Centers(4, 12, lr=0.5, update_rule="dacl")
        assert centers.parameter_group()["params"] == []
        before = centers.weight.clone()
        centers.update(b.embeddings, labels, b.attention if attended else None)
        for j in range(4):
            change = torch.zeros(12)
            members = [i for i in range(len(labels)) if labels[i] == j]
            for i in members:
                change += weights[i] * (before[j] - b.embeddings[i])
            expected = before[j] - 0.5 * change / (1 + len(members))
            torch.testing.assert_close(centers.weight[j], expected)
        assert torch.equal(centers.weight[3], before[3])

    def test_they_are_saved_with_the_model(self) -> None:
        model = torch.nn.ModuleDict({"centers": Centers(4, 12)})
        state = model.state_dict()
        assert {name: tuple(v.shape) for name, v in state.items()} == {"centers.weight": (4, 12)}
        other = torch.nn.ModuleDict({"centers": Centers(4, 12, update_rule="dacl")})
        other.load_state_dict(state)
        assert torch.equal(other["centers"](), model["centers"]())

    def test_a_generator_leaves_the_global_state_alone(self) -> None:
        state = torch.get_rng_state()
        one, two = (
            Centers(7, 512, generator=torch.Generator().manual_seed(1)).weight for _ in range(2)
        )
        assert torch.equal(one, two) and torch.equal(state, torch.get_rng_state())
        assert one.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.05)

    def test_an_unknown_rule_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'gradient' or 'dacl', got 'mean'"):
            Centers(4, 12, update_rule="mean")
