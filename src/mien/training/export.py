"""A run as one ONNX file that describes itself.

It stands in ``training``, not in ``inference``, because it needs the network and so torch.
"""

from __future__ import annotations

import json
import logging
import warnings
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from mien.files import write_bytes
from mien.networks.clips import SeverityPredictions
from mien.networks.network import Predictions
from mien.schema import MienError
from mien.training.run import Run, SeverityRun, load_run, load_severity_run, run_task

_PARITY_FLOAT = 1e-4
_PARITY_INT8 = 0.05
_UNITS = {"severity": 10.0}
"""Of what is not within 0 and 1, what a difference is divided by: ten points of a scale."""

Exported = Predictions | SeverityPredictions


def export(
    run: Run,
    out: str | Path,
    *,
    name: str | None = None,
    card: str = "",
    int8: bool = False,
    mirror: bool = False,
    abstain_below: float | None = None,
) -> dict[str, Any]:
    """Write ``run`` to ``out`` (``.onnx``) and return the metadata that the file carries.

    Input ``input`` ``(B, 3, S, S)`` float32 as :func:`mien.faces.tensors.to_tensor` makes it;
    outputs ``probabilities`` ``(B, C)`` and ``embedding`` ``(B, D)``, ``valence_arousal``
    ``(B, 2)`` in [-1, 1] where the head gives them, and ``attention`` ``(B, H, W)`` where the
    network weighs the places of its last map. ``int8`` stores convolution
    and linear weights as int8 with a scale per output channel (a quarter of the size; they are
    unpacked when the model is loaded, so speed stays the same). ``mirror`` averages over the image
    and its mirror image. Before the file gets its name, onnxruntime must give the network's
    outputs on 16 random images within 1e-4 (0.05 with int8); otherwise :class:`MienError`.
    The file says nothing of this machine: no paths, no names of source files.
    """
    out = _onnx_file(out)
    if abstain_below is not None and not 0 <= abstain_below <= 1:
        raise MienError(f"expected a confidence in [0, 1] to abstain below, got {abstain_below}")
    run.model.mirror = mirror
    size = run.preprocessing.size
    model = _to_onnx(run.model, "input", torch.zeros(2, 3, size, size))
    if int8:
        _pack_weights(model)
    return _write(
        model,
        run.info,
        out,
        name=name,
        card=card,
        int8=int8,
        inputs=(16, 3, size, size),
        module=run.model,
        own={
            "label_space": run.label_space.model_dump(mode="json"),
            "calibration": run.info["calibration"],
            "abstain_below": abstain_below,
            "mirror": mirror,
        },
    )


def export_severity(
    run: SeverityRun,
    out: str | Path,
    *,
    name: str | None = None,
    card: str = "",
    int8: bool = False,
) -> dict[str, Any]:
    """Write a run of severity to ``out``, as :func:`export` writes one of expressions.

    Input ``clip`` ``(B, T, 3, S, S)`` float32; outputs ``severity`` ``(B,)`` in points, within the
    scale, ``embedding`` ``(B, D)``, and ``distribution`` ``(B, levels)`` where the head has levels.
    The metadata say how clips are cut, the conformal interval, and what the model is not for;
    without a ``card`` the latter is the card.
    """
    out = _onnx_file(out)
    size, length = run.preprocessing.size, run.severity.clips.length
    module = SeverityPredictions(run.network).eval()
    model = _to_onnx(module, "clip", torch.zeros(2, length, 3, size, size))
    if int8:
        _pack_weights(model)
    own = {key: run.info[key] for key in ("task", "scale", "clips", "conformal", "use")}
    return _write(
        model,
        run.info,
        out,
        name=name,
        card=card or f"# {name or out.stem}\n\n{run.info['use']}\n",
        int8=int8,
        inputs=(4, length, 3, size, size),
        module=module,
        own=own,
    )


def export_run(
    folder: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    card: str = "",
    int8: bool = False,
    mirror: bool = False,
    abstain_below: float | None = None,
) -> dict[str, Any]:
    """:func:`export` or :func:`export_severity`, whichever the run in ``folder`` was trained for.

    A model of severity takes neither ``mirror`` nor ``abstain_below``: :class:`MienError`.
    """
    if run_task(folder) != "severity":
        return export(
            load_run(folder),
            out,
            name=name,
            card=card,
            int8=int8,
            mirror=mirror,
            abstain_below=abstain_below,
        )
    if mirror or abstain_below is not None:
        raise MienError(
            f"expected a run of expressions with --{'mirror' if mirror else 'abstain-below'}, got "
            f"{folder}, which is one of severity; leave it out"
        )
    return export_severity(load_severity_run(folder), out, name=name, card=card, int8=int8)


def _onnx_file(out: str | Path) -> Path:
    if Path(out).suffix != ".onnx" or Path(out).is_dir():
        raise MienError(f"expected a file name ending in .onnx, got {out}")
    return Path(out)


def _write(
    model: onnx.ModelProto,
    info: dict[str, Any],
    out: Path,
    *,
    name: str | None,
    card: str,
    int8: bool,
    inputs: tuple[int, ...],
    module: Exported,
    own: dict[str, Any],
) -> dict[str, Any]:
    """Check the model against the network, describe it, and put it under its name."""
    parity = _parity(module, model, inputs, limit=_PARITY_INT8 if int8 else _PARITY_FLOAT)
    document = {
        "format": 1,
        "name": name or out.stem,
        **own,
        "preprocessing": info["preprocessing"],
        "preprocessing_hash": info["preprocessing_hash"],
        "card": card,
        "license_terms": _terms(info["license_terms"]),
        "recipe": _shareable(info["recipe"]),
        "selected_on": info.get("selected_on", {}),
        "created": datetime.now(UTC).date().isoformat(),
        "created_with": f"mien {metadata.version('mien')}",
        "weights": "int8 per output channel" if int8 else "float32",
        "parity": parity,
    }
    helper.set_model_props(model, {"mien": json.dumps(document)})
    write_bytes(out, model.SerializeToString())
    return document


def _shareable(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with the names of the files it reads, but not where they lie."""
    weights = recipe["backbone"].get("weights")
    name = PurePath(weights).name if weights else weights
    shared = recipe | {"backbone": recipe["backbone"] | {"weights": name}}
    if "head" in recipe:
        files = {key: PurePath(recipe["head"][key]).name for key in ("adjacency", "nodes")}
        shared["head"] = recipe["head"] | files
    return shared


def _terms(terms: dict[str, str]) -> str:
    parts = [f"Training data: {terms['data']}"]
    if terms.get("start_weights"):
        parts.append(f"Start weights: {terms['start_weights']}")
    return " ".join(parts)


def _to_onnx(module: Exported, input_name: str, example: torch.Tensor) -> onnx.ModelProto:
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
                input_names=[input_name],
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
    module: Exported, model: onnx.ModelProto, shape: tuple[int, ...], *, limit: float
) -> dict[str, Any]:
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = module(torch.from_numpy(images))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    # Not the probabilities alone: a high temperature makes even wrong ones look alike.
    got = session.run(list(module.names), {model.graph.input[0].name: images})
    differences = [
        float(np.abs(mine - theirs.numpy()).max()) / _UNITS.get(name, 1.0)
        for name, mine, theirs in zip(module.names, got, expected, strict=True)
    ]
    if not all(difference <= limit for difference in differences):
        raise MienError(
            f"the exported model differs from the network by {max(differences):.2g} in "
            f"{' or '.join(module.names)} (at most {limit:g} is allowed); nothing was written"
        )
    return {"largest_difference": max(differences), "images": len(images), "limit": limit}
