"""An exported model that computes in int8: calibrated on a dataset, and measured against floats.

Not to be mixed up with packed weights, which are stored as int8 and computed with as float32. Here
weights and activations are int8 with a scale each (static quantization by onnxruntime, QDQ), so
convolutions run in integer arithmetic where the processor has it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.faces.tensors import to_tensor
from mien.heads import HEADS, Validation
from mien.metrics.metric import Metric
from mien.models import ModelInfo

MOST_DROP = 0.01
"""How much worse the selecting metric of a head may get on the split valid: a point of accuracy."""
CALIBRATION_FACES = 256
_BATCH = 32
# What is computed in int8; norms, softmax and the heads' arithmetic stay float32.
_OPERATORS = ["Conv", "Add", "Mul", "Clip", "Relu", "MaxPool", "GlobalAveragePool", "Concat"]


class Measured(NamedTuple):
    """A head's metric on the ``faces`` labeled faces of the split valid, in floats and in int8."""

    metric: Metric
    faces: int
    float32: float
    int8: float

    @property
    def drop(self) -> float:
        """By how much int8 is worse; below 0 where it is better."""
        change = self.float32 - self.int8
        return change if self.metric.greater_is_better else -change


def quantized(model: onnx.ModelProto, info: ModelInfo, dataset: Dataset) -> onnx.ModelProto:
    """The model in int8 arithmetic, with the ranges of values on faces of the split train.

    Raises :class:`~mien.errors.MienError` for a model of clips, for crops that the model does not
    take, and for a dataset without the splits train and valid.
    """
    if info.clips is not None:
        raise MienError(
            "expected a run that reads faces for --int8, got one that reads clips; leave --int8 "
            "out, or store its weights small with --packed"
        )
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    dataset = dataset.with_preprocessing(info.preprocessing)
    dataset.split_indices("valid")  # before what takes long: the model is measured there
    rows = dataset.split_indices("train")
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:CALIBRATION_FACES])

    class Faces(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = _batches(dataset, rows, info)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"input": batch}

    logging.getLogger("root").addFilter(_no_advice)
    try:
        with tempfile.TemporaryDirectory() as folder:
            plain, out = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
            _write_folded(model, plain)
            quantize_static(
                plain,
                out,
                Faces(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=_OPERATORS,
                nodes_to_exclude=_behind_backbone(onnx.load(plain)),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )
            return _shared(onnx.load(out))
    finally:
        logging.getLogger("root").removeFilter(_no_advice)


def measure(
    model: onnx.ModelProto, lesser: onnx.ModelProto, info: ModelInfo, dataset: Dataset
) -> dict[str, Measured]:
    """The selecting metric of every head that the split valid has labels for, of both models.

    Raises :class:`~mien.errors.MienError` where it has none.
    """
    dataset = dataset.with_preprocessing(info.preprocessing)
    rows = dataset.split_indices("valid")
    targets = make_targets(dataset, "majority").take(rows)
    measured = {}
    sides = [_outputs(each, info, dataset, rows) for each in (model, lesser)]
    for name in info.heads:
        labeled = targets.labeled(name)
        if not labeled.any():
            continue
        head, metric = HEADS[name], HEADS[name].metrics[0]
        values = [
            metric.function(
                *head.measured(
                    Validation(
                        {key: array[labeled] for key, array in targets.values.items()},
                        {},
                        {key: array[labeled] for key, array in outputs.items()},
                        np.full(int(labeled.sum()), ""),
                    )
                )
            )
            for outputs in sides
        ]
        measured[name] = Measured(metric, int(labeled.sum()), *values)
    if not measured:
        raise MienError(
            f"expected labels of {' or '.join(info.heads)} in the split valid of {dataset.folder}, "
            "got none; use a dataset that has some"
        )
    return measured


def check_drop(measured: dict[str, Measured], most: float) -> None:
    """Raise :class:`~mien.errors.MienError` where int8 costs a head more than ``most``."""
    for name, each in measured.items():
        # Not "greater": NaN is no accuracy.
        if not each.drop <= most:
            raise MienError(
                f"expected int8 to cost {name} at most {most:g} in {each.metric.name} on the split "
                f"valid, got {each.drop:.4f} ({each.float32:.4f} to {each.int8:.4f} on "
                f"{each.faces:,} faces); export without --int8, or allow more with --most-drop"
            )


def _batches(
    dataset: Dataset, rows: NDArray[np.int64], info: ModelInfo
) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(rows), _BATCH):
        yield to_tensor(dataset.crops[rows[start : start + _BATCH]], info.preprocessing)


def _outputs(
    model: onnx.ModelProto, info: ModelInfo, dataset: Dataset, rows: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [node.name for node in session.get_outputs()]
    parts = [session.run(names, {"input": batch}) for batch in _batches(dataset, rows, info)]
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}


def unpacked(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as onnxruntime computes it: weights unpacked, batch norms folded, all float32."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plain.onnx"
        _write_folded(model, path)
        return _shared(onnx.load(path))


def _write_folded(model: onnx.ModelProto, path: Path) -> None:
    """Write the model with its weights unpacked and its batch norms folded into convolutions."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _behind_backbone(model: onnx.ModelProto) -> list[str]:
    """The names of the nodes that no convolution reads from: the embedding and the heads."""
    needed: set[str] = set()
    behind = []
    for node in reversed(model.graph.node):
        if node.op_type == "Conv" or needed.intersection(node.output):
            needed.update(node.input)
        else:
            behind.append(node.name)
    return behind


def _shared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with equal constants stored once: a mirrored network has all of them twice."""
    names: dict[bytes, str] = {}
    instead: dict[str, str] = {}
    stored = list(model.graph.initializer)
    del model.graph.initializer[:]
    for tensor in stored:
        name = tensor.name
        tensor.name = ""
        first = names.setdefault(tensor.SerializeToString(deterministic=True), name)
        tensor.name = name
        instead[name] = first
        if first == name:
            model.graph.initializer.append(tensor)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = instead.get(name, name)
    return model


def _no_advice(record: logging.LogRecord) -> bool:
    """Drop onnxruntime's advice to preprocess the model, which was done."""
    return "pre-process" not in record.getMessage()
