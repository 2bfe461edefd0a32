"""Which rows reach a term, what class weights are, and what a batch without any of them gives."""

import pytest
import torch
from mien.training.batch import Batch, labeled_part
from mien.training.term import Shape, loss_value
from mien.training.terms import Center, Concordance, CrossEntropy, Triplet, class_weights
from torch.nn import functional

from mien.losses import concordance_loss
from mien.networks.network import Outputs

SHAPE = Shape(3, 4, counts=(30, 10, 60))


def example() -> tuple[Outputs, Batch]:
    """Six rows: the third without an expression, the fifth without valence and arousal."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, -1, 1, 2, 0])
    distribution = functional.one_hot(labels.clamp(min=0), 3).float() * (labels >= 0)[:, None]
    affect = torch.rand(6, 2, generator=generator)
    affect[4] = torch.nan
    embedding = torch.randn(6, 4, generator=generator, requires_grad=True)
    logits, said = embedding[:, :3] * 1.0, embedding[:, 2:] * 1.0
    outputs = Outputs(embedding, logits, valence_arousal=said)
    return outputs, Batch(torch.zeros(6, 1), labels, distribution, affect)


@pytest.mark.parametrize(
    "settings",
    [
        CrossEntropy(term="cross-entropy"),
        CrossEntropy(term="cross-entropy", balanced=True, smoothing=0.1),
        Triplet(term="triplet"),
        Center(term="center"),
        Concordance(term="concordance"),
    ],
)
def test_a_term_sees_the_rows_that_have_what_it_needs(settings: CrossEntropy) -> None:
    outputs, batch = example()
    left_out = 2 if settings.needs == "expression" else 4
    term = settings.build(SHAPE)
    value = loss_value(settings, term, outputs, batch)
    kept = [row for row in range(6) if row != left_out]
    expected = term(
        Outputs._make(None if part is None else part[kept] for part in outputs),
        Batch._make(None if part is None else part[kept] for part in batch),
    )
    assert value is not None
    torch.testing.assert_close(value, expected)
    value.backward()
    assert outputs.embedding.grad is not None
    assert not outputs.embedding.grad[left_out].any()
    assert torch.isfinite(outputs.embedding.grad).all() and outputs.embedding.grad.any()
    nothing = batch._replace(
        labels=torch.full((6,), -1), valence_arousal=torch.full((6, 2), torch.nan)
    )
    assert loss_value(settings, term, outputs, nothing) is None


def test_a_whole_batch_is_handed_on_as_it_is() -> None:
    outputs, batch = example()
    whole = batch._replace(labels=batch.labels.clamp(min=0))
    assert labeled_part("expression", outputs, whole)[0] is outputs


def test_concordance_is_the_mean_of_both() -> None:
    outputs, batch = example()
    term = Concordance(term="concordance").build(SHAPE)
    known = [0, 1, 2, 3, 5]
    said, truth = outputs.valence_arousal[known], batch.valence_arousal[known]
    each = [concordance_loss(said[:, i], truth[:, i]) for i in range(2)]
    value = loss_value(Concordance(term="concordance"), term, outputs, batch)
    torch.testing.assert_close(value, sum(each) / 2)


def test_class_weights_are_the_rarest_count_over_the_own() -> None:
    torch.testing.assert_close(class_weights([30, 10, 60]), torch.tensor([1 / 3, 1, 1 / 6]))
    assert class_weights([5, 0])[1] == 1


def test_balanced_cross_entropy_is_torchs_for_class_indices() -> None:
    outputs, batch = example()
    kept = batch.labels >= 0
    settings = CrossEntropy(term="cross-entropy", balanced=True)
    value = loss_value(settings, settings.build(SHAPE), outputs, batch)
    expected = functional.cross_entropy(
        outputs.logits[kept], batch.labels[kept], weight=class_weights(SHAPE.counts)
    )
    torch.testing.assert_close(value, expected)
