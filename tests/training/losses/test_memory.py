"""Cross-batch memory: what is compared with what, what is remembered, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mien.errors import MienError
from mien.losses import (
    histogram_loss,
    multi_threshold_loss,
    pytorch_metric_learning_loss,
    triplet_loss,
)
from mien.losses.pairs import unit_rows
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch
from mien.training.losses import LossContext
from mien.training.losses.memory import Remembering
from mien.training.losses.metric import Triplet
from mien.training.recipe import load_recipe

CONTEXT = LossContext(4, 8)


def rows(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(count, 8, generator=g, dtype=torch.float64)
    return embeddings, torch.randint(3, (count,), generator=g)


@pytest.mark.parametrize("mining", ["hard", "all"])
def test_triplets_of_the_first_rows_alone_are_judged(mining: str) -> None:
    embeddings, labels = rows(13)
    unit = unit_rows(embeddings)
    distances = (unit[:, None] - unit[None]).square().sum(-1)
    hinges: list[Tensor] = []
    for anchor in range(5):
        same = [j for j in range(13) if labels[j] == labels[anchor] and j != anchor]
        others = [j for j in range(13) if labels[j] != labels[anchor]]
        gaps = distances[anchor, same][:, None] - distances[anchor, others][None] + 0.5
        hinges += [gaps.max().clamp_min(0)] if mining == "hard" else [gaps[gaps > 0]]
    expected = torch.cat([hinge.reshape(-1) for hinge in hinges]).mean()
    value = triplet_loss(embeddings, labels, mining=mining, anchors=5)
    torch.testing.assert_close(value, expected)
    sliced = multi_threshold_loss(
        embeddings, labels, thresholds=[0.5], dual=False, mining=mining, anchors=5
    )
    torch.testing.assert_close(sliced, expected)
    everybody = triplet_loss(embeddings, labels, mining=mining, anchors=13)
    torch.testing.assert_close(everybody, triplet_loss(embeddings, labels, mining=mining))


@pytest.mark.parametrize("mining", ["hard", "all"])
def test_gradients_with_anchors_are_those_of_the_value(mining: str) -> None:
    embeddings, labels = rows(9)
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e: triplet_loss(e, labels, mining=mining, anchors=4), embeddings
    )


def test_pairs_without_an_anchor_do_not_count() -> None:
    embeddings, labels = rows(12)
    moved = embeddings.clone()
    # Both rows of a pair behind the anchors; a remembered pair that comes closer changes nothing.
    similar = unit_rows(moved)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 12)]
    alike = torch.stack([similar[i] @ similar[j] for i, j in pairs])
    unlike = torch.tensor([bool(labels[i] != labels[j]) for i, j in pairs])
    exact = (alike[unlike][:, None] > alike[~unlike][None]).double().mean()
    assert histogram_loss(embeddings, labels, bins=2001, anchors=4).item() == pytest.approx(
        exact.item(), abs=0.02
    )


def test_the_library_compares_no_row_with_itself() -> None:
    embeddings, labels = rows(12)
    loss = pytorch_metric_learning_loss("SupConLoss")
    # Of all rows as anchors, the value is that without a memory.
    torch.testing.assert_close(loss(embeddings, labels, 12), loss(embeddings, labels))


def test_the_last_rows_are_remembered_and_have_no_gradient() -> None:
    loss = Triplet(loss="triplet", memory=7).build(CONTEXT)
    assert isinstance(loss, Remembering)
    seen: list[Tensor] = []
    for seed in range(4):
        embeddings, labels = rows(5, seed)
        embeddings.requires_grad_()
        batch = Batch(torch.zeros(5, 0), {"expression": labels})
        value = loss(Outputs(embeddings, {}), batch)
        before = torch.cat([embeddings, *reversed(seen)])[: 5 + 7]
        of_before = torch.cat([labels, *(rows(5, s)[1] for s in reversed(range(seed)))])
        if seed < 2:  # until it is full, in whichever order
            expected = triplet_loss(before, of_before[: len(before)], anchors=5)
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
        value.backward()
        seen.append(embeddings.detach())
    assert embeddings.grad is not None and embeddings.grad.abs().sum() > 0
    expected_rows = torch.cat(seen)[-7:].float()
    assert sorted(loss.rows.sum(1).tolist()) == pytest.approx(sorted(expected_rows.sum(1).tolist()))
    assert not list(loss.parameters())


def test_a_batch_larger_than_the_memory_leaves_its_last_rows() -> None:
    loss = Triplet(loss="triplet", memory=3).build(CONTEXT)
    embeddings, labels = rows(8)
    loss(Outputs(embeddings, {}), Batch(torch.zeros(8, 0), {"expression": labels}))
    torch.testing.assert_close(
        loss.rows.sum(1).sort().values, embeddings[-3:].float().sum(1).sort().values
    )


def test_a_loss_without_pairs_has_no_memory() -> None:
    with pytest.raises(MienError, match=r"pml\.ArcFaceLoss compares no rows"):
        load_recipe("triplet", ["losses.1={loss: pml.ArcFaceLoss, memory: 10}"])
