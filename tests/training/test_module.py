"""What the optimizer does to each parameter at each step, and what a step's loss is."""

import math
from typing import Any

import pytest
import torch
from small_training import SMALL
from torch.nn import functional

from mien.heads.expression import ExpressionInfo
from mien.labels import LabelSpace
from mien.networks.network import create_network
from mien.training.batches.batch import Batch, mix
from mien.training.losses import LossContext
from mien.training.module import TrainingModule
from mien.training.recipe import load_recipe

CLASSES = 6
SPACE = LabelSpace(name="six", names=tuple("abcdef"))


def module(*changes: str, name: str = "softmax", steps_per_epoch: int = 4) -> TrainingModule:
    recipe = load_recipe(name, [*SMALL, *changes])
    torch.manual_seed(0)
    infos = {"expression": ExpressionInfo(label_space=SPACE)}
    network = create_network(**recipe.architecture(infos, image_size=32))
    context = LossContext(CLASSES, network.embedding.size, counts=(10,) * CLASSES)
    return TrainingModule(network, recipe, context, steps_per_epoch=steps_per_epoch)


def optimizer_and_schedule(
    driven: TrainingModule,
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    configured: dict[str, Any] = driven.configure_optimizers()
    assert configured["lr_scheduler"]["interval"] == "step"
    return configured["optimizer"], configured["lr_scheduler"]["scheduler"]


def learning_rates(driven: TrainingModule, steps: int) -> list[list[float]]:
    """The learning rates of all groups that each of some steps is taken with."""
    optimizer, schedule = optimizer_and_schedule(driven)
    taken = []
    for _ in range(steps):
        taken.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return taken


def test_the_rate_climbs_in_equal_steps_and_falls_along_a_cosine() -> None:
    changes = ["optimizer.lr=0.02", "schedule={epochs: 3, warmup: 1, final: 0.1}"]
    found = learning_rates(module(*changes), 13)
    rise = [1 / 4, 2 / 4, 3 / 4]
    # Eight steps from 1 to 0.1: half a turn of a cosine of 0.45 around 0.55.
    fall = [0.55 + 0.45 * math.cos(math.pi * step / 8) for step in range(9)]
    for step, share in enumerate([*rise, 1, *fall]):
        assert found[step] == pytest.approx([0.02 * share] * len(found[step])), step
    assert found[12][0] == pytest.approx(0.002)


def test_a_warm_up_is_in_epochs_and_may_be_left_out() -> None:
    half = learning_rates(
        module("schedule={epochs: 2, warmup: 0.5, final: 0}", "optimizer.lr=1"), 3
    )
    assert [step[0] for step in half] == pytest.approx([0.5, 1, 1])
    plan = "schedule={epochs: 2, warmup: 0, final: 0}"
    none = learning_rates(module(plan, "optimizer.lr=1"), 9)
    assert [none[step][0] for step in (0, 4, 8)] == pytest.approx([1, 0.5, 0])


def test_centers_learn_at_their_own_rate_on_the_same_schedule() -> None:
    changes = ["optimizer.lr=0.02", "schedule={epochs: 3, warmup: 1, final: 0.1}"]
    changes += ["losses=[{loss: cross-entropy}, {loss: triplet-center, lr_multiplier: 5}]"]
    found = learning_rates(module(*changes, name="triplet-center"), 9)
    assert found[0] == pytest.approx([0.005, 0.005, 0.025])
    assert found[8] == pytest.approx([0.011, 0.011, 0.055])


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weights_decay_and_biases_norms_and_centers_do_not(name: str) -> None:
    changes = [f"optimizer={{name: {name}, lr: 0.5, weight_decay: 0.2}}", "schedule.warmup=0"]
    changes += ["losses=[{loss: cross-entropy}, {loss: triplet-center}]"]
    driven = module(*changes, name="triplet-center")
    # Biases start at 0, which no decay moves.
    with torch.no_grad():
        for parameter in driven.parameters():
            parameter += 1
    before = {key: value.detach().clone() for key, value in driven.named_parameters()}
    optimizer, _ = optimizer_and_schedule(driven)
    for parameter in driven.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    decayed = set()
    for key, value in driven.named_parameters():
        if torch.equal(value, before[key]):
            continue
        decayed.add(key)
        torch.testing.assert_close(value, 0.9 * before[key])  # 1 - rate x decay
    assert decayed == {
        key for key, value in before.items() if key.startswith("network.") and value.ndim > 1
    }
    assert any(key.endswith("bias") for key in before.keys() - decayed)
    assert any(key.startswith("losses.") for key in before.keys() - decayed)


def test_a_frozen_backbone_is_not_in_the_optimizer() -> None:
    changes = [
        "backbone.weights=start.safetensors",
        "backbone.license_terms=ours",
        "backbone.frozen=true",
    ]
    driven = module(*changes)
    optimizer, _ = optimizer_and_schedule(driven)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {
        id(p) for key, p in driven.named_parameters() if not key.startswith("network.backbone.")
    }


def example() -> Batch:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(12) % CLASSES
    return Batch(
        torch.randn(12, 3, 32, 32, generator=generator),
        {
            "expression": labels,
            "expression_distribution": functional.one_hot(labels, CLASSES).float(),
        },
    )


def test_a_step_s_loss_is_the_weighted_sum_of_its_losses() -> None:
    driven = module(
        "losses=[{loss: cross-entropy, weight: 0.5}, {loss: cross-entropy, smoothing: 0.3}]"
    ).eval()
    batch, other = example(), example()._replace(inputs=torch.ones(12, 3, 32, 32))
    plain, smooth, total = [], [], []
    for number, each in enumerate((batch, other)):
        found = driven.training_step(each, number)
        with torch.no_grad():
            logits, labels = (
                driven.network(each.inputs).heads["expression"],
                each.targets["expression"],
            )
        plain.append(functional.cross_entropy(logits, labels).item())
        smooth.append(functional.cross_entropy(logits, labels, label_smoothing=0.3).item())
        total.append(0.5 * plain[-1] + smooth[-1])
        assert found.item() == pytest.approx(total[-1])
    # A batch without any label adds a zero to the sum and nothing to the losses.
    unknown = {"expression": torch.full((12,), -1)}
    nothing = batch._replace(targets=batch.targets | unknown)
    assert driven.training_step(nothing, 2).item() == 0
    # The log has the losses without their weights, and means over the batches.
    assert driven.epoch_losses() == pytest.approx(
        {
            "cross-entropy.0": sum(plain) / 2,
            "cross-entropy.1": sum(smooth) / 2,
            "loss": sum(total) / 3,
        }
    )
    driven.on_train_epoch_start()
    assert driven.epoch_losses() == {}


def test_mixup_trains_on_the_blend() -> None:
    driven = module("mixup=4", "seed=3").eval()
    batch = example()
    # Opinions strong enough for the loss to tell what it was given.
    torch.nn.init.normal_(driven.network.heads[0].linear.weight)
    blend = mix(batch, alpha=4, seed=3, step=0)
    with torch.no_grad():
        of_blend, of_batch = (
            functional.cross_entropy(
                driven.network(each.inputs).heads["expression"],
                each.targets["expression_distribution"],
            ).item()
            for each in (blend, batch)
        )
    assert abs(of_blend - of_batch) > 1e-3
    assert driven.training_step(batch, 0).item() == pytest.approx(of_blend, abs=1e-5)
