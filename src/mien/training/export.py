"""A run as one ONNX file that describes itself.

It stands in ``training``, not in ``inference``, because it needs the network and so torch.
"""

from __future__ import annotations

import json
import logging
import warnings
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from mien import __version__
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.files import write_bytes
from mien.heads import HEADS
from mien.heads.expression import ExpressionInfo
from mien.licenses import Ledger, documents
from mien.models import METADATA_KEY
from mien.networks.predictions import PredictionNetwork
from mien.training.licenses import licenses_of_older_run
from mien.training.quantization import MOST_DROP, check_drop, measure, quantized
from mien.training.run import Run, load_run
from mien.training.selection import WARNING

_PARITY_FLOAT = 1e-4
_PARITY_PACKED = 0.05
_IMAGES, _CLIPS = 16, 4
"""How many random inputs the exported model is compared on."""


def export(
    run: Run | str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    card: str = "",
    packed: bool = False,
    int8_data: str | Path | Dataset | None = None,
    most_drop: float = MOST_DROP,
    mirror: bool = False,
    abstain_below: float | None = None,
    balance: float = 0.0,
) -> dict[str, Any]:
    """Write a run or run folder to ``out`` (``.onnx``); return the metadata that the file carries.

    The file has one input, ``input`` ``(B, 3, S, S)`` or of clips ``(B, T, 3, S, S)`` float32 as
    :func:`mien.faces.tensors.to_tensor` makes it, and the outputs that
    :attr:`mien.models.ModelInfo.outputs` lists.

    Two things make it small. ``packed`` stores convolution and linear weights as int8 with a scale
    per output channel (a quarter of the size); they are unpacked when the model is loaded, so
    arithmetic, and with it speed, is that of float32. ``int8_data``, a dataset, lets the backbone
    compute in int8: the ranges of its values are those of faces of the split train, and where the
    metric that selects epochs falls by more than ``most_drop`` on the split valid, nothing is
    written.

    ``mirror`` averages over the input and its mirror image;
    ``abstain_below`` is the confidence in an expression under which the model abstains, and
    ``balance`` in [0, 1] how far rare expressions are favored: their probabilities are divided by
    their shares of the training to this power. Where no
    card is given, it says what a head's statement of use says, and whether commercial use is
    allowed.

    Before the file gets its name, onnxruntime must give the network's outputs on random inputs
    within 1e-4 (0.05 with ``packed``; before it is calibrated for int8); otherwise
    :class:`MienError`. The file says nothing of this
    machine: no paths, no names of source files.
    """
    if packed and int8_data is not None:
        raise MienError(
            "expected either --packed or --int8, got both; --int8 packs the weights as well"
        )
    if Path(out).suffix != ".onnx" or Path(out).is_dir():
        raise MienError(f"expected a file name ending in .onnx, got {out}")
    out = Path(out)
    if not isinstance(run, Run):
        run = load_run(run)
    heads = {key: info.model_dump(mode="json") for key, info in run.info.heads.items()}
    ledger = Ledger(run.info.licenses or licenses_of_older_run(run.document))
    for option, value in (("abstain-below", abstain_below), ("balance", balance or None)):
        if value is not None and "expression" not in heads:
            raise MienError(
                f"expected a run with the head expression for --{option}, got {run.folder} "
                f"with {', '.join(heads)}; leave it out"
            )
    run.model.infos = dict(run.info.heads)
    if balance:
        run.model.infos["expression"] = info = _balanced(run, balance)
        heads["expression"] = info.model_dump(mode="json")
    if abstain_below is not None:
        if not 0 <= abstain_below <= 1:
            raise MienError(
                f"expected a confidence in [0, 1] to abstain below, got {abstain_below}"
            )
        heads["expression"]["abstain_below"] = abstain_below
    run.model.mirror = mirror
    shape = run.info.input_shape
    model = _to_onnx(run.model, torch.zeros(2, *shape))
    if packed:
        _pack_weights(model)
    parity = _parity(run.model, model, shape, limit=_PARITY_PACKED if packed else _PARITY_FLOAT)
    arithmetic: dict[str, Any] = {}
    if int8_data is not None:
        model, arithmetic = _in_int8(model, run, int8_data, most_drop)
    uses = [info["use"] for info in heads.values() if info.get("use")]
    title = name or out.stem
    card = card or "\n\n".join([f"# {title}", *uses[:1], f"Commercial use: {ledger}.\n"])
    if run.document.get("selected_on", {}).get("split") == "test":
        card = f"{card}\n\n**{WARNING}.**\n"
    document = {
        **run.info.model_dump(mode="json", exclude={"heads", "card", "parity", "recipe"}),
        "name": title,
        "heads": heads,
        "card": card,
        "licenses": documents(ledger.entries),
        "recipe": _shareable(run.document["recipe"]),
        "selected_on": run.document.get("selected_on", {}),
        "mirror": mirror,
        "created": datetime.now(UTC).date().isoformat(),
        "created_with": f"mien {__version__}",
        "weights": "int8 per output channel" if packed or int8_data is not None else "float32",
        "parity": parity,
        **arithmetic,
    }
    helper.set_model_props(model, {METADATA_KEY: json.dumps(document)})
    write_bytes(out, model.SerializeToString())
    return document


