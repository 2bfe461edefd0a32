"""What holds for every loss: its twin, gradients, symmetries, half precision, no side effects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import loss_cases
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import CASES, Batch, Case, degenerate_batches, make_batch

from mien import losses

EACH_LOSS = pytest.mark.parametrize("name", CASES)
BATCHES = degenerate_batches()
EACH_BATCH = pytest.mark.parametrize("batch_name", BATCHES)
FEW = settings(max_examples=15, deadline=None, derandomize=True, database=None)
SEEDS = st.integers(0, 2**31)


def gradients(case: Case, batch: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    tracked = batch.tracked()
    loss = case.loss(tracked)
    return loss, list(torch.autograd.grad(loss, [getattr(tracked, n) for n in case.inputs]))


def test_the_public_surface_is_this() -> None:
    assert losses.__all__ == [
        "Centers",
        "active_triplets",
        "center_loss",
        "concordance_loss",
        "dual_triplet_loss",
        "expression_center_loss",
        "expression_metric_loss",
        "histogram_loss",
        "label_aware_histogram_loss",
        "label_distribution",
        "label_distribution_loss",
        "multi_threshold_loss",
        "negative_centers",
        "ordinal_histogram_loss",
        "pytorch_metric_learning_loss",
        "triplet_center_loss",
        "triplet_loss",
    ]
    assert all(callable(getattr(losses, name)) for name in losses.__all__)


def test_no_loss_is_left_out_of_this_file() -> None:
    text = Path(loss_cases.__file__).read_text()
    functions = [name for name in losses.__all__ if name.endswith("_loss")]
    assert not [
        name
        for name in functions
        if f"losses.{name}(" not in text and name != "pytorch_metric_learning_loss"
    ]


@EACH_LOSS
@EACH_BATCH
def test_equals_its_twin_in_float64(name: str, batch_name: str) -> None:
    batch = BATCHES[batch_name]
    expected = CASES[name].twin(batch)
    low, high = expected if isinstance(expected, tuple) else (expected, expected)
    slack = 1e-9 * max(1.0, abs(high))
    value = CASES[name].loss(batch)
    assert value.shape == () and value.dtype == torch.float64
    assert low - slack <= value.item() <= high + slack
    if batch_name == "random":
        assert high == low > 0


@EACH_LOSS
@EACH_BATCH
@pytest.mark.parametrize(
    "dtype",
    # What is finite in float32 is so in float64, but for a branch of its own.
    [pytest.param(torch.float64, marks=pytest.mark.slow), torch.float32, torch.bfloat16],
)
def test_gradients_are_finite(name: str, batch_name: str, dtype: torch.dtype) -> None:
    loss, found = gradients(CASES[name], BATCHES[batch_name].cast(dtype))
    assert loss.requires_grad and loss.isfinite()
    assert loss.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
    largest = max([g.abs().max().item() for g in found if g.numel()], default=0.0)
    # On unit rows the gradient is of the order of one over the length, elsewhere of the length or,
    # for attention, its square.
    assert largest < {"tiny": 1e8, "huge": 1e7}.get(batch_name, 1e2)
    assert all(g.isfinite().all() for g in found)


@EACH_LOSS
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_gradient_is_the_derivative(name: str, seed: int) -> None:
    case, batch = CASES[name], make_batch(seed, rows=9, width=12, classes=3).tracked()

    def loss(*values: torch.Tensor) -> torch.Tensor:
        return case.loss(replace(batch, **dict(zip(case.inputs, values, strict=True))))

    assert torch.autograd.gradcheck(loss, tuple(getattr(batch, n) for n in case.inputs))


@EACH_LOSS
def test_some_gradient_reaches_every_input(name: str) -> None:
    _, found = gradients(CASES[name], BATCHES["random"])
    assert all(g.abs().sum() > 0 for g in found)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.zero_without_pairs])
@pytest.mark.parametrize("batch_name", ["one class", "one row", "no row"])
def test_a_batch_without_usable_pairs_gives_a_zero_that_backpropagates(
    name: str, batch_name: str
) -> None:
    loss, found = gradients(CASES[name], BATCHES[batch_name])
    assert loss.item() == 0
    assert all(not g.any() for g in found)


@EACH_LOSS
@FEW
@given(seed=SEEDS)
def test_the_order_of_the_batch_is_nothing(name: str, seed: int) -> None:
    batch = make_batch(seed)
    order = torch.randperm(len(batch.labels), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        CASES[name].loss(batch.reordered(order)), CASES[name].loss(batch), rtol=1e-10, atol=1e-10
    )


@EACH_LOSS
@FEW
@given(seed=SEEDS)
def test_the_names_of_the_classes_are_nothing(name: str, seed: int) -> None:
    batch = make_batch(seed)
    new = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    old = new.argsort()
    renamed = replace(
        batch, labels=new[batch.labels], centers=batch.centers[old], logits=batch.logits[:, old]
    )
    torch.testing.assert_close(
        CASES[name].loss(renamed), CASES[name].loss(batch), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.rotates])
@FEW
@given(seed=SEEDS)
def test_rotating_the_space_is_nothing(name: str, seed: int) -> None:
    batch = make_batch(seed)
    g = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=g, dtype=torch.float64)).Q
    turned = replace(batch, embeddings=batch.embeddings @ turn, centers=batch.centers @ turn)
    torch.testing.assert_close(
        CASES[name].loss(turned), CASES[name].loss(batch), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.scale_free])
@FEW
@given(seed=SEEDS, scale=st.floats(1e-3, 1e3))
def test_the_length_of_rows_is_nothing(name: str, seed: int, scale: float) -> None:
    batch = make_batch(seed)
    scaled = replace(batch, embeddings=batch.embeddings * scale)
    torch.testing.assert_close(
        CASES[name].loss(scaled), CASES[name].loss(batch), rtol=1e-9, atol=1e-9
    )


@EACH_LOSS
@pytest.mark.parametrize(
    ("dtype", "autocast"),
    [
        (torch.float32, None),
        (torch.float32, torch.bfloat16),
        (torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float16),
    ],
)
def test_half_precision_is_as_exact_as_its_inputs(
    name: str, dtype: torch.dtype, autocast: torch.dtype | None
) -> None:
    batch = make_batch(5, rows=32, width=48).cast(dtype)
    with torch.autocast("cpu", dtype=autocast or torch.bfloat16, enabled=autocast is not None):
        tracked = batch.tracked()
        loss = CASES[name].loss(tracked)
    # Outside, as trainers do: inside, autocast would round the backward pass of anything.
    found = torch.autograd.grad(loss, [getattr(tracked, n) for n in CASES[name].inputs])
    exact, exact_found = gradients(CASES[name], batch.cast(torch.float64))
    # The inputs are rounded already; what the loss itself adds is float32's.
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), exact, rtol=2e-5, atol=2e-5)
    for got, wanted in zip(found, exact_found, strict=True):
        assert got.dtype == dtype
        size = wanted.abs().max().item()
        rounding = max(torch.finfo(dtype).eps, 1e-4)
        torch.testing.assert_close(got.double(), wanted, rtol=rounding, atol=rounding * size)


@EACH_LOSS
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_a_broken_row_is_not_hidden(name: str, broken: float) -> None:
    batch = make_batch(8)
    batch.embeddings[3] = broken
    assert not CASES[name].loss(batch).isfinite()


@EACH_LOSS
def test_global_state_and_inputs_are_untouched(name: str) -> None:
    batch = make_batch(6)
    copies = {key: value.clone() for key, value in batch.inputs.items()}
    state = torch.get_rng_state()
    with torch.no_grad():
        assert not CASES[name].loss(batch).requires_grad
        assert not torch.is_grad_enabled()
    CASES[name].loss(batch)
    assert torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(copies[key], value) for key, value in batch.inputs.items())


@EACH_LOSS
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    batch = make_batch(7)
    short = replace(batch, labels=batch.labels[:-1], scores=batch.scores[:-1])
    with pytest.raises((ValueError, RuntimeError), match=r"expected"):
        CASES[name].loss(short)
