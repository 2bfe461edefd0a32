"""A model of severity that mien could have exported, small enough to work out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from mien.scales import RESEARCH_ONLY
from mien.schema import Preprocessing

SIZE, LENGTH = 16, 4
USE = f"{RESEARCH_ONLY} Trained on: nothing."


def write_severity_model(path: Path, *, half_width: float | None = 10.0, **changes: Any) -> Path:
    """A model whose severity of a clip is ten times its brightness, as tensors have it."""
    shape = ["B", LENGTH, 3, SIZE, SIZE]
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "ten"], ["severity"]),
        helper.make_node("Reshape", ["severity", "column"], ["embedding"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [4], [1, 2, 3, 4]),
        helper.make_tensor("ten", TensorProto.FLOAT, [], [10.0]),
        helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("severity", TensorProto.FLOAT, ["B"]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", 1]),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    preprocessing = Preprocessing(size=SIZE, mean=(0, 0, 0), std=(1, 1, 1))
    about = {
        "format": 2,
        "name": "brightness",
        "heads": {
            "severity": {
                "scale": {"name": "ours", "top": 10, "bands": [["low", 0], ["high", 5]]},
                "conformal": {"coverage": 0.9, "half_width": half_width},
                "use": USE,
            }
        },
        "clips": {"length": LENGTH, "stride": 2, "fps": 10, "aggregate": "mean"},
        "preprocessing": preprocessing.model_dump(mode="json"),
        "preprocessing_hash": preprocessing.hash,
        **changes,
    }
    helper.set_model_props(model, {"mien": json.dumps(about)})
    onnx.save(model, path)
    return path
