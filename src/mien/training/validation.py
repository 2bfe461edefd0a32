"""What is measured on the split valid after each epoch, and calibrated there in the end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.heads import HEADS, Arrays, HeadInfo, Validation
from mien.networks.heads import head_predictions
from mien.networks.network import Outputs
from mien.training.batches.units import Units
from mien.training.ranks import gather


def join_outputs(parts: list[Outputs]) -> Outputs:
    """The outputs of the split valid from those of its batches on all ranks, on the CPU.

    In the order of its rows; attention is left out.
    """
    names = list(parts[0].heads)
    embedding, *heads = (
        rows.cpu()
        for rows in gather(
            [
                torch.cat([part.embedding for part in parts]),
                *(torch.cat([part.heads[name] for part in parts]) for name in names),
            ]
        )
    )
    return Outputs(embedding, dict(zip(names, heads, strict=True)))


def validations(
    units: Units, infos: Mapping[str, HeadInfo], outputs: Outputs
) -> dict[str, Validation]:
    """What each head gave for the labeled units of the split valid; heads without any are left out.

    ``outputs`` are those of the whole split. Predictions are computed in double precision.
    """
    doubles: dict[str, Tensor] = {name: rows.double() for name, rows in outputs.heads.items()}
    predictions = head_predictions(doubles, infos)
    raw = {name: rows.numpy() for name, rows in doubles.items()}
    pooled = {name: units.pool(rows.numpy()) for name, rows in predictions.items()}
    targets, subjects = units.targets["valid"], units.subjects["valid"]
    measured: dict[str, Validation] = {}
    for name in infos:
        rows = targets.labeled(name)
        if rows.any():
            # A face has one row, so nothing is pooled.
            clips = any(len(values) != len(rows) for values in raw.values())
            measured[name] = Validation(
                _take(targets.values, rows),
                raw if clips else _take(raw, rows),
                _take(pooled, rows),
                subjects[rows],
                partial(_pool, units, rows) if clips else None,
            )
    return measured


def _pool(units: Units, rows: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[Any]:
    """Values of the labeled units from those of the clips of valid."""
    return units.pool(values)[rows]


def _take(arrays: Arrays, rows: NDArray[np.bool_]) -> Arrays:
    return {name: values[rows] for name, values in arrays.items()}


def validation_metrics(measured: Mapping[str, Validation]) -> dict[str, float]:
    """Every metric of the heads that have labeled units, by name."""
    values: dict[str, float] = {}
    for name, arrays in measured.items():
        head = HEADS[name]
        targets, predictions = head.measured(arrays)
        values |= {metric.name: metric.function(targets, predictions) for metric in head.metrics}
    return values


def calibrated(
    infos: Mapping[str, HeadInfo], measured: Mapping[str, Validation]
) -> dict[str, HeadInfo]:
    """What the heads say of themselves after calibration on the split valid."""
    return {
        name: HEADS[name].calibrate(info, measured[name]) if name in measured else info
        for name, info in infos.items()
    }