def _balanced(run: Run, balance: float) -> ExpressionInfo:
    info = run.info.heads["expression"]
    if not isinstance(info, ExpressionInfo) or not info.shares:
        raise MienError(
            f"expected a run that knows the shares of its classes for --balance, got {run.folder} "
            "of an earlier version; train it again or leave --balance out"
        )
    if not 0 <= balance <= 1:
        raise MienError(f"expected a balance in [0, 1], got {balance}")
    calibration = info.calibration.model_copy(update={"balance": balance})
    return info.model_copy(update={"calibration": calibration})


def _in_int8(
    model: onnx.ModelProto, run: Run, data: str | Path | Dataset, most_drop: float
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The model in int8 arithmetic, and what its metadata say of that."""
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    lesser = quantized(model, run.info, dataset)
    measured = measure(model, lesser, run.info, dataset)
    check_drop(measured, most_drop)
    about = {
        name: {
            "metric": each.metric.name,
            "faces": each.faces,
            "float32": each.float32,
            "int8": each.int8,
        }
        for name, each in measured.items()
    }
    return lesser, {"arithmetic": {"kind": "int8", "most_drop": most_drop, "valid": about}}


def _shareable(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with the names of the files it reads, but not where they lie."""
    weights = recipe["backbone"].get("weights")
    name = PurePath(weights).name if weights else weights
    shared = recipe | {"backbone": recipe["backbone"] | {"weights": name}}
    if (graph := recipe.get("graph")) is not None:
        files = {key: PurePath(graph[key]).name for key in ("adjacency", "nodes")}
        shared["graph"] = graph | files
    return shared


def _to_onnx(module: PredictionNetwork, example: torch.Tensor) -> onnx.ModelProto:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=["input"],
                output_names=list(module.names),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model: onnx.ModelProto = program.model_proto
    # Traces and source paths of the exporting machine do not belong into a file that is shared.
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    return model


def _pack_weights(model: onnx.ModelProto) -> None:
    """Store weights as int8 times a scale per output channel, unpacked by Cast and Mul.

    QuantizeLinear nodes would make onnxruntime compute in int8, which is slower on many CPUs and
    less exact; Cast and Mul of constants are folded once, when the model is loaded.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    axis_of: dict[str, int] = {}
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in constants:
            axis_of[node.input[1]] = 0
        elif node.op_type == "Gemm" and node.input[1] in constants:
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            axis_of[node.input[1]] = 0 if transposed else 1
        elif node.op_type == "MatMul" and node.input[1] in constants:
            axis_of[node.input[1]] = 1
    unpack = []
    for name, axis in axis_of.items():
        tensor = constants[name]
        weights = numpy_helper.to_array(tensor)
        if weights.size < 1024:
            continue
        others = tuple(a for a in range(weights.ndim) if a != axis)
        scale = np.abs(weights).max(axis=others, keepdims=True) / 127
        scale = np.where(scale == 0, 1, scale).astype(np.float32)
        packed = np.rint(weights / scale).astype(np.int8)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(packed, f"{name}.int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        unpack.append(
            helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=TensorProto.FLOAT)
        )
        unpack.append(helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*unpack, *nodes])


@torch.inference_mode()
def _parity(
    module: PredictionNetwork, model: onnx.ModelProto, shape: tuple[int, ...], *, limit: float
) -> dict[str, Any]:
    count = _IMAGES if len(shape) == 3 else _CLIPS
    images = np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)
    expected = module(torch.from_numpy(images))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    # Not the predictions alone: a high temperature makes even wrong ones look alike.
    got = session.run(list(module.names), {"input": images})
    units = {
        output: HEADS[head].parity_unit
        for head, info in module.infos.items()
        for output in HEADS[head].outputs(info)
    }
    differences = [
        float(np.abs(exported - tensor.numpy()).max()) / units.get(name, 1.0)
        for name, exported, tensor in zip(module.names, got, expected, strict=True)
    ]
    if not all(difference <= limit for difference in differences):
        raise MienError(
            f"the exported model differs from the network by {max(differences):.2g} in "
            f"{' or '.join(module.names)} (at most {limit:g} is allowed); nothing was written"
        )
    return {"largest_difference": max(differences), "inputs": len(images), "limit": limit}
