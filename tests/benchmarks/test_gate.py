"""The gate lets a model pass that is as good, and stops one that is worse, on planted answers."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mien.models import find_model

FOLDER = Path(__file__).parents[2] / "benchmarks"
SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def gate() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    try:
        import gate

        yield gate
    finally:
        sys.path.remove(str(FOLDER))


def planted(gate: ModuleType, seed: int, *, worse: float = 0.0, affect: bool = True):
    """Answers that are right in 80 %, with units and affect near the truth, less by ``worse``."""
    generator = np.random.default_rng(0)
    n = 400
    classes = generator.integers(0, 8, n)
    labels, units = generator.uniform(-1, 1, (n, 2)), generator.random(n)
    pictures = gate.Pictures(
        "planted",
        [np.zeros((8, 8, 3), np.uint8)] * n,
        [None] * n,
        expression={"": classes},
        affect=labels,
        units={"AU12": units},
    )
    noise = np.random.default_rng(seed)
    said = np.where(noise.random(n) < 0.8 - worse, classes, (classes + 1) % 8)
    heads = {"action_units": np.clip(units + noise.normal(0, 0.1 + worse, n), 0, 1)[:, None]}
    if affect:
        heads["valence_arousal"] = labels + noise.normal(0, 0.2 + 2 * worse, (n, 2))
    shares = np.full((n, 8), 0.2 / 7)
    shares[np.arange(n), said] = 0.8
    return gate.Answers(pictures, heads, shares, ("AU12",))


def verdicts(gate: ModuleType, old, new) -> dict[str, str]:
    return {check.name: check.verdict for check in gate.checked([gate.of_metrics(old, new)])}


def test_the_same_answers_are_not_worse(gate: ModuleType) -> None:
    old = planted(gate, 1)
    checks = gate.checked([gate.of_metrics(old, old)])
    assert {check.verdict for check in checks} == {"no difference shown"}
    assert all(check.old == check.new and check.low == check.high == 0 for check in checks)


def test_answers_that_are_as_good_are_not_worse(gate: ModuleType) -> None:
    assert "worse" not in verdicts(gate, planted(gate, 1), planted(gate, 2)).values()


def test_each_fault_is_seen_where_it_is(gate: ModuleType) -> None:
    of_worse = verdicts(gate, planted(gate, 1), planted(gate, 2, worse=0.3))
    assert set(of_worse.values()) == {"worse"}, of_worse
    better = verdicts(gate, planted(gate, 2, worse=0.3), planted(gate, 1))
    assert set(better.values()) == {"better"}, better
    old = planted(gate, 1)
    halved = old.heads["valence_arousal"] * [0.5, 1.0]
    only = verdicts(gate, old, replace(old, heads={**old.heads, "valence_arousal": halved}))
    assert [name for name, verdict in only.items() if verdict == "worse"] == ["CCC of valence"]


def test_a_head_that_is_gone_is_worse_and_a_new_one_is_only_shown(gate: ModuleType) -> None:
    with_it, without = planted(gate, 1), planted(gate, 1, affect=False)
    gone = verdicts(gate, with_it, without)
    assert gone["CCC of valence"] == gone["CCC of arousal"] == "worse"
    new = verdicts(gate, without, with_it)
    assert new["CCC of valence"] == "not in OLD" and "worse" not in new.values()


def test_a_file_that_is_too_large_is_worse(gate: ModuleType, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"0" * 1000), large.write_bytes(b"0" * 3000)
    assert gate.size_check(small, large, 0.002).verdict == "worse"
    assert gate.size_check(large, small, 0.002).verdict == "small enough"


def test_the_table_says_what_is_worse(gate: ModuleType) -> None:
    checks = gate.checked([gate.of_metrics(planted(gate, 1), planted(gate, 2, worse=0.3))])
    lines = gate.table(checks).splitlines()
    assert len(lines) == 2 + len(checks)
    assert all(line.endswith("| **worse** |") for line in lines[2:])


@pytest.mark.slow
def test_a_model_whose_classes_are_shuffled_fails_and_the_same_passes(
    gate: ModuleType, tmp_path: Path
) -> None:
    if not SHARED.is_dir():
        pytest.skip("needs the shared data")
    model = onnx.load(str(find_model("fer")))
    [node] = [node for node in model.graph.node if "expression" in node.output]
    node.output[list(node.output).index("expression")] = "ordered"
    order = numpy_helper.from_array(np.array([1, 2, 3, 4, 5, 6, 7, 0]), "order")
    model.graph.initializer.append(order)
    model.graph.node.append(
        helper.make_node("Gather", ["ordered", "order"], ["expression"], axis=1)
    )
    shuffled = tmp_path / "shuffled.onnx"
    onnx.save(model, str(shuffled))
    given = {"data": SHARED, "rows": 60, "faces": 0, "sanity": 10, "megabytes": 6.0, "threads": 1}
    checks = gate.gate(Namespace(old="fer", new=str(shuffled), **given))
    worse = [f"{check.group}: {check.name}" for check in checks if check.verdict == "worse"]
    assert "FER+ valid: accuracy, every top vote" in worse
    assert "DiffusionFER train: accuracy" in worse
    checks = gate.gate(Namespace(old="fer", new="fer", **given))
    assert not [check for check in checks if check.verdict == "worse"]
