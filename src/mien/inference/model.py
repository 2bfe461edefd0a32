"""A model file opened for prediction: its description, checked, and its onnxruntime session."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.models import (
    METADATA_KEY,
    OPTIONAL_OUTPUTS,
    OUTPUTS,
    ModelInfo,
    SeverityInfo,
    parse_description,
)
from mien.schema import MienError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def read_metadata(path: str | os.PathLike[str]) -> ModelInfo:
    """What the model in an ONNX file says of itself; errors as for :func:`read_model`."""
    return read_model(path)[0]


def read_model(
    path: str | os.PathLike[str], *, threads: int | None = None
) -> tuple[ModelInfo, InferenceSession]:
    """The description and the onnxruntime session of a model of expressions.

    ``threads`` limits the threads of one run (None: one a core). Raises
    :class:`~mien.schema.MienError` for a file that is no ONNX, is not mien's, comes from a newer
    mien, does not have the inputs and outputs that it should, or is a model of severity.
    """
    info, session = read_any_model(path, threads=threads)
    if isinstance(info, SeverityInfo):
        raise MienError(
            f"expected a model that reads expressions, got {os.fspath(path)!r}, which reads "
            "severity from clips: it works beside one, on videos"
        )
    return info, session


def read_severity_model(
    path: str | os.PathLike[str], *, threads: int | None = None
) -> tuple[SeverityInfo, InferenceSession]:
    """As :func:`read_model`, of a model that reads severity from clips."""
    info, session = read_any_model(path, threads=threads)
    if not isinstance(info, SeverityInfo):
        raise MienError(
            f"expected a model that reads severity, got {os.fspath(path)!r}, which reads "
            "expressions"
        )
    return info, session


def read_any_model(
    path: str | os.PathLike[str], *, threads: int | None = None
) -> tuple[ModelInfo | SeverityInfo, InferenceSession]:
    """As :func:`read_model`, whatever the model reads."""
    if threads is not None and threads < 1:
        raise MienError(f"expected at least one thread, got {threads}")
    session = _session(Path(path), threads)
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise MienError(
            f"expected a model written by `mien export`, got {str(path)!r}, an ONNX file without "
            "mien's metadata; export it from a run"
        )
    info = parse_description(text, path)
    size = info.preprocessing.size
    # A number is the width of an axis, a name is an axis of any width.
    expected: dict[str, tuple[int | str, ...]]
    if isinstance(info, SeverityInfo):
        expected = {
            "clip": (info.clips.length, 3, size, size),
            "severity": (),
            "embedding": ("D",),
            "distribution": (info.scale.levels,),
        }
        _check_signature(session, expected, path, optional=("distribution",))
        return info, session
    expected = {
        "input": (3, size, size),
        "probabilities": (len(info.label_space),),
        "embedding": ("D",),
        "valence_arousal": (2,),
        "attention": ("h", "w"),
    }
    _check_signature(session, expected, path, optional=OPTIONAL_OUTPUTS)
    given = {node.name for node in session.get_outputs()}
    outputs = (*OUTPUTS, *(name for name in OPTIONAL_OUTPUTS if name in given))
    return info.model_copy(update={"outputs": outputs}), session


def _session(path: Path, threads: int | None) -> InferenceSession:
    import onnxruntime

    if not path.is_file():
        raise MienError(f"expected an ONNX file, got {str(path)!r}, which does not exist")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # onnxruntime's errors share no class but Exception.
    except Exception as error:
        detail = str(error).rsplit("failed:", 1)[-1].splitlines()[0].strip().rstrip(".")
        raise MienError(
            f"expected an ONNX model, got {str(path)!r}, which onnxruntime cannot load ({detail})"
        ) from error


def _check_signature(
    session: InferenceSession,
    expected: dict[str, tuple[int | str, ...]],
    path: str | os.PathLike[str],
    *,
    optional: Sequence[str],
) -> None:
    """One input and the outputs are float32 of the expected shapes, behind the batch's axis."""
    nodes = {node.name: node for node in (*session.get_inputs(), *session.get_outputs())}
    for name, shape in expected.items():
        if name in optional and name not in nodes:
            continue
        wanted = f"{name} float32 ({', '.join(['B', *map(str, shape)])})"
        if name not in nodes:
            got = f"only {', '.join(nodes)}"
        else:
            node = nodes[name]
            # A dynamic axis is a string or None and fits anything, the batch axis has to be one.
            fits = (
                node.type == "tensor(float)"
                and len(node.shape) == len(shape) + 1
                and not isinstance(node.shape[0], int)
                and all(
                    isinstance(want, str) or not isinstance(have, int) or have == want
                    for have, want in zip(node.shape[1:], shape, strict=True)
                )
            )
            if fits:
                continue
            got = f"{node.type} {node.shape}"
        raise MienError(
            f"expected {wanted} in the model {os.fspath(path)!r}, got {got}; export the model again"
        )
    if len(session.get_inputs()) != 1:
        raise MienError(
            f"expected one input in the model {os.fspath(path)!r}, got "
            f"{', '.join(node.name for node in session.get_inputs())}; export the model again"
        )
