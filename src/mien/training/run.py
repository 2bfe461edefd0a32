"""A finished run: its model back from disk, and what it says of a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from mien.labels import LabelSpace
from mien.networks.network import Predictions, build_network
from mien.schema import MienError, Preprocessing, Readings, join_readings
from mien.training.batches import images_for_network

TERMS_PREFIX = "terms."
"""Before the names of the loss terms' learned tensors in ``model.safetensors``."""


_FIELDS = {
    "probabilities": "probabilities",
    "embedding": "embeddings",
    "valence_arousal": "valence_arousal",
    "attention": "attention",
}


class Run(NamedTuple):
    """The best epoch of a run: the network with its calibration, and ``model.json``."""

    folder: Path
    model: Predictions
    label_space: LabelSpace
    preprocessing: Preprocessing
    info: dict[str, Any]

    @property
    def graph(self) -> dict[str, Any] | None:
        """``nodes``, ``correlation`` and ``adjacency`` of a graph head; None for another head."""
        if "graph" not in self.info:
            return None
        adjacency = self.info["architecture"]["head"]["adjacency"]
        return {**self.info["graph"], "adjacency": adjacency}


def load_run(folder: str | Path) -> Run:
    """The model of a run folder, in evaluation mode. No pickle is read: safetensors and JSON."""
    folder = Path(folder)
    description, weights = folder / "model.json", folder / "model.safetensors"
    if not description.is_file() or not weights.is_file():
        raise MienError(
            f"expected a run folder with model.json and model.safetensors, got {folder}; "
            "a run has them after its first epoch"
        )
    try:
        info = json.loads(description.read_text("utf-8"))
        network = build_network(info["architecture"])
        state = load_file(weights)
        network.load_state_dict(
            {name: tensor for name, tensor in state.items() if not name.startswith(TERMS_PREFIX)}
        )
        model = Predictions(network, float(info["calibration"]["temperature"])).eval()
        return Run(
            folder,
            model,
            LabelSpace.model_validate(info["label_space"]),
            Preprocessing.model_validate(info["preprocessing"]),
            info,
        )
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        what = str(error).splitlines()[0]
        raise MienError(f"the model in {folder} is damaged or of another version: {what}") from None


@torch.inference_mode()
def predict_crops(run: Run, crops: NDArray[np.uint8], *, batch_size: int = 128) -> Readings:
    """What the run's model gives for crops ``(N, S, S, 3)``, cut as its preprocessing says."""
    if not len(crops):
        raise ValueError("expected at least one crop, got none")
    fields = [_FIELDS[name] for name in run.model.names]
    parts = []
    for start in range(0, len(crops), batch_size):
        images = images_for_network(crops[start : start + batch_size], run.preprocessing)
        arrays = [output.numpy() for output in run.model(images)]
        parts.append(Readings(**dict(zip(fields, arrays, strict=True))))
    return join_readings(parts)
