from __future__ import annotations

import warnings

import pytest
import torch
from external_losses import NEEDED
from loss_cases import make_batch
from pytorch_metric_learning import distances, losses, miners, reducers

from mien.errors import MienError
from mien.losses import (
    expression_metric_loss,
    histogram_loss,
    pytorch_metric_learning_loss,
    triplet_loss,
)
from mien.losses.external import external_names

SEEDS = pytest.mark.parametrize("seed", range(5))


def squared_unit_distance() -> distances.LpDistance:
    return distances.LpDistance(normalize_embeddings=True, p=2, power=2)


class TestAgreement:
    """Where pytorch-metric-learning computes the same, the values and gradients are the same."""

    def check(
        self, ours: torch.Tensor, theirs: torch.Tensor, rows: torch.Tensor, digits: int = 9
    ) -> None:
        slack = 10.0**-digits
        torch.testing.assert_close(ours, theirs, rtol=slack, atol=slack)
        found, wanted = (torch.autograd.grad(loss, rows)[0] for loss in (ours, theirs))
        torch.testing.assert_close(found, wanted, rtol=10 * slack, atol=10 * slack)

    @SEEDS
    def test_batch_hard_triplets_averaged_over_the_anchors(self, seed: int) -> None:
        b = make_batch(seed).tracked()
        mined = miners.BatchHardMiner(distance=squared_unit_distance())(b.embeddings, b.labels)
        theirs = losses.TripletMarginLoss(
            margin=0.5, distance=squared_unit_distance(), reducer=reducers.MeanReducer()
        )(b.embeddings, b.labels, mined)
        self.check(triplet_loss(b.embeddings, b.labels), theirs, b.embeddings)

    @SEEDS
    def test_all_triplets_averaged_over_the_active(self, seed: int) -> None:
        b = make_batch(seed).tracked()
        theirs = losses.TripletMarginLoss(margin=0.5, distance=squared_unit_distance())
        self.check(
            triplet_loss(b.embeddings, b.labels, mining="all"),
            theirs(b.embeddings, b.labels),
            b.embeddings,
        )

    @SEEDS
    def test_expression_loss_is_a_contrastive_loss_averaged_over_the_pairs(self, seed: int) -> None:
        b = make_batch(seed).tracked()
        theirs = losses.ContrastiveLoss(
            pos_margin=0,
            neg_margin=1.0,
            distance=squared_unit_distance(),
            reducer=reducers.MeanReducer(),
        )
        self.check(
            expression_metric_loss(b.embeddings, b.labels),
            theirs(b.embeddings, b.labels),
            b.embeddings,
        )

    @SEEDS
    def test_histogram_with_one_bin_fewer_than_nodes(self, seed: int) -> None:
        b = make_batch(seed).tracked()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using a non-tuple sequence", UserWarning)
            theirs = losses.HistogramLoss(n_bins=150)(b.embeddings, b.labels)
        # It computes the nodes in float32 whatever the input.
        ours = histogram_loss(b.embeddings, b.labels, bins=151)
        self.check(ours, theirs, b.embeddings, digits=6)


def test_every_loss_and_miner_of_the_library_is_named_or_left_out_for_a_reason() -> None:
    left_out = set(dir(losses)) - set(external_names("losses"))
    assert {n for n in left_out if n.endswith("Loss")} == {
        "GenericPairLoss",
        "ManifoldLoss",
        "SelfSupervisedLoss",
        "VICRegLoss",
    }
    left_out = set(dir(miners)) - set(external_names("miners"))
    assert {n for n in left_out if n.endswith("Miner")} == {"BaseMiner"}


# Both are the library's own calls into newer versions of torch and numpy.
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")
@pytest.mark.parametrize("name", external_names("losses"))
def test_every_named_loss_gives_a_scalar_that_backpropagates(name: str) -> None:
    g = torch.Generator().manual_seed(0)
    rows = torch.randn(16, 8, generator=g).requires_grad_()
    labels = torch.arange(16) % 4
    loss = pytorch_metric_learning_loss(name, NEEDED.get(name, {}))(rows, labels)
    loss.backward()
    assert loss.shape == () and loss.isfinite() and rows.grad.isfinite().all()


@pytest.mark.parametrize("name", external_names("miners"))
def test_every_named_miner_serves_a_loss(name: str) -> None:
    g = torch.Generator().manual_seed(0)
    rows = torch.randn(16, 8, generator=g).requires_grad_()
    module = pytorch_metric_learning_loss("TripletMarginLoss", miner=name)
    module(rows, torch.arange(16) % 4).backward()
    assert rows.grad.isfinite().all()


def test_a_miner_gets_its_arguments() -> None:
    module = pytorch_metric_learning_loss(
        "ContrastiveLoss",
        {"neg_margin": 0.8},
        miner="MultiSimilarityMiner",
        miner_arguments={"epsilon": 0.2},
    )
    assert module.loss.neg_margin == 0.8 and module.miner.epsilon == 0.2


@pytest.mark.parametrize(
    ("name", "arguments", "miner"),
    [
        ("SupConLoss", {"temperature": 0.1}, None),
        ("MultiSimilarityLoss", {"alpha": 2.0, "beta": 50.0, "base": 0.5}, "MultiSimilarityMiner"),
        ("ArcFaceLoss", {"num_classes": 3, "embedding_size": 16}, None),
    ],
)
def test_trains_a_small_network(name: str, arguments: dict, miner: str | None) -> None:
    torch.manual_seed(0)
    labels = torch.arange(48) % 3
    inputs = torch.randn(3, 10)[labels] + torch.randn(48, 10)
    network = torch.nn.Sequential(torch.nn.Linear(10, 32), torch.nn.ReLU(), torch.nn.Linear(32, 16))
    module = pytorch_metric_learning_loss(name, arguments, miner=miner)
    optimizer = torch.optim.Adam([*network.parameters(), *module.parameters()], lr=3e-3)
    history = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = module(network(inputs), labels)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.7 * history[0]


def test_unknown_names_and_arguments_are_one_sentence() -> None:
    with pytest.raises(MienError, match=r"got 'SupconLoss'; did you mean SupConLoss"):
        pytorch_metric_learning_loss("SupconLoss")
    with pytest.raises(MienError, match=r"a miner of .* did you mean BatchHardMiner"):
        pytorch_metric_learning_loss("SupConLoss", miner="BatchHard")
    with pytest.raises(MienError, match="known: AngularLoss"):
        pytorch_metric_learning_loss("xyz")
    with pytest.raises(MienError, match=r"SupConLoss takes, got .*temprature"):
        pytorch_metric_learning_loss("SupConLoss", {"temprature": 0.1})
    with pytest.raises(MienError, match="'num_classes'"):
        pytorch_metric_learning_loss("ArcFaceLoss")
    with pytest.raises(MienError, match="expected a miner for the arguments"):
        pytorch_metric_learning_loss("SupConLoss", miner_arguments={"epsilon": 0.1})
