"""Recipes small enough to train in a second, and readers of what a run writes down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

from mien.training.recorder import CHECKPOINT

PLAIN = "augmentation={rotation: 0, shift: 0, scale: 0, brightness: 0, contrast: 0}"
"""Faces as they are, as far as a small network could tell."""

SMALL = (
    "backbone.name=test_resnet",
    "backbone.arguments={}",
    "embedding.size=16",
    "sampler.batch_size=12",
    "sampler.classes=6",
    "sampler.samples=2",
    "schedule.epochs=3",
    "averaging=0.9",
)
"""Changes to a recipe of faces."""

SMALL_CLIPS = (
    "embedding={size: 16}",
    "temporal.hidden_size=16",
    "clips={length: 4, stride: 2, per_video: 2}",
    "sampler.batch_size=8",
    "optimizer.lr=0.01",
    "schedule.epochs=2",
)
"""Changes to a recipe of clips; the backbone is the test's own."""


def random_weights(path: Path) -> Path:
    """Start weights of a small backbone, which tells bright from dark with any."""
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), path)
    return path


def read_metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def read_document(run: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run / "model.json").read_text("utf-8"))
    return document


def train_losses(run: Path) -> list[float]:
    return [line["train"]["loss"] for line in read_metrics(run)]


def last_state(run: Path) -> dict[str, torch.Tensor]:
    # Our own run's checkpoint, written a moment ago.
    checkpoint = torch.load(run / CHECKPOINT, weights_only=True)
    state: dict[str, torch.Tensor] = checkpoint["current_model_state"]
    return state
