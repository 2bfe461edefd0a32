"""Train a recipe on a dataset into a run folder; resume one after a kill."""

from __future__ import annotations

import json
import logging
import math
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import RichProgressBar, WeightAveraging
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mien.data.dataset import Dataset
from mien.faces.native import ignore_profiling_signal
from mien.files import remove_temporaries, replacing, write_text
from mien.networks.backbones import restore_batch_norm
from mien.schema import MienError
from mien.training.collapse import watch
from mien.training.expression import expression_task
from mien.training.memory import keep_freed_memory
from mien.training.module import Module
from mien.training.recipe import LESS_IS_BETTER, Recipe, load_recipe
from mien.training.run import TERMS_PREFIX
from mien.training.severity import severity_task
from mien.training.task import Task
from mien.training.validation import join_outputs

CHECKPOINT = Path("checkpoints") / "last.ckpt"


def fit(
    recipe: Recipe,
    dataset: Dataset,
    out: str | Path,
    *,
    resume: bool = False,
    threads: int | None = None,
    features: str | Path | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_features: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Train ``recipe`` on the split ``train`` and keep the epoch that is best on ``valid``.

    The run folder gets ``recipe.yaml`` (resolved), ``metrics.jsonl`` (a line an epoch),
    ``model.safetensors`` and ``model.json`` (the best epoch so far, replaced in one step) and
    ``checkpoints/last.ckpt``. With ``resume``, a killed run goes on after its last finished epoch
    and ends with the same weights, bit for bit on one machine's CPU, as if never interrupted.
    ``features`` is where the maps of a frozen backbone lie or are to lie (see
    :mod:`mien.training.features`), in the dataset's folder unless said otherwise. ``on_epoch``
    receives each line of ``metrics.jsonl``, ``on_features`` each view of a frozen backbone that
    has to be computed. Returns the folder.
    """
    out = Path(out)
    _check_folder(out, recipe, resume=resume)
    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    dataset = dataset.with_preprocessing(recipe.preprocessing_for(dataset.preprocessing))
    folder = dataset.folder / "features" if features is None else Path(features)
    make = expression_task if recipe.severity is None else severity_task
    task = make(recipe, dataset, folder, on_features)

    # Only now, so that a start that fails leaves no folder behind.
    checkpoint = out / CHECKPOINT
    for folder in (out, checkpoint.parent):
        folder.mkdir(parents=True, exist_ok=True)
        remove_temporaries(folder)
    write_text(out / "recipe.yaml", recipe.to_yaml())
    resume = resume and checkpoint.is_file()
    if recipe.backbone.restore_batch_norm and not resume and not recipe.backbone.frozen:
        restore_batch_norm(
            task.network.backbone,
            (batch.inputs for batch in islice(task.plain, 8)),
        )
    module = Module(task.network, recipe, steps_per_epoch=task.steps, class_counts=task.counts)
    recorder = _Recorder(
        out,
        task=task,
        model={
            "format": 1,
            "architecture": task.architecture,
            "label_space": dataset.label_space.model_dump(mode="json"),
            "preprocessing": dataset.preprocessing.model_dump(mode="json"),
            "preprocessing_hash": dataset.preprocessing.hash,
            "license_terms": {
                "data": dataset.license_terms,
                "start_weights": recipe.backbone.license_terms,
            },
            "dataset": {
                "corpus": dataset.info.get("corpus"),
                "checksum": dataset.info.get("checksum"),
                **({"parts": dataset.info["parts"]} if "parts" in dataset.info else {}),
            },
            **task.described,
            "recipe": recipe.model_dump(mode="json"),
        },
        on_epoch=on_epoch,
    )
    # The recorder stands before the averaging, so it sees the averaged weights of validation.
    callbacks: list[lightning.Callback] = [recorder]
    if recipe.averaging:
        callbacks.append(
            WeightAveraging(use_buffers=True, multi_avg_fn=_averaging(recipe.averaging))
        )
    terminal = sys.stderr.isatty()
    if terminal:
        # The other bar of Lightning writes to stdout, which belongs to results.
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    with _quiet():
        trainer = lightning.Trainer(
            accelerator="cpu" if not torch.cuda.is_available() else "auto",
            devices=1,
            max_epochs=recipe.schedule.epochs,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=terminal,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=recipe.optimizer.clip,
            default_root_dir=out,
        )
        on_interrupt = signal.getsignal(signal.SIGINT)
        # Lightning restores what Python knows of every signal, and this one's default kills.
        ignore_profiling_signal()
        try:
            trainer.fit(
                module, task.train, task.valid, ckpt_path=str(checkpoint) if resume else None
            )
        except FloatingPointError as error:
            raise MienError(
                f"the training diverged: {error}; lower optimizer.rate and train again"
            ) from None
        except SafetensorError as error:
            raise MienError(
                f"expected to write the model into {out}, got {error}; make room and go on with "
                "--resume"
            ) from None
        except SystemExit:
            # How Lightning ends on Ctrl-C, after it switched Ctrl-C off.
            signal.signal(signal.SIGINT, on_interrupt)
            raise KeyboardInterrupt from None
    return out


def _check_folder(out: Path, recipe: Recipe, *, resume: bool) -> None:
    known = out / "recipe.yaml"
    if resume and known.is_file():
        before, now = load_recipe(known).model_dump(), recipe.model_dump()
        if changed := [key for key in now if before[key] != now[key]]:
            raise MienError(
                f"{out} was trained with another recipe (it differs in {', '.join(changed)}); "
                "resume with the same recipe and settings, or train into another folder"
            )
    elif out.exists() and any(out.iterdir()):
        hint = "there is no run in it to resume" if resume else "use --resume to go on"
        raise MienError(f"expected a new or empty run folder, got {out}; {hint}")


def _averaging(decay: float) -> Any:
    """Exponential moving average whose decay rises from 0.1 to ``decay``, so it starts unbiased."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        steps = int(count)
        share = 1 - min(decay, (1 + steps) / (10 + steps))
        # The lists come grouped by dtype; counters of batches are copied, not averaged.
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, share)
        else:
            torch._foreach_copy_(averaged, current)

    return update


