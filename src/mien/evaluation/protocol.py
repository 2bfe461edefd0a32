"""The folds of a protocol, measured together: each fold, their mean, and all test rows at once."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.corpora.protocols import Protocol, protocol_of
from mien.data.dataset import Dataset
from mien.data.targets import labeled, make_targets
from mien.errors import MienError
from mien.evaluation.heads import project_classes
from mien.evaluation.models import Model, open_model
from mien.evaluation.predictions import predict_split
from mien.heads.expression import ExpressionInfo
from mien.metrics.classification import FloatArray
from mien.reports.document import cluster_warnings
from mien.reports.protocol import write_protocol
from mien.statistics.bootstrap import LEVEL, bootstrap_intervals

_MANY_ROWS = 50_000
_BY_VIDEO = ("dfew", "ferv39k", "mafw", "avec2013", "avec2014")
"""Corpora with one label for each video: the predictions of its frames are averaged."""


class _Measured(NamedTuple):
    """Targets and predictions of the test units of a fold, and what each comes from."""

    targets: NDArray[Any]
    predictions: NDArray[Any]
    clusters: NDArray[np.str_]
    cluster_name: str
    unit: str
    unlabeled: int


def evaluate_protocol(
    folder: str | Path,
    protocol: str | Protocol,
    data: str | Path | Dataset,
    out: str | Path | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[dict[str, Any], Path]:
    """Measure the runs in ``folder`` on the test rows of their folds; (document, the page).

    Of each metric there are the value of each fold, their mean and standard deviation, and the
    value over the test units of all folds at once with an interval from a bootstrap over subjects,
    else videos, else rows. Raises :class:`MienError` where a fold has no finished run, and for runs
    of another protocol or dataset.
    """
    protocol = protocol if isinstance(protocol, Protocol) else protocol_of(protocol)
    folder = Path(folder)
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    summary = _summary(folder, protocol, dataset)
    measured: list[_Measured] = []
    warnings: list[str] = [summary["warning"]] if summary.get("warning") else []
    for view, run in zip(protocol.views(dataset), summary["runs"], strict=True):
        model = open_model(folder / run["run"])
        part, notes = _measure(model, view, folder / run["run"], protocol)
        measured.append(part)
        warnings += [note for note in notes if note not in warnings]
    values = {
        metric.name: [metric.function(part.targets, part.predictions) for part in measured]
        for metric in protocol.measures
    }
    cluster_name = measured[0].cluster_name
    clusters = len(set(np.concatenate([part.clusters for part in measured]).tolist()))
    if cluster_name == "subject":
        warnings += cluster_warnings(clusters, measured[0].unit)
    unlabeled = sum(part.unlabeled for part in measured)
    document = {
        "protocol": protocol.name,
        "description": protocol.description,
        "selection": protocol.selection,
        "facts": protocol.facts,
        "selected_on_test": summary["selected_on_test"],
        "recipe": summary["recipe"],
        "dataset": {"corpus": protocol.corpus, "checksum": dataset.info.get("checksum")},
        "unit": measured[0].unit,
        "n": sum(len(part.targets) for part in measured),
        "intervals": {"level": LEVEL, "draws": draws, "seed": seed},
        "clustered_by": None if cluster_name == "row" else cluster_name,
        "clusters": None if cluster_name == "row" else clusters,
        "left_out": {"no label that is scored": unlabeled} if unlabeled else {},
        "folds": [
            {
                "fold": run["fold"],
                "run": run["run"],
                "units": len(part.targets),
                "metrics": {name: _finite(of_folds[number]) for name, of_folds in values.items()},
            }
            for number, (run, part) in enumerate(zip(summary["runs"], measured, strict=True))
        ],
        "metrics": {
            name: {
                **_all_rows(protocol, measured, name, draws, seed),
                "mean_of_folds": _finite(np.mean(of_folds)),
                "sd_of_folds": _finite(np.std(of_folds, ddof=1)) if len(of_folds) > 1 else None,
            }
            for name, of_folds in values.items()
        },
        "warnings": warnings,
        "provenance": {
            "folds": str(folder),
            "dataset": str(dataset.folder),
            "license_terms": dataset.license_terms,
            "command": shlex.join(
                [
                    *("mien", "evaluate", str(folder), "--protocol", protocol.name),
                    *("--data", str(dataset.folder)),
                ]
            ),
            "version": f"mien {__version__}",
        },
    }
    return document, write_protocol(document, protocol.measures, folder if out is None else out)


def _finite(value: float | np.floating[Any]) -> float | None:
    """A number for a document; None where a metric is undefined."""
    return float(value) if np.isfinite(value) else None


def _summary(folder: Path, protocol: Protocol, dataset: Dataset) -> dict[str, Any]:
    path = folder / "summary.json"
    if not path.is_file():
        raise MienError(
            f"expected the folds of a protocol in {folder}, got no summary.json: make them with "
            f"mien train --protocol {protocol.name}"
        )
    summary: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if summary["protocol"] != protocol.name:
        raise MienError(
            f"expected the folds of {protocol.name} in {folder}, got those of "
            f"{summary['protocol']}: name that one"
        )
    if summary["checksum"] != dataset.info.get("checksum"):
        raise MienError(
            f"expected the dataset that {folder} was trained on, got another in {dataset.folder}: "
            f"its rows may be in other folds"
        )
    if len(summary["runs"]) < summary["folds"]:
        raise MienError(
            f"expected {summary['folds']} finished folds in {folder}, got {len(summary['runs'])}: "
            f"finish them with mien train --resume"
        )
    return summary


def _measure(
    model: Model, view: Dataset, source: Path, protocol: Protocol
) -> tuple[_Measured, list[str]]:
    head = protocol.head
    if head not in model.info.heads:
        raise MienError(f"expected a model with the head {head} in {source}, got one without it")
    predictions = predict_split(model, view, source, "test")
    outputs = predictions.heads[head]
    warnings = list(predictions.warnings)
    info = model.info.heads[head]
    if isinstance(info, ExpressionInfo):
        outputs, notes = project_classes(outputs, info.label_space, view.label_space)
        warnings += notes
    rule = model.info.recipe.get("rule", "majority")
    targets = make_targets(view, "majority" if rule == "distribution" else rule)
    rows, values = predictions.rows, targets[head][predictions.rows]
    videos = view.names("video")[rows]
    subjects = predictions.subjects
    if model.info.clips is None and protocol.corpus in _BY_VIDEO:
        _, first, owners = np.unique(videos, return_index=True, return_inverse=True)
        sums = np.zeros((len(first), *outputs.shape[1:]))
        np.add.at(sums, owners, outputs)
        outputs = (sums.T / np.bincount(owners)).T
        values, videos, subjects = values[first], videos[first], subjects[first]
    known = labeled(values)
    if not known.any():
        raise MienError(
            f"expected labeled test rows for the protocol {protocol.name} in {view.folder}, got "
            f"none: prepare the corpus again"
        )
    if (subjects != "").all():
        clusters, name = subjects, "subject"
    elif (videos != "").all():
        clusters, name = videos, "video"
    else:
        clusters, name = np.arange(len(values)).astype(str), "row"
    by_video = model.info.clips is not None or protocol.corpus in _BY_VIDEO
    unit, unlabeled = "recording" if by_video else "face", int((~known).sum())
    part = _Measured(values[known], outputs[known], clusters[known], name, unit, unlabeled)
    return part, warnings


def _all_rows(
    protocol: Protocol, measured: list[_Measured], name: str, draws: int, seed: int
) -> dict[str, Any]:
    """The metric over the test units of all folds at once, with its interval."""
    targets = np.concatenate([part.targets for part in measured])
    predictions = np.concatenate([part.predictions for part in measured])
    metric = next(metric for metric in protocol.measures if metric.name == name)
    clusters = None
    if measured[0].cluster_name != "row":
        clusters = np.concatenate([part.clusters for part in measured])

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        rows = np.arange(len(targets))
        values = []
        for weight in weights:
            drawn = np.repeat(rows, weight.astype(np.int64))
            values.append(metric.function(targets[drawn], predictions[drawn]))
        return {name: np.array(values)}

    interval = bootstrap_intervals(
        statistics,
        len(targets),
        clusters=clusters,
        cluster_name=measured[0].cluster_name,
        draws=draws if len(targets) < _MANY_ROWS else min(draws, 200),
        seed=seed,
    )[name]
    return interval.as_dict()
