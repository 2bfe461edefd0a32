"""A finished run: its model back from disk, and what it gives for crops or clips."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from mien.errors import MienError
from mien.models import RUN_FILE, ModelInfo, read_info
from mien.networks.network import create_network
from mien.networks.predictions import PredictionNetwork
from mien.schema import ModelOutput, concatenate_outputs
from mien.training.batches.faces import images_for_network
from mien.training.recorder import LOSSES_PREFIX, WEIGHTS

_DAMAGED = (
    *(ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    *(ArithmeticError, AssertionError, MemoryError),
)


class Run(NamedTuple):
    """The kept epoch of a run.

    ``model`` gives calibrated predictions, in evaluation mode; ``document`` is all of
    ``model.json``, of which ``info`` is what every model says of itself.
    """

    folder: Path
    model: PredictionNetwork
    info: ModelInfo
    document: dict[str, Any]

    @property
    def graph(self) -> dict[str, Any] | None:
        """``nodes``, ``correlation`` and ``adjacency`` of an emotion graph; None without one."""
        if "graph" not in self.document:
            return None
        adjacency = self.document["architecture"]["graph"]["adjacency"]
        return {**self.document["graph"], "adjacency": adjacency}


def load_run(folder: str | Path) -> Run:
    """The model of a run folder. No pickle is read: safetensors and JSON.

    Raises :class:`~mien.errors.MienError` for a folder that is no run or whose files are damaged.
    """
    folder = Path(folder)
    if not folder.exists():
        raise MienError(f"expected a run folder, got {str(folder)!r}, which does not exist")
    if not (folder / RUN_FILE).is_file() or not (folder / WEIGHTS).is_file():
        raise MienError(
            f"expected a run folder with {RUN_FILE} and {WEIGHTS}, got {folder}; "
            "a run has them after its first epoch"
        )
    info = read_info(folder)
    with _explained(folder):
        document: dict[str, Any] = json.loads((folder / RUN_FILE).read_text("utf-8"))
        network = create_network(**document["architecture"])
        state = load_file(folder / WEIGHTS)
        network.load_state_dict(
            {name: tensor for name, tensor in state.items() if not name.startswith(LOSSES_PREFIX)}
        )
        model = PredictionNetwork(network, info.heads, tuple(info.outputs)).eval()
        return Run(folder, model, info, document)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except (*_DAMAGED, SafetensorError) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise MienError(
            f"the model in {folder} is damaged or of another version: {reason}"
        ) from None


@torch.inference_mode()
def predict_inputs(run: Run, inputs: NDArray[np.uint8], *, batch_size: int = 128) -> ModelOutput:
    """What the run's model gives for crops ``(N, S, S, 3)`` or clips ``(N, T, S, S, 3)``.

    Crops are cut as the preprocessing of ``run.info`` says.
    """
    if not len(inputs):
        raise ValueError("expected at least one input, got none")
    preprocessing, shape = run.info.preprocessing, run.info.input_shape
    parts = []
    for start in range(0, len(inputs), batch_size):
        batch = inputs[start : start + batch_size]
        images = images_for_network(batch.reshape(-1, *batch.shape[-3:]), preprocessing)
        outputs = run.model(images if len(shape) == 3 else images.reshape(len(batch), *shape))
        arrays = dict(zip(run.model.names, (output.numpy() for output in outputs), strict=True))
        embeddings, attention = arrays.pop("embedding"), arrays.pop("attention", None)
        parts.append(ModelOutput(embeddings, arrays, attention))
    return concatenate_outputs(parts)
