"""A model repository for NVIDIA Triton: the ONNX file in its place, and ``config.pbtxt``."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.files import replacing_folder, write_text
from mien.models import find_model, open_session, session_info

MAX_BATCH = 32
_TYPES = {"tensor(float)": "TYPE_FP32"}


def write_triton(model: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Write a Triton model repository with one model; return the model's folder.

    ``folder`` must not exist or be empty. It gets ``NAME/config.pbtxt``, ``NAME/labels.txt`` where
    the model names classes, and ``NAME/1/model.onnx``. Batches of up to 32 are made of requests;
    crops are to be cut and normalized as the model's preprocessing says, which
    ``NAME/model.json`` holds. Raises :class:`~mien.errors.MienError` for what is no model, and for
    a folder that has files.
    """
    path = find_model(model)
    session = open_session(path, threads=1)
    info = session_info(session, path)
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise MienError(
            f"expected a new or empty folder for the Triton repository, got {str(folder)!r}, which "
            "has files; choose another"
        )
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", info.name) or "model"
    expression: Any = info.heads.get("expression")
    labels = "" if expression is None else "labels.txt"
    with replacing_folder(folder) as temporary:
        place = temporary / name
        (place / "1").mkdir(parents=True)
        shutil.copyfile(path, place / "1" / "model.onnx")
        write_text(place / "config.pbtxt", triton_config(name, session, labels=labels))
        write_text(place / "model.json", info.model_dump_json(indent=2) + "\n")
        if labels:
            names = expression.label_space.names
            write_text(place / labels, "".join(f"{each}\n" for each in names))
    # What shows nobody can be read by the server's user.
    os.chmod(folder, 0o755)
    return folder / name


def triton_config(name: str, session: Any, *, labels: str = "") -> str:
    """``config.pbtxt`` for an onnxruntime session whose tensors have a batch axis.

    ``labels`` names the file with the names of the output ``expression``.
    """
    inputs = [_tensor(node) for node in session.get_inputs()]
    outputs = [
        _tensor(node, labels if node.name == "expression" else "") for node in session.get_outputs()
    ]
    return (
        f"name: {json.dumps(name)}\n"
        'backend: "onnxruntime"\n'
        f"max_batch_size: {MAX_BATCH}\n"
        f"input [\n{_joined(inputs)}\n]\n"
        f"output [\n{_joined(outputs)}\n]\n"
        "dynamic_batching {\n  max_queue_delay_microseconds: 2000\n}\n"
    )


def _tensor(node: Any, labels: str = "") -> list[str]:
    if node.type not in _TYPES:
        raise MienError(
            f"expected float32 tensors, got {node.name} of {node.type}; export it again"
        )
    sizes = [size if isinstance(size, int) else -1 for size in node.shape[1:]]
    lines = [
        f"name: {json.dumps(node.name)}",
        f"data_type: {_TYPES[node.type]}",
        # A tensor of nothing but the batch axis has one number in each row.
        f"dims: [ {', '.join(map(str, sizes or [1]))} ]",
    ]
    if not sizes:
        lines.append("reshape: { shape: [ ] }")
    if labels:
        lines.append(f"label_filename: {json.dumps(labels)}")
    return lines


def _joined(tensors: list[list[str]]) -> str:
    blocks = ("  {\n" + "".join(f"    {line}\n" for line in lines) + "  }" for lines in tensors)
    return ",\n".join(blocks)
