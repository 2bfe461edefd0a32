"""The pieces of benchmarks/speed.py on tiny sizes; how fast anything is, is not asked."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mien.data.dataset import Dataset
from mien.schema import Preprocessing
from mien.training.export import export
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import load_run


@pytest.fixture(scope="module")
def speed() -> Iterator[ModuleType]:
    path = Path(__file__).parents[2] / "benchmarks" / "speed.py"
    spec = importlib.util.spec_from_file_location("speed", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["speed"] = module
    threads = torch.get_num_threads()
    spec.loader.exec_module(module)
    yield module
    torch.set_num_threads(threads)
    del sys.modules["speed"]


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    changes = ["backbone={name: test_resnet}", "sampler.batch_size=6", "schedule.epochs=1"]
    return load_recipe("fer", [*changes, "preprocessing={size: 32, color: gray}"])


def test_ratios_on_worked_numbers(speed: ModuleType) -> None:
    found = speed.Comparison(ours=[2.0, 3.0, 8.0], bare=[1.0, 2.0, 2.0])
    assert found.times() == speed.Spread(median=2.0, low=1.75, high=3.0)
    assert found.speeds() == pytest.approx((0.5, (0.25 + 0.5) / 2, (0.5 + 2 / 3) / 2))
    assert found.times().text(1) == "2.0 (1.8 to 3.0)"


def test_sides_take_turns_and_who_begins_changes(speed: ModuleType) -> None:
    order: list[str] = []
    found = speed.compare(lambda: order.append("a"), lambda: order.append("b"), rounds=3, calls=2)
    assert "".join(order) == "bbaa" + "aabb" + "bbaa" + "aabb"
    assert [len(side) for side in found] == [3, 3]


@pytest.mark.slow
def test_measuring_a_training_does_not_change_it(
    speed: ModuleType, tiny: Recipe, tmp_path: Path
) -> None:
    dataset = speed.toy_dataset(tmp_path, tiny.preprocessing, batches=4, batch=6)
    steps = len(dataset.split_indices("train")) // 6
    assert steps >= 4
    measured = speed.compare_training(tiny, dataset, tmp_path / "measured", warmup=1)
    assert [len(side) for side in measured.steps] == [steps - 1] * 2
    assert set(measured.parts) == {
        "loading and augmenting",
        "mixup",
        "clipping",
        "averaging the weights",
    }
    assert all(cost > 0 for cost in measured.parts.values())
    fit(tiny, dataset, tmp_path / "plain", threads=speed.THREADS)
    plain, other = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "measured")
    )
    assert plain == other


@pytest.mark.slow
def test_the_bare_step_learns_its_random_batch(speed: ModuleType, tiny: Recipe) -> None:
    step = speed.bare_step(tiny, 32, 6)
    losses = [float(step()) for _ in range(12)]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_rows_of_training_and_of_predictions(
    speed: ModuleType, tiny: Recipe, tmp_path: Path
) -> None:
    rows, notes = speed.training(tiny, tmp_path, pairs=2)
    [cells] = [row.strip("| ").split(" | ") for row in rows]
    assert cells[0] == "training steps, fer, batch 6 at 32 pixels"
    assert "loading and augmenting" in notes[0]
    model = tmp_path / "tiny.onnx"
    export(load_run(tmp_path / "run"), model)
    effort = speed.Effort(sides=(256,), photos=2, passes=2, rounds=3)
    rows, notes = speed.predictions(str(model), tmp_path, effort)
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [
        "photos of 256 x 256 pixels, end to end",
        "crops, batch 1",
        "crops, batch 32",
    ]
    assert "tiny, 32 pixels" in notes[0]
    assert "detection and alignment" in notes[1]


def test_the_toy_dataset_is_what_was_asked_for(speed: ModuleType, tmp_path: Path) -> None:
    gray = Preprocessing(size=24, color="gray")
    dataset = speed.toy_dataset(tmp_path, gray, batches=3, batch=8)
    assert isinstance(dataset, Dataset)
    assert dataset.crops.shape[1:] == (24, 24, 3)
    assert len(dataset.split_indices("train")) >= 24
    crops = dataset.crops[:5]
    np.testing.assert_array_equal(crops[..., 0], crops[..., 2])


def test_the_machine_is_named(speed: ModuleType) -> None:
    text = "\n".join(speed.machine())
    for word in ("Machine: ", "cores", "torch 2.", "onnxruntime 1.", "2 threads", "load average"):
        assert word in text
