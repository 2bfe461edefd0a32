"""What a training writes into its run folder: metrics, the kept model, checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from safetensors.torch import save_file

from mien.files import replacing, write_json, write_text
from mien.heads import HEADS
from mien.models import RUN_FILE
from mien.training.collapse import watch
from mien.training.module import TrainingModule
from mien.training.recipe.recipe import Recipe
from mien.training.setup import Setup
from mien.training.validation import calibrated, join_outputs, validation_metrics, validations

CHECKPOINT = Path("checkpoints") / "last.ckpt"
WEIGHTS = "model.safetensors"
LOSSES_PREFIX = "losses."
"""Before the names of the losses' learned tensors in ``model.safetensors``."""
ADVICE = "make room and resume with --resume"


class Recorder(lightning.Callback):
    """Writes metrics, the kept model and the checkpoint of a run; on several ranks, the first does.

    ``document`` is what ``model.json`` says before an epoch is kept, ``selected_on`` the split that
    the epoch is selected on.
    """

    def __init__(
        self,
        out: Path,
        *,
        setup: Setup,
        document: dict[str, Any],
        selected_on: str = "valid",
        on_epoch: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self.out, self.setup_, self.document, self.on_epoch = out, setup, document, on_epoch
        self.selected_on = selected_on
        expressions = setup.units.targets["valid"]["expression"]
        self.labels = torch.from_numpy(setup.units.batch_rows(expressions))
        self.best: tuple[float, float] = (math.nan, math.nan)
        self.started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the checkpoint was written."""
        self.best = state["best"]

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Forget lines of an epoch that was not finished before a kill."""
        path = self.out / "metrics.jsonl"
        if trainer.is_global_zero and path.is_file():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            write_text(path, "".join(lines[: trainer.current_epoch]))

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Take the time."""
        self.started = time.monotonic()

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Measure the epoch, write its line, and keep its model if it is to be kept."""
        if not isinstance(module, TrainingModule):
            raise TypeError(f"expected a {TrainingModule.__name__}, got {type(module).__name__}")
        outputs = join_outputs(module.validation)
        module.validation = []
        if not trainer.is_global_zero:
            return
        measured = validations(self.setup_.units, self.setup_.infos, outputs)
        values = validation_metrics(measured)
        losses = module.epoch_losses()
        line = {
            "epoch": trainer.current_epoch,
            "train": losses,
            "valid": values,
            **watch(module, outputs.embedding, self.labels, losses),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.monotonic() - self.started, 1),
        }
        with (self.out / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        recipe = module.recipe
        better = self._is_better(recipe, values)
        if better or recipe.keep == "last":
            infos = calibrated(self.setup_.infos, measured)
            self._write_model(
                module,
                {
                    "heads": {name: info.model_dump(mode="json") for name, info in infos.items()},
                    "epoch": trainer.current_epoch,
                    "selected_on": {
                        "split": self.selected_on,
                        "metric": recipe.select,
                        "keep": recipe.keep,
                        **values,
                    },
                },
            )
        if self.on_epoch:
            self.on_epoch(line)

    def _is_better(self, recipe: Recipe, values: Mapping[str, float]) -> bool:
        """Whether these are the best values so far, which then are kept in mind.

        Of epochs with the same value, the head's second metric decides, then the earlier one wins.
        """
        metric, second = recipe.metrics[recipe.select], HEADS[recipe.selecting_head].tie_breaker
        value = values[metric.name]
        tied = math.nan if second is None else values.get(second.name, math.nan)
        best, best_tied = self.best
        better = math.isnan(best) or metric.better(value, best)
        if value == best and second is not None:
            better = second.better(tied, best_tied)
        if better:
            self.best = (value, tied)
        return better

    def _write_model(self, module: TrainingModule, description: dict[str, Any]) -> None:
        # Learned parts of the losses (centers) go along, under a prefix of their own; what they
        # remember of batches does not.
        learned = {
            f"{LOSSES_PREFIX}{name}": value.detach()
            for name, value in module.losses.named_parameters()
        }
        state = {**module.network.state_dict(), **learned}
        # safetensors has errors of its own, see `fit`.
        with replacing(self.out / WEIGHTS, advice=ADVICE) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
        write_json(self.out / RUN_FILE, self.document | description)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Lightning's checkpoint, whole or not at all."""
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.out / CHECKPOINT)  # takes part, and writes nothing
            return
        with replacing(self.out / CHECKPOINT, advice=ADVICE) as temporary:
            trainer.save_checkpoint(temporary)