class _Recorder(lightning.Callback):
    """Writes metrics, the best model and the checkpoint of a run."""

    def __init__(
        self,
        out: Path,
        *,
        task: Task,
        model: dict[str, Any],
        on_epoch: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self.out, self.task, self.model, self.on_epoch = out, task, model, on_epoch
        self.best = -math.inf
        self.started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state["best"]

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Forget lines of an epoch that was not finished before a kill."""
        path = self.out / "metrics.jsonl"
        if path.is_file():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            write_text(path, "".join(lines[: trainer.current_epoch]))

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        self.started = time.monotonic()

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"expected a {Module.__name__}, got {type(module).__name__}")
        outputs = join_outputs(module.validation)
        values = self.task.metrics(outputs)
        losses = module.epoch_losses()
        line = {
            "epoch": trainer.current_epoch,
            "train": losses,
            "valid": values,
            **watch(module, self.task.labels, losses),
            "rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.monotonic() - self.started, 1),
        }
        with (self.out / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        select = module.recipe.select
        score = -values[select] if select in LESS_IS_BETTER else values[select]
        if score > self.best:
            self.best = score
            self._write_model(module, trainer.current_epoch, values, self.task.kept(outputs))
        if self.on_epoch:
            self.on_epoch(line)

    def _write_model(
        self,
        module: Module,
        epoch: int,
        values: dict[str, float],
        kept: dict[str, Any],
    ) -> None:
        document = self.model | {
            "epoch": epoch,
            "selected_on": {"split": "valid", "metric": module.recipe.select, **values},
            **kept,
        }
        weights = self.out / "model.safetensors"
        # Learned parts of the loss terms (centers) go along, under a prefix of their own.
        state = {**module.network.state_dict(), **module.terms.state_dict(prefix=TERMS_PREFIX)}
        with replacing(weights) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
        write_text(self.out / "model.json", json.dumps(document, indent=2))

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Lightning's checkpoint, whole or not at all."""
        with replacing(self.out / CHECKPOINT) as temporary:
            trainer.save_checkpoint(temporary)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advertisements and advice on workers are not for mien's users."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning(\.|$)")
            warnings.filterwarnings("ignore", module=r"torch\.utils\.data")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
