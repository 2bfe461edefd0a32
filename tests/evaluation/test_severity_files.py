"""A run of severity and its exported file, evaluated and compared like any other model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from evaluations import Page
from small_training import SMALL_CLIPS

from mien.data.dataset import Dataset
from mien.evaluation.compare import compare
from mien.evaluation.evaluate import evaluate
from mien.synthetic.drawn import write_toy_videos
from mien.training.export import export
from mien.training.fit import fit
from mien.training.recipe import load_recipe
from mien.training.run import load_run

if TYPE_CHECKING:
    from conftest import Command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_toy_videos(tmp_path_factory.mktemp("severity") / "videos", videos=20)


@pytest.fixture(scope="module")
def models(videos: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs that differ in their seed, and the file of the first."""
    folder = tmp_path_factory.mktemp("runs")
    changes = ["backbone={name: test_resnet}", *SMALL_CLIPS, "schedule.epochs=1"]
    runs = [
        fit(
            load_recipe("ldl", [*changes, f"seed={seed}"]),
            videos,
            folder / f"seed-{seed}",
            threads=1,
        )
        for seed in (0, 1)
    ]
    export(load_run(runs[0]), folder / "severity.onnx")
    return [*runs, folder / "severity.onnx"]


def test_a_run_and_its_file_measure_the_same(
    models: list[Path], videos: Dataset, tmp_path: Path
) -> None:
    run, _ = evaluate(models[0], videos.folder, tmp_path / "run")
    file, page = evaluate(models[2], videos.folder, tmp_path / "file")
    assert run["unit"] == file["unit"] == "recording"
    first, second = (report["heads"]["severity"] for report in (run, file))
    for name, value in first["metrics"].items():
        assert second["metrics"][name]["value"] == pytest.approx(value["value"], abs=1e-3), name
    assert first["baselines"]["mean"]["metrics"] == second["baselines"]["mean"]["metrics"]
    assert "was not trained on this dataset" not in str(file["warnings"])
    assert Page(page.read_text("utf-8")).articles == ["severity"]


def test_files_and_runs_are_compared(
    command: Command, models: list[Path], videos: Dataset, tmp_path: Path
) -> None:
    document, _ = compare([models[2], models[1]], videos.folder, tmp_path / "out")
    head = document["heads"]["severity"]
    values = [side["members"][0]["metrics"]["mae"]["value"] for side in head["entries"]]
    [comparison] = head["comparisons"]
    assert comparison["metrics"]["mae"]["value"] == pytest.approx(values[1] - values[0])
    document, _ = compare([models[0], models[2]], videos.folder, tmp_path / "out")
    [comparison] = document["heads"]["severity"]["comparisons"]
    assert comparison["metrics"]["mae"]["value"] == pytest.approx(0, abs=1e-3)
    ended = command("compare", models[2], "fer", "--data", videos.folder)
    ended.refused("a head in common", "severity.onnx has severity; fer has expression")
