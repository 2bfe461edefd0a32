"""Several models on several datasets: each measured on each, in the classes that both know."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien import __version__, synthetic
from mien.data.clips import check_labels, videos_of
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.evaluation.evaluate import check_rule, check_rule_counts
from mien.evaluation.heads import READERS, Source, read_shared_expression, shared_classes
from mien.evaluation.models import Model, check_distinct, open_model, short_names
from mien.evaluation.predictions import Predictions, predict_split
from mien.evaluation.training_overlap import training_overlap
from mien.heads import HEADS
from mien.heads.expression import ExpressionInfo
from mien.models import read_info
from mien.reports.evaluation import Evaluation
from mien.reports.matrix import write_matrix
from mien.reports.sections import SECTIONS
from mien.statistics.bootstrap import LEVEL
from mien.statistics.subjects import count_subjects
from mien.training.selection import WARNING as SELECTED_ON_TEST

FOLDER = Path("matrix")


def evaluate_matrix(
    models: Sequence[str | Path],
    folders: Sequence[str | Path],
    out: str | Path = FOLDER,
    *,
    split: str = "test",
    rule: str = "majority",
    draws: int = 1000,
    seed: int = 0,
) -> tuple[dict[str, Any], Path]:
    """Measure each model on each dataset; (content of matrix.json, the page).

    Expressions are measured over the classes that model and dataset share by name: rows of other
    classes are left out, and the model's other classes are taken away from its answers. A cell that
    cannot be measured says why. One model is in memory at a time, and no embedding is kept. Raises
    :class:`MienError` for a model or dataset that is named twice or cannot be opened, and where no
    cell at all can be measured.
    """
    check_rule(rule)
    check_distinct(models, "runs or models")
    check_distinct(folders, "datasets")
    datasets = [Dataset.open(folder) for folder in folders]
    check_rule_counts(rule, [read_info(model) for model in models], datasets)
    names, columns = short_names(models), short_names(folders)
    warnings: list[str] = [
        f"{column}: {synthetic.WARNING}"
        for column, dataset in zip(columns, datasets, strict=True)
        if dataset.info.get("corpus") == synthetic.CORPUS
    ]
    described: list[dict[str, Any]] = []
    cells: dict[str, list[dict[str, Any]]] = {head: [] for head in HEADS}
    for name, path in zip(names, models, strict=True):
        model = open_model(path)
        if model.info.selected_on.get("split") == "test":
            warnings.append(f"{name}: {SELECTED_ON_TEST}")
        described.append(
            {
                "name": name,
                "path": str(path),
                "heads": list(model.info.heads),
                "trained_on": model.trained_on,
                "license_terms": model.license_terms,
            }
        )
        for column, dataset in zip(columns, datasets, strict=True):
            measured = _cells(model, dataset, path, split, rule, seed=seed, draws=draws)
            for head, cell in measured.items():
                cells[head].append({"model": name, "dataset": column, **cell})
    heads = [head for head in HEADS if not all(cell["reason"] for cell in cells[head])]
    if not heads:
        first = next(cell for head in described[0]["heads"] for cell in cells[head])
        raise MienError(
            f"expected a model and a dataset that go together, got none; {first['model']} on "
            f"{first['dataset']}: {first['reason']}"
        )
    command = ["mien", "evaluate", *map(str, models)]
    command += [part for folder in folders for part in ("--data", str(folder))]
    command += ["--split", split, *(["--rule", rule] if "expression" in heads else [])]
    document: dict[str, Any] = {
        "split": split,
        "rule": rule,
        "models": described,
        "datasets": [
            {
                "name": column,
                "path": str(folder),
                "corpus": dataset.info.get("corpus"),
                "checksum": dataset.info.get("checksum"),
            }
            for column, folder, dataset in zip(columns, folders, datasets, strict=True)
        ],
        "heads": {head: cells[head] for head in heads},
        "intervals": {"level": LEVEL, "draws": draws, "seed": seed},
        "provenance": {
            "license_terms": "\n".join(
                [
                    *(f"{each['name']}: {each['license_terms']}" for each in described),
                    *(
                        f"{column}: {dataset.license_terms}"
                        for column, dataset in zip(columns, datasets, strict=True)
                    ),
                ]
            ),
            "command": shlex.join(command),
            "version": f"mien {__version__}",
        },
        "warnings": warnings,
    }
    return document, write_matrix(document, out)


def _cells(
    model: Model,
    dataset: Dataset,
    path: str | Path,
    split: str,
    rule: str,
    **options: int,
) -> dict[str, dict[str, Any]]:
    """By head the cell of one model and one dataset, with a reason where it is not measured."""
    reasons = {head: "the model has no such head" for head in HEADS if head not in model.info.heads}
    cells: dict[str, dict[str, Any]] = {}
    try:
        targets = make_targets(dataset, rule)
        rows = dataset.split_indices(split)
        labeled = [head for head in model.info.heads if targets.labeled(head)[rows].any()]
        for head in model.info.heads:
            if head not in labeled:
                reasons[head] = f"no row of split {split} has {HEADS[head].labels}"
        if labeled and model.info.clips is not None:
            check_labels(dataset, videos_of(dataset, split), targets, labeled)
        if labeled:
            predictions = predict_split(model, dataset, path, split)
            given = Source(
                model=model,
                dataset=dataset,
                split=split,
                rule=rule,
                rows=predictions.rows,
                outputs=predictions.heads,
                targets=targets,
                predict=lambda other: predict_split(model, dataset, path, other),
            )
            cells = {head: _cell(head, given, predictions, **options) for head in labeled}
    except MienError as error:
        reasons = {head: str(error) for head in model.info.heads} | reasons
    return {head: cells.get(head) or _nothing(reasons[head]) for head in HEADS}


def _cell(head: str, given: Source, predictions: Predictions, **options: int) -> dict[str, Any]:
    model, dataset = given.model, given.dataset
    reader = read_shared_expression if head == "expression" else READERS[head]
    try:
        read = reader(given)
    except MienError as error:
        return _nothing(str(error))
    if not read.arrays.labeled.any():
        return _nothing(f"no row of split {given.split} shows a class that the model knows")
    evaluation = Evaluation(
        ids=predictions.ids,
        split=given.split,
        unit="face" if model.info.clips is None else "recording",
        heads={head: read.arrays},
        subjects=None if (predictions.subjects == "").all() else predictions.subjects,
    )
    section = SECTIONS[head]
    entry, notes = section.evaluate(evaluation, **options)
    overlap = training_overlap(model, dataset, given.split)
    info = model.info.heads[head]
    classes = None
    if isinstance(info, ExpressionInfo):
        classes = shared_classes(info.label_space, dataset.label_space)
    return {
        "reason": "",
        "n": entry["n"],
        "unit": evaluation.unit,
        "subjects": count_subjects(evaluation.clusters(read.arrays.labeled)),
        "metrics": {name: entry["metrics"][name] for name in section.MAIN},
        "classes": classes
        and {
            "shared": list(classes.space.names),
            "only_model": list(classes.only_model),
            "only_dataset": list(classes.only_dataset),
        },
        "left_out": read.arrays.reasons(),
        "trained_on": overlap.trained_on,
        "overlap": overlap.notes,
        "notes": [*notes, *read.warnings, *predictions.warnings],
        "use": entry.get("use", ""),
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {"reason": reason, "n": 0, "metrics": {}}
