"""Models that compute in int8: what is in the file, what it costs, and when it is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.heads import HEADS
from mien.inference.model import open_onnx
from mien.training.export import export
from mien.training.quantization import Measured, check_drop


@pytest.fixture(scope="module")
def exported(
    toy_run: Path, toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, object]]:
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    return path, export(toy_run, path, int8_data=toy_dataset, most_drop=0.2)


@pytest.mark.slow
def test_convolutions_read_int8(exported: tuple[Path, dict[str, object]], toy_model: Path) -> None:
    graph = onnx.load(exported[0]).graph
    made_by = {name: node for node in graph.node for name in node.output}
    stored = {each.name: numpy_helper.to_array(each).dtype for each in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert convolutions
    for node in convolutions:
        for value in node.input[:2]:
            assert made_by[value].op_type == "DequantizeLinear"
        assert stored[made_by[node.input[1]].input[0]] == np.int8
    # The heads stay as they are.
    softmax = next(node for node in graph.node if node.op_type == "Softmax")
    assert made_by[softmax.input[0]].op_type != "DequantizeLinear"
    assert exported[0].stat().st_size < toy_model.stat().st_size


@pytest.mark.slow
def test_it_predicts_about_the_same(
    exported: tuple[Path, dict[str, object]], toy_model: Path, toy_dataset: Path
) -> None:
    dataset = Dataset.open(toy_dataset)
    crops = dataset.crops[dataset.split_indices("test")]
    sides = [
        open_onnx(path).predict(crops).heads["expression"] for path in (exported[0], toy_model)
    ]
    assert (sides[0].argmax(1) == sides[1].argmax(1)).mean() > 0.9
    assert not np.array_equal(*sides)


@pytest.mark.slow
def test_the_file_says_what_it_cost(exported: tuple[Path, dict[str, object]]) -> None:
    arithmetic = exported[1]["arithmetic"]
    assert isinstance(arithmetic, dict)
    assert (arithmetic["kind"], arithmetic["most_drop"]) == ("int8", 0.2)
    entry = arithmetic["valid"]["expression"]
    assert entry["metric"] == "accuracy" and entry["faces"] > 0
    assert 0.2 < entry["float32"] <= 1 and entry["float32"] - entry["int8"] <= 0.2


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.88), (0.9, math.nan), (math.nan, 0.9)])
def test_a_model_that_gets_worse_is_refused(before: float, after: float) -> None:
    metric = HEADS["expression"].metrics[0]
    with pytest.raises(MienError, match=r"cost expression at most 0\.01 in accuracy"):
        check_drop({"expression": Measured(metric, 100, before, after)}, 0.01)
    check_drop({"expression": Measured(metric, 100, 0.9, 0.895)}, 0.01)
    check_drop({"expression": Measured(metric, 100, 0.9, 0.95)}, 0.0)


@pytest.mark.slow
def test_nothing_is_written_where_it_is_refused(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = HEADS["expression"].metrics[0]
    measured = {"expression": Measured(metric, 100, 0.9, 0.5)}
    monkeypatch.setattr("mien.training.export.measure", lambda *_: measured)
    with pytest.raises(MienError, match="export without --int8, or allow more with --most-drop"):
        export(toy_run, tmp_path / "m.onnx", int8_data=toy_dataset)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_it_needs_is_said(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    with pytest.raises(MienError, match="either --packed or --int8, got both"):
        export(toy_run, out, packed=True, int8_data=toy_dataset)
    dataset = Dataset.open(toy_dataset)
    for present, missing in (("valid", "train"), ("train", "valid")):
        other = dataset.with_splits(np.full(len(dataset), present))
        with pytest.raises(MienError, match=f"got '{missing}': name one"):
            export(toy_run, out, int8_data=other)


@pytest.mark.slow
def test_the_command(toy_run: Path, toy_dataset: Path, tmp_path: Path, command) -> None:
    out = tmp_path / "m.onnx"
    command("export", toy_run, "--out", out, "--int8").refused("expected --data with --int8")
    command("export", toy_run, "--out", out, "--data", toy_dataset).refused(
        "expected --int8 or --accuracy with"
    )
    ended = command(
        "export", toy_run, "--out", out, "--int8", "--data", toy_dataset, "--most-drop", "0.2"
    )
    assert ended.code == 0 and "expression in int8: accuracy" in ended.out, ended
