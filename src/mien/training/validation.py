"""What is measured on the split valid after each epoch."""

from __future__ import annotations

import numpy as np
import torch

from mien.data.targets import Targets
from mien.metrics.classification import classification_metrics
from mien.metrics.regression import DIMENSIONS, affect_metrics
from mien.networks.network import Outputs
from mien.schema import FloatArray
from mien.statistics.bootstrap import temperature_scale


def join_outputs(parts: list[Outputs]) -> Outputs:
    """The outputs of several batches, one after the other."""
    return Outputs._make(
        None if column[0] is None else torch.cat(column) for column in zip(*parts, strict=True)
    )


def validation_metrics(targets: Targets, outputs: Outputs) -> dict[str, float]:
    """The metrics of expressions, and ``ccc_valence``, ccc_arousal, mean_ccc; where rows have them.

    ``targets`` are those of the rows in ``outputs``. Concordance is over all of them at once, of
    values cut to [-1, 1] as predictions are; where it has no value it counts as 0, as in the loss.
    """
    found: dict[str, float] = {}
    known = targets.labels >= 0
    if known.any():
        probabilities = outputs.logits.double().softmax(1).numpy()
        found |= classification_metrics(targets.labels[known], probabilities[known])
    rated = ~np.isnan(targets.valence_arousal[:, 0])
    if outputs.valence_arousal is not None and rated.any():
        said: FloatArray = outputs.valence_arousal.clamp(-1, 1).numpy()
        values = affect_metrics(said[rated], targets.valence_arousal[rated])
        measured = {f"ccc_{name}": values[name, "ccc"] for name in DIMENSIONS}
        measured["mean_ccc"] = values["mean", "ccc"]
        found |= {name: float(np.nan_to_num(value)) for name, value in measured.items()}
    return found


def calibrate(targets: Targets, outputs: Outputs) -> dict[str, float | str]:
    """The temperature that fits the rows with an expression best; 1 where there are none."""
    known = targets.labels >= 0
    if not known.any():
        return {"temperature": 1.0, "method": "none"}
    logits = outputs.logits.double().numpy()
    return {
        "temperature": temperature_scale(logits[known], targets.labels[known]),
        "method": "temperature scaling on valid",
    }
