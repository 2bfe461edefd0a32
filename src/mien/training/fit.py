"""Train a recipe on a dataset into a run folder; resume one after a kill."""

from __future__ import annotations

import json
import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import RichProgressBar, WeightAveraging
from lightning.pytorch.trainer.states import TrainerStatus
from safetensors import SafetensorError
from torch import Tensor

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.files import remove_temporaries, write_text
from mien.licenses import documents
from mien.models import FORMAT, RUN_FILE
from mien.networks.backbones import restore_batch_norm
from mien.terminal import shows_progress
from mien.training.licenses import licenses_of_run
from mien.training.memory import keep_freed_memory
from mien.training.module import TrainingModule
from mien.training.ranks.hardware import ONE_DEVICE, Hardware
from mien.training.ranks.launch import (
    end_others,
    ended_with_parent,
    is_lost_rank,
    lost_rank,
    share_cores,
    trainer_arguments,
)
from mien.training.ranks.layers import over_ranks
from mien.training.recipe import Recipe, load_recipe
from mien.training.recorder import ADVICE, CHECKPOINT, Recorder
from mien.training.setup import Setup, set_up


def fit(
    recipe: Recipe,
    dataset: Dataset,
    out: str | Path,
    *,
    resume: bool = False,
    threads: int | None = None,
    features: str | Path | None = None,
    hardware: Hardware = ONE_DEVICE,
    selected_on: str = "valid",
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_features: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Train ``recipe`` on the split ``train`` and keep the epoch that is best on ``valid``.

    The run folder gets ``recipe.yaml`` (resolved), ``metrics.jsonl`` (one line per epoch),
    ``model.safetensors`` and ``model.json`` (the epoch that ``recipe.keep`` says, so far, replaced
    in one step) and ``checkpoints/last.ckpt``. With ``resume``, a killed run continues after its
    last finished epoch and ends with the same weights, bit for bit on one machine's CPU, as if
    never interrupted. ``features`` is where the maps of a frozen backbone lie or are to lie (see
    :mod:`mien.training.batches.features`), in the dataset's folder unless said otherwise.
    ``selected_on`` is the split of the corpus that the rows of valid are from, for the record (see
    :mod:`mien.training.selection`). ``on_epoch`` receives each line of ``metrics.jsonl``,
    ``on_features`` each view of a frozen backbone that has to be computed. On several devices the
    same steps are taken as on one, by processes that Lightning starts with the same command unless
    torchrun or SLURM did; the first of them writes and calls. Returns the folder.
    """
    out = Path(out)
    hardware = hardware.resolved()
    ranks = hardware.ranks
    first = ranks.rank == 0
    if features is not None and not recipe.backbone.frozen:
        raise MienError(
            "expected a recipe with a frozen backbone for --features, got one whose backbone is "
            "trained, so that nothing is kept there: leave it out, or set backbone.frozen=true"
        )
    if first:
        _check_folder(out, recipe, dataset, resume=resume, selected_on=selected_on)
    if threads:
        torch.set_num_threads(threads)
    else:
        share_cores(hardware)
    keep_freed_memory()
    dataset = dataset.with_preprocessing(recipe.preprocessing_for(dataset.preprocessing))
    folder = dataset.folder / "features" if features is None else Path(features)
    setup = set_up(
        recipe,
        dataset,
        folder,
        on_features if first else None,
        ranks=ranks,
        workers=hardware.workers,
    )

    # Only now, so that a start that fails leaves no folder behind.
    checkpoint = out / CHECKPOINT
    if first:
        for folder in (out, checkpoint.parent):
            folder.mkdir(parents=True, exist_ok=True)
            remove_temporaries(folder)
        write_text(out / "recipe.yaml", recipe.to_yaml())
    resume = resume and checkpoint.is_file()
    if recipe.backbone.restore_batch_norm and not resume and not recipe.backbone.frozen:
        restore_batch_norm(
            setup.network.backbone,
            (batch.inputs for batch in islice(setup.loaders.plain, 8)),
        )
    network = setup.network
    if ranks.size > 1:
        network = over_ranks(network, on_cpu=hardware.on_cpu)
    module = TrainingModule(
        network,
        recipe,
        setup.context,
        steps_per_epoch=setup.loaders.steps,
        fused=hardware.precision == "32",
    )
    recorder = Recorder(
        out,
        setup=setup,
        document=_document(recipe, dataset, setup),
        selected_on=selected_on,
        on_epoch=on_epoch,
    )
    # The recorder stands before the averaging, so it sees the averaged weights of validation.
    callbacks: list[lightning.Callback] = [recorder]
    if recipe.averaging:
        callbacks.append(
            WeightAveraging(use_buffers=True, multi_avg_fn=_averaging(recipe.averaging))
        )
    terminal = shows_progress() and first
    if terminal:
        # The other bar of Lightning writes to stdout, which belongs to results.
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    targets = setup.units.targets["train"]
    all_labeled = all(targets.labeled(loss.head).all() for loss in recipe.losses)
    with _quiet():
        trainer = lightning.Trainer(
            **trainer_arguments(hardware, out, find_unused=not all_labeled),
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
        try:
            with ended_with_parent(out):
                trainer.fit(
                    module,
                    setup.loaders.train,
                    setup.loaders.valid,
                    ckpt_path=str(checkpoint) if resume else None,
                )
        except FloatingPointError as error:
            if not first:
                raise SystemExit(2) from None  # the first one tells
            raise MienError(
                f"the training diverged: {error}; lower optimizer.lr and train again"
            ) from None
        except SafetensorError as error:
            raise MienError(
                f"expected to write the model into {out}, got {error}; {ADVICE}"
            ) from None
        except RuntimeError as error:
            if ranks.size == 1 or not is_lost_rank(error):
                raise
            raise MienError(lost_rank(out)) from None
        except SystemExit:
            # How Lightning ends on Ctrl-C, after it switched Ctrl-C off.
            signal.signal(signal.SIGINT, on_interrupt)
            raise KeyboardInterrupt from None
        finally:
            if trainer.state.status != TrainerStatus.FINISHED:
                end_others(trainer.strategy)
    return out


def _document(recipe: Recipe, dataset: Dataset, setup: Setup) -> dict[str, Any]:
    """What ``model.json`` says whichever epoch is kept."""
    start_weights = recipe.backbone.license_terms if recipe.backbone.weights else ""
    sources = {"data": dataset.license_terms, "start_weights": start_weights}
    return {
        "format": FORMAT,
        "name": recipe.name,
        "preprocessing": dataset.preprocessing.model_dump(mode="json"),
        "preprocessing_hash": dataset.preprocessing.hash,
        "attention": recipe.attention.pixel,
        "license_terms": _license_paragraph(sources),
        "license_sources": sources,
        "licenses": documents(licenses_of_run(recipe, dataset)),
        "trained_on": {
            "corpus": dataset.info.get("corpus"),
            "checksum": dataset.info.get("checksum"),
            **({"parts": dataset.info["parts"]} if "parts" in dataset.info else {}),
        },
        **setup.described,
        "recipe": recipe.model_dump(mode="json"),
        "architecture": setup.architecture,
    }


def _license_paragraph(sources: dict[str, str]) -> str:
    parts = [f"Training data: {sources['data']}"]
    if sources["start_weights"]:
        parts.append(f"Start weights: {sources['start_weights']}")
    return " ".join(parts)


def _check_folder(
    out: Path, recipe: Recipe, dataset: Dataset, *, resume: bool, selected_on: str
) -> None:
    known = out / "recipe.yaml"
    if resume and (out / RUN_FILE).is_file():
        document = json.loads((out / RUN_FILE).read_text("utf-8"))
        before = document.get("selected_on", {}).get("split", selected_on)
        if before != selected_on:
            raise MienError(
                f"{out} selected its epoch on {before}, not on {selected_on}; resume with the same "
                "options, or train into another folder"
            )
        trained_on = document.get("trained_on", {}).get("checksum")
        if trained_on not in (None, dataset.info.get("checksum")):
            raise MienError(
                f"{out} was trained on another dataset than {dataset.folder}; resume with the same "
                "data, or train into another folder"
            )
    if resume and known.is_file():
        before, now = load_recipe(known).model_dump(), recipe.model_dump()
        if changed := [key for key in now if before[key] != now[key]]:
            raise MienError(
                f"{out} was trained with another recipe (it differs in {', '.join(changed)}); "
                "resume with the same recipe and settings, or train into another folder"
            )
    elif out.exists() and any(out.iterdir()):
        hint = "there is no run in it to resume" if resume else "use --resume to continue it"
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
