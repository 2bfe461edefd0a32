"""A TensorFlow Lite network as a function from one array to its outputs.

LiteRT runs it where it is installed, OpenCV elsewhere; ``MIEN_FACE_BACKEND`` set to ``litert`` or
``opencv`` decides otherwise. Both give the same numbers to about 1e-4.
"""

from __future__ import annotations

import importlib.util
import math
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from mien.errors import MienError
from mien.faces.detection.native import quiet_stderr
from mien.faces.forks import ForkLock, never_freed_by_children
from mien.schema import FloatArray

BACKENDS = ("litert", "opencv")
Network = Callable[[FloatArray], list[FloatArray]]
"""Takes ``(1, H, W, 3)`` or another float32 array of the network's own rank; gives its outputs."""

# A fully convolutional network is prepared once for every shape it has seen lately, as long as
# these have fewer numbers together: each takes about 70 bytes.
_MOST_SHAPES, _MOST_NUMBERS = 12, 3 * 2**22


def chosen_backend() -> str:
    """``"litert"`` or ``"opencv"``: what ``MIEN_FACE_BACKEND`` names, or what is installed."""
    wanted = os.environ.get("MIEN_FACE_BACKEND", "")
    if wanted and wanted not in BACKENDS:
        raise MienError(
            f"expected MIEN_FACE_BACKEND to be one of {', '.join(BACKENDS)}, got {wanted!r}"
        )
    if wanted != "opencv" and importlib.util.find_spec("ai_edge_litert") is not None:
        return "litert"
    if wanted == "litert":
        raise MienError(
            "expected the package ai-edge-litert for MIEN_FACE_BACKEND=litert, got none; "
            "install it with: pip install ai-edge-litert"
        )
    return "opencv"


def open_network(
    content: bytes, outputs: Sequence[str], *, threads: int = 2, backend: str | None = None
) -> Network:
    """Open the network in the bytes of a ``.tflite`` file; it gives ``outputs``, in this order.

    A network keeps state while it runs: call it from one thread at a time. Raises ``ValueError``
    for bytes that are no such network.
    """
    opened: Network
    if (backend or chosen_backend()) == "litert":
        opened = _LiteRT(content, outputs, threads)
    else:
        opened = _OpenCV(content, outputs)
    return opened


def one_at_a_time(network: Network) -> Network:
    """The network for several threads, which wait for each other, and for forked processes."""
    lock = ForkLock()

    def call(values: FloatArray) -> list[FloatArray]:
        with lock:
            return network(values)

    return call


def _forget(prepared: OrderedDict[tuple[int, ...], Any]) -> None:
    """Drop the shapes that were not seen for longest, until the rest may be kept."""
    while len(prepared) > 1 and (
        len(prepared) > _MOST_SHAPES or sum(map(math.prod, prepared)) > _MOST_NUMBERS
    ):
        prepared.popitem(last=False)


class _Ready(NamedTuple):
    """An interpreter for one shape, with the places of its input and outputs."""

    interpreter: Any
    entry: int
    outputs: list[int]


class _LiteRT:
    def __init__(self, content: bytes, outputs: Sequence[str], threads: int) -> None:
        self._content, self._outputs, self._threads = content, outputs, threads
        self._prepared: OrderedDict[tuple[int, ...], _Ready] = OrderedDict()
        # Damaged content shows here and not at the first face.
        self._prepare(None)

    def __call__(self, values: FloatArray) -> list[FloatArray]:
        ready = self._prepared.get(values.shape) or self._prepare(values.shape)
        self._prepared.move_to_end(values.shape)
        ready.interpreter.set_tensor(ready.entry, values)
        ready.interpreter.invoke()
        return [ready.interpreter.get_tensor(place) for place in ready.outputs]

    def _prepare(self, shape: tuple[int, ...] | None) -> _Ready:
        from ai_edge_litert.interpreter import Interpreter

        # The first interpreter of a process greets on stderr and has no switch for that.
        with quiet_stderr():
            try:
                made = Interpreter(model_content=self._content, num_threads=self._threads)
                entry = made.get_input_details()[0]
                if shape is not None and tuple(entry["shape"]) != shape:
                    made.resize_tensor_input(entry["index"], shape)
                made.allocate_tensors()
            except RuntimeError as error:
                raise ValueError(str(error)) from error
        places = {out["name"]: out["index"] for out in made.get_output_details()}
        if not set(places).issuperset(self._outputs):
            raise ValueError(f"expected outputs {', '.join(self._outputs)}, got {sorted(places)}")
        ready = _Ready(
            never_freed_by_children(made), entry["index"], [places[name] for name in self._outputs]
        )
        self._prepared[shape or tuple(entry["shape"].tolist())] = ready
        _forget(self._prepared)
        return ready


class _OpenCV:
    def __init__(self, content: bytes, outputs: Sequence[str]) -> None:
        self._content, self._outputs = content, list(outputs)
        self._prepared: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        first = self._read()
        if not set(first.getLayerNames()).issuperset(outputs):
            raise ValueError(f"expected outputs {', '.join(outputs)}, got others")

    def __call__(self, values: FloatArray) -> list[FloatArray]:
        net = self._prepared.get(values.shape)
        if net is None:
            net = self._prepared[values.shape] = self._read()
            _forget(self._prepared)
        self._prepared.move_to_end(values.shape)
        if values.ndim == 4:
            # OpenCV's importer turns pictures of TensorFlow's order into its own.
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        net.setInput(values)
        return [np.asarray(out, np.float32) for out in net.forward(self._outputs)]

    def _read(self) -> Any:
        engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
        try:
            with quiet_stderr():
                if engine is None:
                    return cv2.dnn.readNetFromTFLite(np.frombuffer(self._content, np.uint8))
                # OpenCV 5.0 mixes up several outputs in its new engine, and chooses the engine
                # for files only.
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "network.tflite"
                    path.write_bytes(self._content)
                    return cv2.dnn.readNetFromTFLite(str(path), engine)
        except cv2.error as error:
            raise ValueError(str(error)) from error
