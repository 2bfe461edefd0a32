"""What each loss of scores is, on the rows that have a score."""

import json
from typing import Any

import pytest
import torch
from small_training import SMALL_CLIPS
from torch import Tensor
from torch.nn import functional

from mien import losses
from mien.heads.severity import SeverityInfo
from mien.networks.network import Outputs, create_network
from mien.scales import Scale
from mien.training.batches.batch import Batch
from mien.training.losses import LossContext, loss_value
from mien.training.module import TrainingModule
from mien.training.recipe import load_recipe

SCORES = [0.0, 2.0, 5.0, 11.0, 24.0, 12.0]
SCALE = Scale(name="of 24", top=24, bands=(("all", 0),))


def outputs_and_batch(scores: list[float], levels: int = 25) -> tuple[Outputs, Batch]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(scores), levels, generator=generator, requires_grad=True)
    rows = torch.randn(len(scores), 6, generator=generator, requires_grad=True)
    severity = logits.softmax(1) @ torch.arange(float(levels))
    heads = {"severity": severity, "severity_levels": logits}
    targets = {"expression": torch.full((len(scores),), -1), "severity": torch.tensor(scores)}
    return Outputs(rows, heads), Batch(torch.zeros(len(scores), 1), targets)


def logits_of(outputs: Outputs) -> Tensor:
    return outputs.heads["severity_levels"]


def severity_of(outputs: Outputs) -> Tensor:
    return outputs.heads["severity"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"loss": "label-distribution", "deviation": 1.5},
            lambda o, y: losses.label_distribution_loss(
                logits_of(o), losses.label_distribution(y, levels=25, deviation=1.5)
            ),
        ),
        (
            {"loss": "label-distribution", "expectation": 0.5},
            lambda o, y: (
                losses.label_distribution_loss(
                    logits_of(o), losses.label_distribution(y, levels=25)
                )
                + 0.5 * (severity_of(o) - y).abs().mean()
            ),
        ),
        (
            {"loss": "score-classification"},
            lambda o, y: functional.cross_entropy(logits_of(o), y.long()),
        ),
        (
            {"loss": "score-regression", "unit": 4},
            lambda o, y: ((severity_of(o) - y) / 4).square().mean(),
        ),
        (
            {"loss": "score-regression", "error": "l1"},
            lambda o, y: (severity_of(o) - y).abs().mean() / 10,
        ),
        (
            {"loss": "score-regression", "error": "smooth-l1"},
            lambda o, y: functional.smooth_l1_loss(severity_of(o) / 10, y / 10),
        ),
        (
            # 0 and 2 are of one group, 5 of the next, 11 and 12 of one, 24 alone.
            {"loss": "histogram", "width": 5},
            lambda o, y: losses.histogram_loss(o.embedding, torch.tensor([0, 0, 1, 2, 4, 2])),
        ),
        (
            {"loss": "label-aware-histogram", "bandwidth": 3},
            lambda o, y: losses.label_aware_histogram_loss(o.embedding, y, bandwidth=3.0),
        ),
        (
            {"loss": "ordinal-histogram", "edges": [0, 3, 25]},
            lambda o, y: losses.ordinal_histogram_loss(o.embedding, y, edges=(0, 3, 25)),
        ),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_loss_is_its_function_on_the_rows_that_have_a_score(
    settings: dict[str, Any], expected: Any
) -> None:
    first = {"loss": "label-distribution"}
    changes = [*SMALL_CLIPS, "backbone={name: test_resnet}"]
    changes += [f"losses.0={json.dumps(first)}", f"losses.1={json.dumps(settings)}"]
    recipe = load_recipe("ldl", changes)
    loss = recipe.losses[1]
    infos = {"severity": SeverityInfo(scale=SCALE)}
    network = create_network(**recipe.architecture(infos, image_size=32))
    module = TrainingModule(network, recipe, LossContext(8, 16, levels=25), steps_per_epoch=1)
    outputs, batch = outputs_and_batch(SCORES)
    want = expected(outputs, batch.targets["severity"])
    # A row without a score teaches nothing, here or in the mean.
    with_unknown, unknown = outputs_and_batch([*SCORES, float("nan")])
    known = Outputs(
        torch.cat([outputs.embedding, with_unknown.embedding[-1:]]),
        {
            name: torch.cat([tensor, with_unknown.heads[name][-1:]])
            for name, tensor in outputs.heads.items()
        },
    )
    got = loss_value(loss, module.losses[1], known, unknown)
    assert got is not None
    torch.testing.assert_close(got, want)
    got.backward()
    reached = with_unknown.embedding if "histogram" in loss.loss else logits_of(with_unknown)
    assert reached.grad is None or not reached.grad.any()
    trivial = loss.trivial(module.context)
    if loss.loss == "score-classification":
        assert trivial == pytest.approx(
            functional.cross_entropy(torch.zeros(1, 25), torch.ones(1).long()).item()
        )
