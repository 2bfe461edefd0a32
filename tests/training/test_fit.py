import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_training import SMALL, last_state, read_document, read_metrics

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.schema import Preprocessing
from mien.training import recorder
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.recorder import CHECKPOINT
from mien.training.run import load_run

LEARN = [
    "schedule.epochs=5",
    "optimizer.lr=0.005",
    "averaging=0",
    "augmentation={rotation: 0, shift: 0, scale: 0, contrast: 0}",
]


def test_a_run_holds_what_the_layout_promises(small_run: Path) -> None:
    names = {path.name for path in small_run.iterdir()}
    assert names >= {
        "recipe.yaml",
        "model.safetensors",
        "model.json",
        "metrics.jsonl",
        "checkpoints",
    }
    assert not [path for path in small_run.rglob("*.partial")]
    lines = read_metrics(small_run)
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert set(lines[0]["train"]) == {"cross-entropy", "triplet", "loss"}


def test_the_kept_epoch_is_the_first_best_on_validation(small_run: Path) -> None:
    document = read_document(small_run)
    scores = [line["valid"]["accuracy"] for line in read_metrics(small_run)]
    assert document["epoch"] == scores.index(max(scores))
    assert document["selected_on"]["accuracy"] == max(scores)
    assert document["selected_on"]["split"] == "valid"


def test_training_learns(toy_dataset: Path, tmp_path: Path) -> None:
    changes = [*SMALL, "schedule.epochs=20", "optimizer.lr=0.005", "averaging=0"]
    changes += ["augmentation={rotation: 0, shift: 0, scale: 0, contrast: 0}"]
    recipe = load_recipe("softmax", changes)
    # One thread: on a busy machine two spend most of their time waiting for each other.
    run = fit(recipe, Dataset.open(toy_dataset), tmp_path / "run", threads=1)
    lines = read_metrics(run)
    assert lines[-1]["train"]["loss"] < 0.6 * lines[0]["train"]["loss"]
    assert max(line["valid"]["accuracy"] for line in lines) > 0.5  # chance is 1/6


