"""``mien -q`` and ``mien -v``."""

from pathlib import Path

import pytest

TRAIN = (
    "--set",
    "backbone.name=test_resnet",
    "--set",
    "schedule.epochs=1",
    "--set",
    "embedding.size=8",
)


@pytest.mark.parametrize(
    ("option", "progress", "costs"), [((), 1, 0), (("-q",), 0, 0), (("-v",), 1, 1)]
)
def test_progress_and_costs_are_told_as_asked(
    command, toy_dataset: Path, option: tuple[str, ...], progress: int, costs: int
) -> None:
    result = command(*option, "train", "softmax", "--data", toy_dataset, "--out", "run", *TRAIN)
    assert result.code == 0 and "is best on valid" in result.out
    assert result.err.count("epoch 0  loss") == progress
    assert result.err.count(" s, at most ") == costs
    assert costs or progress or result.err == ""


def test_the_last_epoch_is_not_called_the_best(command, toy_dataset: Path) -> None:
    data = ("--data", toy_dataset, "--out", "run")
    result = command("-q", "train", "softmax", *data, *TRAIN, "--set", "keep=last")
    assert result.code == 0
    assert result.out.startswith("run: epoch 0 is the last; on valid, accuracy")


def test_errors_are_told_all_the_same(command) -> None:
    command("-q", "train", "softmx", "--data", "x", "--out", "y").refused("did you mean 'softmax'")
    command("-q", "export", "runs/none", "--out", "x.onnx").refused("'runs/none', which does not")
    command("evaluate", "runs/none", "--data", "x").refused("'runs/none', which does not exist")
