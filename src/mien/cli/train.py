"""``mien train``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mien.cli.options import Json, refuse_beside
from mien.errors import MienError
from mien.terminal import tell


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see `mien recipes`) or file.")],
    data: Annotated[
        list[Path],
        typer.Option(metavar="DATASET", help="A prepared dataset; may be repeated."),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run folder to create.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a value of the recipe; may be repeated."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume after an interruption.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of CPU threads (default: all cores).")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Cache of a frozen backbone (default: DATASET/features)."),
    ] = None,
    accelerator: Annotated[
        Literal["auto", "cpu", "gpu"],
        typer.Option(help="What to train on: with auto, a GPU where there is one."),
    ] = "auto",
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Number of GPUs, or of processes on CPUs, of each machine."),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Number of machines, under torchrun or SLURM.")
    ] = None,
    precision: Annotated[
        Literal["32", "16-mixed", "bf16-mixed"],
        typer.Option(help="Arithmetic of the network; losses are always computed in 32 bits."),
    ] = "32",
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that read batches for each device.")
    ] = 0,
    protocol: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Train every fold of this protocol; RUN holds them all."),
    ] = None,
    select_on: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT", help="The split that selects the epoch (default: valid); never test."
        ),
    ] = None,
    unsafe_select_on_test: Annotated[
        bool,
        typer.Option(
            "--unsafe-select-on-test",
            help="Select the epoch on test, and say so in the model.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a model and keep its best epoch on the validation split."""
    from mien.cli.printing import print_json
    from mien.data.dataset import Dataset
    from mien.models import RUN_FILE
    from mien.recipes import recipe_text
    from mien.training.selection import check_selection

    # DDP notes in passing that a batch had labels for every loss.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # What is misspelt is told at once; importing torch takes seconds.
    recipe_text(recipe)
    for folder in data:
        Dataset.open(folder)
    if unsafe_select_on_test and select_on != "test":
        refuse_beside("--unsafe-select-on-test", {"--select-on": select_on}, "it selects on test")
    check_selection(select_on or "valid", unsafe=unsafe_select_on_test)
    if protocol is not None:
        refuse_beside("--protocol", {"--select-on": select_on}, "each fold selects on its valid")
    select_on = select_on or "valid"
    from mien.training.ranks.hardware import Hardware

    hardware = Hardware(accelerator, devices, nodes, precision, workers)
    if protocol is not None:
        _train_folds(
            recipe,
            protocol,
            data,
            out,
            changes=changes or (),
            resume=resume,
            threads=threads,
            features=features,
            hardware=hardware,
            unsafe_select_on_test=unsafe_select_on_test,
            as_json=as_json,
        )
        return
    from mien.training.train import train as train_recipe

    run = train_recipe(
        recipe,
        data,
        out,
        changes=changes or (),
        resume=resume,
        threads=threads,
        features=features,
        hardware=hardware,
        select_on=select_on,
        unsafe_select_on_test=unsafe_select_on_test,
        on_epoch=_print_epoch,
        on_features=_print_view,
    )
    if hardware.ranks.rank:  # the first process of all tells
        return
    document = json.loads((run / RUN_FILE).read_text("utf-8"))
    epoch, selected_on = document["epoch"], document["selected_on"]
    if as_json:
        print_json({"run": str(run), "epoch": epoch, **selected_on})
        return
    print(_epoch_of(run, epoch, selected_on))


def _train_folds(
    recipe: str,
    protocol: str,
    data: list[Path],
    out: Path,
    *,
    unsafe_select_on_test: bool,
    as_json: bool,
    **options: Any,
) -> None:
    from mien.cli.printing import print_json
    from mien.corpora.protocols import protocol_of

    chosen = protocol_of(protocol)
    if len(data) > 1:
        raise MienError(
            f"expected one dataset for the protocol {protocol}, got {len(data)}: a protocol is of "
            "one corpus"
        )
    from mien.training.protocol import SUMMARY_FILE, train_protocol

    train_protocol(
        recipe,
        chosen,
        data[0],
        out,
        unsafe_select_on_test=unsafe_select_on_test,
        on_epoch=_print_epoch,
        on_features=_print_view,
        on_fold=lambda number, folds: tell(f"fold {number} of {folds}"),
        **options,
    )
    summary = json.loads((out / SUMMARY_FILE).read_text("utf-8"))
    if as_json:
        print_json(summary)
        return
    for run in summary["runs"]:
        print(_epoch_of(out / run["run"], run["epoch"], run["selected_on"]))
    print(f"mien evaluate {out} --protocol {protocol} --data {data[0]} measures them together")


def _epoch_of(run: Path, epoch: int, selected_on: Mapping[str, Any]) -> str:
    """Which epoch a run keeps, and how good it is."""
    metric = selected_on["metric"]
    which = "the last; on" if selected_on["keep"] == "last" else "best on"
    value = f"{metric} {selected_on[metric]:.4f}"
    return f"{run}: epoch {epoch} is {which} {selected_on['split']}, {value}"


def _print_epoch(line: Mapping[str, Any]) -> None:
    """The loss, and the first metric of each head; ``metrics.jsonl`` has all of them."""
    from mien.heads import HEADS

    first = [head.metrics[0].name for head in HEADS.values()]
    values = "  ".join(
        f"{name} {line['valid'][name]:.4f}" for name in first if name in line["valid"]
    )
    loss, seconds = line["train"]["loss"], line["seconds"]
    tell(f"epoch {line['epoch']}  loss {loss:.4f}  {values}  {seconds:.0f} s")
    if "warning" in line:
        tell(f"mien: epoch {line['epoch']}: {line['warning']}")


def _print_view(split: str, view: int, views: int) -> None:
    tell(f"computing the frozen backbone's features of {split}, view {view} of {views}")
