import json
import math
from pathlib import Path

from small_training import SMALL

from mien.data.dataset import Dataset
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.recorder import Recorder


def lines_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def kept_epochs(recipe: Recipe, epochs: list[dict[str, float]]) -> list[bool]:
    recorder = Recorder.__new__(Recorder)
    recorder.best = (math.nan, math.nan)
    return [recorder._is_better(recipe, values) for values in epochs]


def test_of_equally_accurate_epochs_the_one_with_the_lowest_log_loss_is_kept() -> None:
    epochs = [(0.5, 2.0), (0.5, 1.5), (0.5, 1.6), (0.4, 0.1), (0.6, 9.0), (0.6, 9.0)]
    values = [{"accuracy": accuracy, "nll": nll} for accuracy, nll in epochs]
    recipe = load_recipe("softmax", SMALL)
    assert kept_epochs(recipe, values) == [True, True, False, False, True, False]


def test_of_equal_errors_of_scores_the_earliest_is_kept() -> None:
    values = [{"mae": mae, "rmse": rmse} for mae, rmse in ((5.0, 9.0), (5.0, 6.0), (4.0, 9.0))]
    assert kept_epochs(load_recipe("ldl"), values) == [True, False, True]


def test_no_collapse_is_called_of_a_softmax_or_of_a_few_faces(
    toy_dataset: Path, tmp_path: Path
) -> None:
    flat = [*SMALL, "optimizer.lr=1e-6", "schedule={epochs: 1, warmup: 0}"]
    # Every face gets nearly the same row.
    flat += ["embedding={size: 16}", "backbone.arguments={}"]
    dataset = Dataset.open(toy_dataset)
    softmax = fit(load_recipe("softmax", flat), dataset, tmp_path / "softmax")
    assert "warning" not in lines_of(softmax)[0]
    splits = dataset.splits.copy()
    splits[dataset.split_indices("valid")[2:]] = "test"
    few = fit(load_recipe("triplet", flat), dataset.with_splits(splits), tmp_path / "few")
    assert "warning" not in lines_of(few)[0]


def test_balanced_batches_take_the_classes_that_are_there(
    toy_dataset: Path, tmp_path: Path
) -> None:
    changes = [*SMALL, "sampler={kind: class-balanced, classes: 20, samples: 2}"]
    changes += ["schedule.epochs=1"]
    run = fit(load_recipe("triplet", changes), Dataset.open(toy_dataset), tmp_path / "run")
    assert lines_of(run)[0]["train"]["triplet"] > 0
