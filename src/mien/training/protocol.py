"""Train all folds of a protocol: a run for each, and a summary; resumable."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mien import __version__
from mien.corpora.protocols import Protocol, protocol_of
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.files import write_json
from mien.models import RUN_FILE
from mien.training.fit import fit
from mien.training.ranks.hardware import ONE_DEVICE, Hardware
from mien.training.recipe import Recipe, load_recipe
from mien.training.selection import WARNING, selecting_on

SUMMARY_FILE = "summary.json"


def train_protocol(
    recipe: str | Path,
    protocol: str | Protocol,
    data: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str],
    *,
    changes: Iterable[str] = (),
    resume: bool = False,
    threads: int | None = None,
    features: str | os.PathLike[str] | None = None,
    hardware: Hardware = ONE_DEVICE,
    unsafe_select_on_test: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_features: Callable[[str, int, int], None] | None = None,
    on_fold: Callable[[int, int], None] | None = None,
) -> Path:
    """Train ``recipe`` on every fold of ``protocol`` into ``out``, and return the folder.

    Each fold is the run ``out/fold-01`` and so on; ``out/summary.json`` says what each was trained
    on and which epoch was kept, and grows with every fold that is finished. The epoch is selected
    by the protocol's first metric, unless ``changes`` say another. With ``resume``, finished folds
    are kept and the one at hand goes on. ``unsafe_select_on_test`` selects on the test rows of each
    fold, and stamps it. ``on_fold`` hears of each fold before it is trained: its number, how many.
    Other arguments are those of :func:`mien.training.train.train`.

    Raises :class:`~mien.errors.MienError` where recipe, protocol and dataset do not fit.
    """
    protocol = protocol if isinstance(protocol, Protocol) else protocol_of(protocol)
    if (size := hardware.ranks.size) > 1:
        raise MienError(
            f"expected one device for the protocol {protocol.name}, whose folds are trained one "
            f"after the other, got {size}; leave --devices and --nodes out"
        )
    out = Path(out)
    changes = list(changes)
    settings = load_recipe(recipe, changes)
    if protocol.head not in settings.heads:
        raise MienError(
            f"expected a recipe with the head {protocol.head} for the protocol {protocol.name}, "
            f"got {settings.name} with {', '.join(settings.heads)}: choose another recipe"
        )
    settings = load_recipe(recipe, [f"select={protocol.metrics[0]}", *changes])
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    views = protocol.views(dataset)
    if not resume and out.exists() and any(out.iterdir()):
        raise MienError(
            f"expected a new or empty folder for the folds, got {out}; use --resume to continue it"
        )
    summary: dict[str, Any] = {
        "protocol": protocol.name,
        "description": protocol.description,
        "selection": protocol.selection,
        "metrics": list(protocol.metrics),
        "recipe": settings.name,
        "corpus": protocol.corpus,
        "checksum": dataset.info.get("checksum"),
        "selected_on_test": unsafe_select_on_test,
        **({"warning": WARNING} if unsafe_select_on_test else {}),
        "created_with": f"mien {__version__}",
        "folds": len(views),
        "runs": [],
    }
    for number, view in enumerate(views, 1):
        run = out / f"fold-{number:02d}"
        shown, split = selecting_on(view, "valid", unsafe=unsafe_select_on_test)
        if not (resume and _finished(run, settings, split)):
            if on_fold:
                on_fold(number, len(views))
            # Checked against the recipe and the split that an interrupted run was started with.
            fit(
                settings,
                shown,
                run,
                resume=resume and run.exists(),
                threads=threads,
                features=None if features is None else Path(features),
                hardware=hardware,
                selected_on=split,
                on_epoch=on_epoch,
                on_features=on_features,
            )
        summary["runs"].append(_described(run, view, number))
        write_json(out / SUMMARY_FILE, summary)
    return out


def _finished(run: Path, recipe: Recipe, split: str) -> bool:
    """Whether a run has all epochs of this very recipe, selected on the same split."""
    log = run / "metrics.jsonl"
    if not (run / RUN_FILE).is_file() or not log.is_file():
        return False
    lines = [line for line in log.read_text("utf-8").splitlines() if line]
    document = json.loads((run / RUN_FILE).read_text("utf-8"))
    same = load_recipe(run / "recipe.yaml").model_dump() == recipe.model_dump()
    selected = document.get("selected_on", {}).get("split")
    return len(lines) == recipe.schedule.epochs and same and selected == split


def _described(run: Path, view: Dataset, number: int) -> dict[str, Any]:
    document = json.loads((run / RUN_FILE).read_text("utf-8"))
    splits = view.splits
    subjects = view.subjects
    return {
        "fold": number,
        "run": run.name,
        "rows": dict(sorted(Counter(splits.tolist()).items())),
        **(
            {}
            if subjects is None
            else {"subjects": {name: len(set(subjects[splits == name])) for name in set(splits)}}
        ),
        "epoch": document["epoch"],
        "selected_on": document["selected_on"],
    }
