"""A finished run: its model back from disk, and what it says of a dataset."""

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

from mien.labels import LabelSpace
from mien.networks.clips import ClipNetwork, build_clip_network
from mien.networks.network import Predictions, build_network
from mien.scales import Scale
from mien.schema import MienError, Preprocessing, Readings, join_readings
from mien.training.batches import images_for_network
from mien.training.recipe import Severity

WEIGHTS = "model.safetensors"
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


class SeverityRun(NamedTuple):
    """The best epoch of a run on clips: its network, how clips are cut, and ``model.json``."""

    folder: Path
    network: ClipNetwork
    scale: Scale
    severity: Severity
    preprocessing: Preprocessing
    info: dict[str, Any]


def run_task(folder: str | Path) -> str:
    """``"expression"`` or ``"severity"``: what a run was trained for."""
    return str(_description(Path(folder)).get("task", "expression"))


def load_run(folder: str | Path) -> Run:
    """The model of a run folder, in evaluation mode. No pickle is read: safetensors and JSON."""
    folder = Path(folder)
    info = _description(folder)
    _check_task(folder, info, "expression")
    with _explained(folder):
        network = build_network(info["architecture"])
        network.load_state_dict(_network_state(folder))
        model = Predictions(network, float(info["calibration"]["temperature"])).eval()
        return Run(
            folder,
            model,
            LabelSpace.model_validate(info["label_space"]),
            Preprocessing.model_validate(info["preprocessing"]),
            info,
        )


def load_severity_run(folder: str | Path) -> SeverityRun:
    """As :func:`load_run`, of a run of severity."""
    folder = Path(folder)
    info = _description(folder)
    _check_task(folder, info, "severity")
    with _explained(folder):
        network = build_clip_network(info["architecture"])
        network.load_state_dict(_network_state(folder))
        return SeverityRun(
            folder,
            network.eval(),
            Scale.model_validate(info["scale"]),
            Severity.model_validate(info["recipe"]["severity"]),
            Preprocessing.model_validate(info["preprocessing"]),
            info,
        )


def _description(folder: Path) -> dict[str, Any]:
    description = folder / "model.json"
    if not description.is_file() or not (folder / WEIGHTS).is_file():
        raise MienError(
            f"expected a run folder with model.json and {WEIGHTS}, got {folder}; "
            "a run has them after its first epoch"
        )
    with _explained(folder):
        info: dict[str, Any] = json.loads(description.read_text("utf-8"))
        return dict(info)


def _check_task(folder: Path, info: dict[str, Any], wanted: str) -> None:
    if (got := info.get("task", "expression")) != wanted:
        raise MienError(f"expected a run of {wanted}, got {folder}, which is one of {got}")


def _network_state(folder: Path) -> dict[str, torch.Tensor]:
    state = load_file(folder / WEIGHTS)
    return {name: tensor for name, tensor in state.items() if not name.startswith(TERMS_PREFIX)}


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
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
