"""Which rows reach a loss, what class weights are, and what a batch without any of them gives."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mien.losses import concordance_loss
from mien.networks.network import Outputs
from mien.training.batches.batch import Batch, labeled_part
from mien.training.losses import LOSSES, Loss, LossContext, loss_value
from mien.training.losses.affect import Concordance
from mien.training.losses.centers import Center
from mien.training.losses.classification import (
    BinaryCrossEntropy,
    CrossEntropy,
    class_weights,
)
from mien.training.losses.metric import Triplet

CONTEXT = LossContext(3, 4, counts=(30, 10, 60))


def example() -> tuple[Outputs, Batch]:
    """Six rows: the third without an expression, the fifth without valence and arousal.

    The second has no action unit, and others lack some.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, -1, 1, 2, 0])
    distribution = functional.one_hot(labels.clamp(min=0), 3).float() * (labels >= 0)[:, None]
    affect = torch.rand(6, 2, generator=generator)
    affect[4] = torch.nan
    embedding = torch.randn(6, 4, generator=generator, requires_grad=True)
    heads = {
        "expression": embedding[:, :3] * 1.0,
        "valence_arousal": embedding[:, 2:] * 1.0,
        "action_units": embedding.repeat(1, 3),
    }
    units = torch.rand(6, 12, generator=generator).round(decimals=1)
    units[1] = torch.nan
    units[3, 4:] = torch.nan
    targets = {
        "expression": labels,
        "expression_distribution": distribution,
        "valence_arousal": affect,
        "action_units": units,
    }
    return Outputs(embedding, heads), Batch(torch.zeros(6, 1), targets)


def rows_of(outputs: Outputs, batch: Batch, rows: list[int]) -> tuple[Outputs, Batch]:
    def take(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor[rows] for name, tensor in tensors.items()}

    return (
        Outputs(outputs.embedding[rows], take(outputs.heads)),
        Batch(batch.inputs[rows], take(batch.targets)),
    )


@pytest.mark.parametrize(
    "settings",
    [
        CrossEntropy(loss="cross-entropy"),
        CrossEntropy(loss="cross-entropy", balanced=True, smoothing=0.1),
        Triplet(loss="triplet"),
        Center(loss="center"),
        Concordance(loss="concordance"),
        BinaryCrossEntropy(loss="binary-cross-entropy", positive_weight=3),
    ],
)
def test_a_loss_sees_the_rows_that_have_what_it_needs(settings: Loss) -> None:
    outputs, batch = example()
    left_out = {"expression": 2, "valence_arousal": 4, "action_units": 1}[settings.head]
    loss = settings.build(CONTEXT)
    value = loss_value(settings, loss, outputs, batch)
    expected = loss(*rows_of(outputs, batch, [row for row in range(6) if row != left_out]))
    assert value is not None
    torch.testing.assert_close(value, expected)
    value.backward()
    assert outputs.embedding.grad is not None
    assert not outputs.embedding.grad[left_out].any()
    assert torch.isfinite(outputs.embedding.grad).all() and outputs.embedding.grad.any()
    unknown = {
        "expression": torch.full((6,), -1),
        "valence_arousal": torch.full((6, 2), torch.nan),
        "action_units": torch.full((6, 12), torch.nan),
    }
    nothing = batch._replace(targets=batch.targets | unknown)
    assert loss_value(settings, loss, outputs, nothing) is None
    # Nor does it see a row of a dataset that does not have its labels at all.
    del nothing.targets[settings.head]
    assert loss_value(settings, loss, outputs, nothing) is None


def test_a_whole_batch_is_handed_on_as_it_is() -> None:
    outputs, batch = example()
    whole = {"expression": batch.targets["expression"].clamp(min=0)}
    batch = batch._replace(targets=batch.targets | whole)
    assert labeled_part("expression", outputs, batch) == (outputs, batch)
    assert labeled_part("expression", outputs, batch)[0] is outputs


def test_attention_is_taken_along_with_its_rows() -> None:
    outputs, batch = example()
    weights, places = torch.rand(6, 4), torch.rand(6, 2, 2)
    outputs = outputs._replace(attention=weights, attention_map=places)
    part, _ = labeled_part("valence_arousal", outputs, batch)
    kept = [0, 1, 2, 3, 5]
    assert part.attention is not None and torch.equal(part.attention, weights[kept])
    assert part.attention_map is not None and torch.equal(part.attention_map, places[kept])


def test_concordance_is_the_mean_of_both() -> None:
    outputs, batch = example()
    settings = Concordance(loss="concordance")
    known = [0, 1, 2, 3, 5]
    said = outputs.heads["valence_arousal"][known]
    truth = batch.targets["valence_arousal"][known]
    each = [concordance_loss(said[:, i], truth[:, i]) for i in range(2)]
    value = loss_value(settings, settings.build(CONTEXT), outputs, batch)
    torch.testing.assert_close(value, sum(each) / 2)


def test_class_weights_are_the_rarest_count_over_the_own() -> None:
    torch.testing.assert_close(class_weights([30, 10, 60]), torch.tensor([1 / 3, 1, 1 / 6]))
    assert class_weights([5, 0])[1] == 1


def test_balanced_cross_entropy_is_torchs_for_class_indices() -> None:
    outputs, batch = example()
    labels = batch.targets["expression"]
    kept = labels >= 0
    settings = CrossEntropy(loss="cross-entropy", balanced=True)
    value = loss_value(settings, settings.build(CONTEXT), outputs, batch)
    expected = functional.cross_entropy(
        outputs.heads["expression"][kept], labels[kept], weight=class_weights(CONTEXT.counts)
    )
    torch.testing.assert_close(value, expected)


def test_units_are_present_from_two_of_five_and_cells_without_one_do_not_count() -> None:
    outputs, batch = example()
    settings = BinaryCrossEntropy(loss="binary-cross-entropy", positive_weight=3)
    value = loss_value(settings, settings.build(CONTEXT), outputs, batch)
    cells = []
    for logits, units in zip(
        outputs.heads["action_units"], batch.targets["action_units"], strict=True
    ):
        for logit, unit in zip(logits.tolist(), units.tolist(), strict=True):
            if unit == unit:  # annotated
                present = unit >= 0.4 - 1e-6
                cell = math.log1p(math.exp(-logit if present else logit))
                cells.append(3 * cell if present else cell)
    assert len(cells) == 6 * 12 - 12 - 8
    assert value is not None
    assert value.item() == pytest.approx(sum(cells) / len(cells))


def test_intensities_are_their_own_targets() -> None:
    outputs, batch = example()
    settings = BinaryCrossEntropy(loss="binary-cross-entropy", intensities=True)
    value = loss_value(settings, settings.build(CONTEXT), outputs, batch)
    units = batch.targets["action_units"]
    known = ~units.isnan()
    expected = functional.binary_cross_entropy_with_logits(
        outputs.heads["action_units"][known].float(), units[known].float()
    )
    torch.testing.assert_close(value, expected)
    presence = BinaryCrossEntropy(loss="binary-cross-entropy")
    assert value != loss_value(presence, presence.build(CONTEXT), outputs, batch)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_says_what_it_needs(name: str) -> None:
    from mien.heads import HEADS

    loss = LOSSES[name]
    assert loss.head in HEADS and set(loss.trains) <= set(HEADS)
    assert loss.__doc__
    # What trains a head's layers reads that head's targets.
    assert loss.trains in ((), (loss.head,))
