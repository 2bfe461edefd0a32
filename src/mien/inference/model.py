"""A model file opened for prediction: its description, its session, and one way to run it."""

from __future__ import annotations

import copy
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MienError
from mien.faces.forks import ForkLock, never_freed_by_children
from mien.heads import HEADS, Arrays
from mien.models import MOST_NUMBERS, RUN_FILE, ModelInfo, find_model, open_session, session_info
from mien.schema import ModelOutput, UInt8Array, concatenate_outputs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class OnnxModel:
    """An opened ONNX model; ``info`` describes it.

    Raises :class:`~mien.errors.MienError` for a session whose input and outputs are not those that
    the description announces; ``path`` names the file in the message, and is where a pickle or a
    forked process opens the model again, with ``threads``.
    """

    def __init__(
        self,
        info: ModelInfo,
        session: InferenceSession,
        path: str | os.PathLike[str] = "",
        *,
        threads: int | None = None,
    ) -> None:
        _check_signature(info, session, os.fspath(path) or info.name)
        self.info = info
        self._session = never_freed_by_children(session)
        # A process that opens it again may work in another folder.
        self._path, self._threads = os.path.abspath(path) if path else "", threads
        self._opening = ForkLock()
        available = {node.name for node in session.get_outputs()}
        self._names = [name for name in info.outputs if name in available]

    def answering_from(self, confidence: float) -> OnnxModel:
        """The same model, abstaining below another confidence in an expression; 0 for never.

        Raises :class:`~mien.errors.MienError` for a model that gives no expression, and for what is
        no confidence in [0, 1].
        """
        head = self.info.heads.get("expression")
        if head is None:
            raise MienError(
                f"expected a model with the head expression to abstain below a confidence, got "
                f"{self.info.name!r} with {', '.join(self.info.heads)}; leave abstain_below out"
            )
        if not 0 <= confidence <= 1:
            raise MienError(f"expected a confidence in [0, 1] to abstain below, got {confidence}")
        changed = head.model_copy(update={"abstain_below": confidence, "abstention": None})
        model = copy.copy(self)
        model.info = self.info.model_copy(
            update={"heads": {**self.info.heads, "expression": changed}}
        )
        return model

    def predict(self, crops: UInt8Array, batch_size: int = 32) -> ModelOutput:
        """The model's output for N crops, or for N clips of them.

        Parameters
        ----------
        crops
            ``(N, S, S, 3)`` uint8 RGB, cut (and composed, for a model of partial images) as the
            model's preprocessing says; ``(N, T, S, S, 3)`` for a model of clips.
        batch_size
            How many go through the network at a time.

        Probabilities are calibrated. Raises :class:`~mien.errors.MienError` when the network
        returns NaN or infinity.
        """
        *frames, channels, size, _ = self.info.input_shape
        shape = (*frames, size, size, channels)
        if crops.shape[1:] != shape or crops.dtype != np.uint8:
            kind = "clips" if frames else "crops"
            raise ValueError(
                f"expected uint8 {kind} (B, {', '.join(map(str, shape))}), "
                f"got {crops.dtype} {crops.shape}"
            )
        if batch_size < 1:
            raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
        batch_size = max(1, min(batch_size, MOST_NUMBERS // math.prod(shape)))
        outputs = [
            self._run(crops[start : start + batch_size])
            # An empty run for no crops: its arrays have the right widths.
            for start in range(0, max(len(crops), 1), batch_size)
        ]
        return outputs[0] if len(outputs) == 1 else concatenate_outputs(outputs)

    def _run(self, crops: UInt8Array) -> ModelOutput:
        from mien.faces.tensors import to_tensor

        tensor = to_tensor(crops.reshape(-1, *crops.shape[-3:]), self.info.preprocessing)
        batch = tensor.reshape(len(crops), *self.info.input_shape)
        try:
            outputs = self._ready_session().run(self._names, {"input": batch})
        except MienError:
            raise
        # onnxruntime's errors share no class but Exception.
        except Exception as error:
            raise MienError(
                f"expected the model {self.info.name!r} to run, got {_short(error)}; "
                "close other programs if memory is short, or export it again"
            ) from error
        arrays = dict(zip(self._names, outputs, strict=True))
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise MienError(
                f"expected finite numbers from the model {self.info.name!r}, got NaN or infinity; "
                "train or export it again"
            )
        embeddings, attention = arrays.pop("embedding"), arrays.pop("attention", None)
        return ModelOutput(embeddings, arrays, attention)

    def _ready_session(self) -> InferenceSession:
        with self._opening as lock:
            if lock.forked:
                session = open_session(self._file(), threads=self._threads)
                self._session = never_freed_by_children(session)
            return self._session

    def _file(self) -> str:
        if not self._path:
            raise MienError(
                f"expected the file of the model {self.info.name!r} in another process, got a "
                "session without one; open the model with mien.inference.model.open_onnx"
            )
        return self._path

    def __reduce__(self) -> tuple[Any, tuple[str, int | None]]:
        return _opened_again, (self._file(), self._threads)

    def __repr__(self) -> str:
        return f"OnnxModel({self.info.name!r}, heads {', '.join(self.info.heads)})"


def _opened_again(path: str, threads: int | None) -> OnnxModel:
    return open_onnx(path, threads=threads)


def open_onnx(
    name_or_file: str | os.PathLike[str] = "fer", *, threads: int | None = None
) -> OnnxModel:
    """Open a shipped model by name, or an ONNX file that ``mien export`` wrote.

    ``threads`` limits the threads of one run (None: one per core). Raises
    :class:`~mien.errors.MienError` for an unknown name, a file that is no such model, and a run
    folder, with the command that exports it.
    """
    if (Path(name_or_file) / RUN_FILE).is_file():
        run = os.fspath(name_or_file)
        file = f"{Path(run).resolve().name}.onnx"
        raise MienError(
            f"expected an ONNX file or the name of a shipped model, got the run {run!r}; "
            f"export it with: mien export {shlex.quote(run)} --out {shlex.quote(file)}"
        )
    path = find_model(name_or_file)
    session = open_session(path, threads=threads)
    return OnnxModel(session_info(session, path), session, path, threads=threads)


def open_models(
    models: Sequence[str | os.PathLike[str] | OnnxModel],
    *,
    threads: int | None = None,
    abstain_below: float | None = None,
) -> tuple[OnnxModel | None, OnnxModel | None]:
    """Open at most one model of faces and one of clips, in either order: ``(faces, clips)``.

    Those that are open already are only sorted; ``threads`` is as for :func:`open_onnx`, and
    ``abstain_below`` the confidence in an expression below which they abstain, None for their
    own. Raises
    :class:`~mien.errors.MienError` for two of a kind, or two with the same head.
    """
    opened: dict[str, OnnxModel] = {}
    for each in models:
        model = each if isinstance(each, OnnxModel) else open_onnx(each, threads=threads)
        kind = "clips" if model.info.clips else "faces"
        if kind in opened:
            raise MienError(
                f"expected one --model of {kind}, got two "
                f"({opened[kind].info.name} and {model.info.name}): leave one out"
            )
        opened[kind] = model
    if abstain_below is not None:
        with_expression = {
            kind: model for kind, model in opened.items() if "expression" in model.info.heads
        }
        # A model without one is told so, unless there is another that has it.
        for kind, model in (with_expression or opened).items():
            opened[kind] = model.answering_from(abstain_below)
    faces, clips = opened.get("faces"), opened.get("clips")
    if faces is not None and clips is not None:
        for head in faces.info.heads.keys() & clips.info.heads.keys():
            raise MienError(
                f"expected one --model with the head {head}, got two "
                f"({faces.info.name} and {clips.info.name}): leave one out"
            )
    return faces, clips


def read_heads(info: ModelInfo, outputs: Arrays, row: int) -> dict[str, Any]:
    """What a model's heads say of one row of their outputs: fields of a prediction by name."""
    fields: dict[str, Any] = {}
    for name, head_info in info.heads.items():
        fields |= HEADS[name].read(head_info, outputs, row)
    return fields


def relative_heads(info: ModelInfo, outputs: Arrays, baseline: Arrays) -> Arrays:
    """Outputs ``(1, ...)`` of a model's heads as seen from those of the same face at rest."""
    changed = dict(outputs)
    for name, head_info in info.heads.items():
        changed |= HEADS[name].relative(head_info, outputs, baseline)
    return changed


def doubt_of(info: ModelInfo, fields: Mapping[str, Any]) -> str:
    """Why what :func:`read_heads` gave should not be used; empty where it may be."""
    doubts = (HEADS[name].doubt(head_info, fields) for name, head_info in info.heads.items())
    return next(filter(None, doubts), "")


def _check_signature(info: ModelInfo, session: InferenceSession, path: str) -> None:
    """Input and outputs are float32 of the announced shapes, behind a batch axis of any size."""
    required = {"input", "embedding", *info.heads, *(["attention"] if info.attention else [])}
    nodes = {node.name: node for node in (*session.get_inputs(), *session.get_outputs())}
    # A number is the size of an axis, a name an axis of any size.
    shapes: dict[str, tuple[int | str, ...]] = {"input": info.input_shape, **info.outputs}
    for name, shape in shapes.items():
        if name not in nodes and name not in required:
            continue
        if name not in nodes:
            got = f"only {', '.join(nodes)}"
        elif _fits(nodes[name], shape):
            continue
        else:
            got = f"{nodes[name].type} {nodes[name].shape}"
        expected = f"{name} float32 ({', '.join(['B', *map(str, shape)])})"
        raise MienError(
            f"expected {expected} in the model {path!r}, got {got}; export the model again"
        )
    if len(session.get_inputs()) != 1:
        raise MienError(
            f"expected one input in the model {path!r}, got "
            f"{', '.join(node.name for node in session.get_inputs())}; export the model again"
        )


def _fits(node: Any, shape: tuple[int | str, ...]) -> bool:
    # onnxruntime gives a dynamic axis as a name or None; it fits anything.
    return (
        node.type == "tensor(float)"
        and len(node.shape) == len(shape) + 1
        and not isinstance(node.shape[0], int)
        and all(
            isinstance(size, str) or not isinstance(actual, int) or actual == size
            for actual, size in zip(node.shape[1:], shape, strict=True)
        )
    )


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    # In front are places in the source of onnxruntime.
    start = max(text.rfind("Status Message: "), text.rfind("Failed to allocate"), 0)
    return text[start:].removeprefix("Status Message: ")[:200].rstrip(".") or type(error).__name__
