"""A training on two processes is the training on one: its weights, its end, its continuation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_training import SMALL, read_metrics

from mien.training.recorder import CHECKPOINT

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
# 24 steps in two epochs. Rounding grows with the steps: Adam divides by gradients near zero, and a
# hardest row changes; small steps of SGD keep it small.
STEPS = ("optimizer.name=sgd", "optimizer.lr=0.001", "schedule.epochs=2", "keep=last")


def command(recipe: str, data: Path, out: Path, *options: str, changes: tuple = STEPS) -> list[str]:
    settings = [part for change in (*SMALL, *changes) for part in ("--set", change)]
    line = [sys.executable, "-m", "mien", "train", recipe, "--data", str(data), "--out", str(out)]
    return [*line, *settings, *options]


def trained(recipe: str, data: Path, out: Path, *options: str, changes: tuple = STEPS) -> Path:
    line = command(recipe, data, out, *options, changes=changes)
    done = subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT, timeout=400)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch") == 1, "more than one process told the result"
    assert "FutureWarning" not in done.stderr, done.stderr
    return out


def check_same(one: Path, other: Path, exact: float = 1e-5) -> None:
    weights, others = (load_file(run / "model.safetensors") for run in (one, other))
    torch.testing.assert_close(others, weights, rtol=exact, atol=exact)
    for line, got in zip(read_metrics(one), read_metrics(other), strict=True):
        assert got["train"] == pytest.approx(line["train"], rel=1e-4)
        assert got["valid"] == pytest.approx(line["valid"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("triplet", ()),
        ("dacl", ()),
        ("triplet-center", ("losses.2={loss: pml.SupConLoss}",)),
    ],
)
def test_two_ranks_train_the_weights_of_one(
    recipe: str, changes: tuple[str, ...], toy_dataset: Path, tmp_path: Path
) -> None:
    one, two = (
        trained(
            recipe,
            toy_dataset,
            tmp_path / f"{devices}",
            f"--devices={devices}",
            changes=(*STEPS, *changes),
        )
        for devices in (1, 2)
    )
    check_same(one, two)


@pytest.mark.slow
def test_rows_without_some_labels_and_batches_of_odd_size(
    affect_dataset: Path, tmp_path: Path
) -> None:
    changes = (*STEPS, "sampler.batch_size=11", "losses.2={loss: center}")
    one, two = (
        trained(
            "multi-task",
            affect_dataset,
            tmp_path / f"{devices}",
            f"--devices={devices}",
            changes=changes,
        )
        for devices in (1, 2)
    )
    check_same(one, two)


@pytest.mark.slow
def test_a_killed_rank_ends_the_run_which_continues_on_one(
    toy_dataset: Path, tmp_path: Path
) -> None:
    changes = (*STEPS, "schedule.epochs=5")
    whole = trained("triplet", toy_dataset, tmp_path / "whole", changes=changes)
    out = tmp_path / "killed"
    line = command("triplet", toy_dataset, out, "--devices", "2", changes=changes)
    with subprocess.Popen(
        line, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 300
        while not (out / CHECKPOINT).exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii")
        others = [
            int(child)
            for child in children.split()
            if b"mien" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        os.kill(others[0], signal.SIGKILL)
        _, told = process.communicate(timeout=60)
    assert process.returncode in (1, 2), told
    assert "--resume" in told and "Traceback" not in told
    trained("triplet", toy_dataset, out, "--resume", changes=changes)
    check_same(whole, out, 1e-3)  # rounding of 60 steps, in statistics of batch norm above all


@pytest.mark.slow
def test_torchrun_starts_the_ranks(toy_dataset: Path, tmp_path: Path) -> None:
    line = command("softmax", toy_dataset, tmp_path / "run", "--json")[1:]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, *line], capture_output=True, text=True, env=ENVIRONMENT, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == str(tmp_path / "run")
    one = trained("softmax", toy_dataset, tmp_path / "one")
    check_same(one, tmp_path / "run")


@pytest.mark.slow
def test_workers_and_precisions(toy_dataset: Path, tmp_path: Path) -> None:
    none = trained("softmax", toy_dataset, tmp_path / "none")
    some = trained("softmax", toy_dataset, tmp_path / "some", "--workers", "2")
    files = [run / "model.safetensors" for run in (none, some)]
    assert files[0].read_bytes() == files[1].read_bytes()
    half = trained("softmax", toy_dataset, tmp_path / "half", "--precision=bf16-mixed")
    losses = [read_metrics(run)[-1]["train"]["loss"] for run in (none, half)]
    assert 0 < abs(losses[0] - losses[1]) < 0.05