def test_the_same_seed_gives_the_same_bytes(
    small_recipe: Recipe, small_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    again = fit(small_recipe, Dataset.open(toy_dataset), tmp_path / "again", threads=1)
    assert (again / "model.safetensors").read_bytes() == (
        small_run / "model.safetensors"
    ).read_bytes()
    other = small_recipe.model_copy(update={"seed": 5})
    different = fit(other, Dataset.open(toy_dataset), tmp_path / "other", threads=1)
    assert (different / "model.safetensors").read_bytes() != (
        small_run / "model.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(
    small_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "mien", "train", str(small_run / "recipe.yaml")]
    command += ["--data", str(toy_dataset), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        deadline = time.monotonic() + 120
        while not (out / CHECKPOINT).exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "epoch 0 " not in done.stderr, "it started again instead of resuming"
    assert (out / "model.safetensors").read_bytes() == (
        small_run / "model.safetensors"
    ).read_bytes()
    whole, resumed = last_state(small_run), last_state(out)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    expected, got = read_metrics(small_run), read_metrics(out)
    for line in (*expected, *got):
        line.pop("seconds")
    assert got == expected


def test_weights_are_safetensors_and_no_pickle(small_run: Path) -> None:
    state = load_file(small_run / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    pickles = [p for p in small_run.rglob("*") if p.suffix in {".pt", ".pth", ".pkl", ".ckpt"}]
    assert pickles == [small_run / CHECKPOINT]


def test_wrong_use_is_a_sentence(
    small_run: Path, small_recipe: Recipe, toy_dataset: Path, affect_dataset: Path
) -> None:
    dataset = Dataset.open(toy_dataset)
    with pytest.raises(MienError, match="--resume"):
        fit(small_recipe, dataset, small_run)
    other = small_recipe.model_copy(update={"mixup": 0.0, "seed": 9})
    with pytest.raises(MienError, match="differs in seed"):
        fit(other, dataset, small_run, resume=True)
    with pytest.raises(MienError, match=r"trained on another dataset than .*dataset; resume with"):
        fit(small_recipe, Dataset.open(affect_dataset), small_run, resume=True)


def test_other_crops_than_the_recipe_asks_for_are_refused(
    small_recipe: Recipe, toy_dataset: Path, tmp_path: Path
) -> None:
    wants = small_recipe.model_copy(update={"preprocessing": Preprocessing(size=64)})
    with pytest.raises(MienError, match="size 64 against 32"):
        fit(wants, Dataset.open(toy_dataset), tmp_path / "run")


@pytest.mark.parametrize(
    "losses",
    [
        "[{loss: cross-entropy}, {loss: pml.SupConLoss, arguments: {temperature: 0.2}}]",
        "[{loss: cross-entropy}, {loss: pml.MultiSimilarityLoss, weight: 0.5, "
        "miner: pml.MultiSimilarityMiner, miner_arguments: {epsilon: 0.2}}]",
    ],
)
def test_losses_of_pytorch_metric_learning_train(
    losses: str, toy_dataset: Path, tmp_path: Path
) -> None:
    changes = [*SMALL, f"losses={losses}", *LEARN]
    run = fit(load_recipe("triplet", changes), Dataset.open(toy_dataset), tmp_path / "run")
    lines = read_metrics(run)
    (name,) = set(lines[0]["train"]) - {"loss", "cross-entropy"}
    assert name.startswith("pml.")
    assert all(0 < line["train"][name] < 100 for line in lines)
    cross_entropy = [line["train"]["cross-entropy"] for line in lines]
    assert min(cross_entropy[1:]) < cross_entropy[0]


def test_learned_centers_are_saved_with_the_model(toy_dataset: Path, tmp_path: Path) -> None:
    changes = [*SMALL, "schedule.epochs=1"]
    run = fit(load_recipe("center", changes), Dataset.open(toy_dataset), tmp_path / "run")
    centers = load_file(run / "model.safetensors")["losses.1.centers.weight"]
    assert centers.shape == (6, 16)
    assert load_run(run).info.heads["expression"].label_space.names[0] == "neutral"


def test_divergence_is_a_sentence(toy_dataset: Path, tmp_path: Path) -> None:
    changes = [*SMALL, "optimizer.name=sgd", "optimizer.lr=1e30", "optimizer.clip=1e30"]
    changes += ["schedule.warmup=0"]
    with pytest.raises(MienError, match=r"lower optimizer\.lr"):
        fit(load_recipe("softmax", changes), Dataset.open(toy_dataset), tmp_path / "run")


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_epoch_that_the_recipe_says_is_kept(
    keep: str, toy_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.2, 0.6, 0.4])
    measure = recorder.validation_metrics
    monkeypatch.setattr(
        recorder,
        "validation_metrics",
        lambda measured: measure(measured) | {"accuracy": next(accuracies)},
    )
    recipe = load_recipe("softmax", [*SMALL, "averaging=0", f"keep={keep}"])
    states: list[dict[str, torch.Tensor]] = []

    def remember(line: dict[str, object]) -> None:
        states.append(load_file(tmp_path / "run" / "model.safetensors"))

    run = fit(recipe, Dataset.open(toy_dataset), tmp_path / "run", on_epoch=remember)
    document = read_document(run)
    assert document["epoch"] == (1 if keep == "best" else 2)
    assert document["selected_on"]["accuracy"] == (0.6 if keep == "best" else 0.4)
    assert document["selected_on"]["keep"] == keep
    assert [line["valid"]["accuracy"] for line in read_metrics(run)] == [0.2, 0.6, 0.4]
    changed = [
        any(not torch.equal(one[name], other[name]) for name in one)
        for one, other in itertools.pairwise(states)
    ]
    assert changed == [True, keep == "last"]
    if keep == "last":
        checkpoint = torch.load(run / CHECKPOINT, weights_only=True)["state_dict"]
        kept = load_file(run / "model.safetensors")
        assert all(torch.equal(checkpoint[f"network.{name}"], kept[name]) for name in kept)
