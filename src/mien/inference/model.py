"""A model is one ONNX file that describes itself; this reads and checks the description."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.labels import LabelSpace
from mien.schema import MienError, Preprocessing

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

METADATA_KEY = "mien"
FORMAT = 1
OUTPUTS = ("probabilities", "embedding")
OPTIONAL_OUTPUTS = ("valence_arousal", "attention")
"""Outputs that a model may have; without them it reads expressions only."""


class Calibration(BaseModel):
    """How the probabilities were calibrated; the temperature is already inside the network."""

    model_config = ConfigDict(frozen=True)

    temperature: float = Field(default=1.0, gt=0)
    method: str = "none"


class ModelInfo(BaseModel):
    """What a model says of itself: the JSON under the key ``mien`` of its ONNX metadata.

    ``abstain_below`` is the confidence under which the model would rather not answer, None for
    always answering. ``card`` is Markdown, ``terms`` the terms of use in one paragraph.
    ``outputs`` are those of the ONNX graph itself, whatever the metadata say.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    label_space: LabelSpace
    preprocessing: Preprocessing
    preprocessing_hash: str
    calibration: Calibration = Calibration()
    abstain_below: float | None = Field(default=None, ge=0, le=1)
    card: str = ""
    terms: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    created_with: str = ""
    parity: dict[str, Any] = Field(default_factory=dict)
    outputs: tuple[str, ...] = OUTPUTS


def shipped_models() -> dict[str, Path]:
    """The models that come with mien: name -> ONNX file."""
    folder = Path(str(files("mien").joinpath("assets")))
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}


def find_model(name_or_file: str | os.PathLike[str]) -> Path:
    """The ONNX file behind a shipped model's name or a path.

    Raises :class:`~mien.schema.MienError`, which lists the names, when it is neither.
    """
    shipped = shipped_models()
    if isinstance(name_or_file, str) and name_or_file in shipped:
        return shipped[name_or_file]
    path = Path(name_or_file)
    if path.is_file():
        return path
    names = ", ".join(shipped) or "none in this installation"
    got = f"the folder {str(path)!r}" if path.is_dir() else repr(str(path))
    raise MienError(f"expected an ONNX file or the name of a shipped model ({names}), got {got}")


def read_metadata(path: str | os.PathLike[str]) -> ModelInfo:
    """What the model in an ONNX file says of itself; errors as for :func:`read_model`."""
    return read_model(path)[0]


def read_model(
    path: str | os.PathLike[str], *, threads: int | None = None
) -> tuple[ModelInfo, InferenceSession]:
    """The description and the onnxruntime session of a model file.

    ``threads`` limits the threads of one run (None: one a core). Raises
    :class:`~mien.schema.MienError` for a file that is no ONNX, is not mien's, comes from a newer
    mien, or does not have the inputs and outputs that it should.
    """
    if threads is not None and threads < 1:
        raise MienError(f"expected at least one thread, got {threads}")
    session = _session(Path(path), threads)
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise MienError(
            f"expected a model written by `mien export`, got {str(path)!r}, an ONNX file without "
            "mien's metadata; export it from a run"
        )
    info = _parse(text, path)
    _check_signature(session, info, path)
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


def _parse(text: str, path: str | os.PathLike[str]) -> ModelInfo:
    name = repr(os.fspath(path))
    try:
        fields = json.loads(text)
        version = fields["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise MienError(
            f"expected JSON with a format number in the metadata of {name}, got {text[:40]!r}; "
            "export the model again"
        ) from error
    if version != FORMAT:
        raise MienError(
            f"expected model format {FORMAT}, got {version!r} in {name}; "
            "use the mien version that wrote it"
            + (f" ({fields['created_with']})" if fields.get("created_with") else "")
        )
    try:
        info = ModelInfo.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MienError(
            f"expected complete mien metadata in {name}, got a fault at {where!r} "
            f"({first['msg']}); export the model again"
        ) from error
    if info.preprocessing_hash != info.preprocessing.hash:
        raise MienError(
            f"expected preprocessing hash {info.preprocessing.hash} in {name}, "
            f"got {info.preprocessing_hash}; the metadata was edited, export the model again"
        )
    return info


def _check_signature(
    session: InferenceSession, info: ModelInfo, path: str | os.PathLike[str]
) -> None:
    """Input (B, 3, S, S), outputs (B, C), (B, D) and, if there, (B, 2), (B, h, w); all float32."""
    size, classes = info.preprocessing.size, len(info.label_space)
    # A number is the width of an axis, a name is an axis of any width.
    expected: dict[str, tuple[int | str, ...]] = {
        "input": (3, size, size),
        "probabilities": (classes,),
        "embedding": ("D",),
        "valence_arousal": (2,),
        "attention": ("h", "w"),
    }
    nodes = {node.name: node for node in (*session.get_inputs(), *session.get_outputs())}
    for name, shape in expected.items():
        if name in OPTIONAL_OUTPUTS and name not in nodes:
            continue
        wanted = f"{name} float32 (B, {', '.join(map(str, shape))})"
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
