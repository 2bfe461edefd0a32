"""What a reader of expression, valence, arousal and action units can do, model beside model.

    python benchmarks/reader.py DATA MODEL [MODEL ...]

MODEL is a run, an ONNX file or the name of a shipped model; a trailing ``+mirror`` averages it with
the mirror image (as ``mien export --mirror`` does; a file says so itself). DATA holds, for the size
of each model's crops, ``ferplus-aligned80``, ``ferplus-tight80``, ``diffusionfer80`` and
``rendered80``; what is not there is left out of the table. They are made by

    mien prepare ferplus ferplus/ --out DATA/ferplus-tight80 --size 80
    mien prepare ferplus ferplus/ --out DATA/ferplus-aligned80 --size 80 --align
    mien prepare diffusionfer diffusionfer/ --out DATA/diffusionfer80 --size 80 --color gray
    mien synth DATA/rendered80 --faces 6000 --size 80 --color gray

Outputs are kept in ``DATA/outputs``, so a stopped run resumes. No model may have seen a face of
DiffusionFER; ``folds`` says what a linear layer on a model's embeddings gives when it has:

    python benchmarks/reader.py folds DATA MODEL [MODEL ...]
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset
from mien.data.reading import crop_reader
from mien.data.targets import make_targets
from mien.evaluation.heads import project_classes
from mien.evaluation.models import Model, open_model
from mien.files import replacing
from mien.labels import ACTION_UNITS
from mien.metrics.classification import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    mean_class_accuracy,
    negative_log_likelihoods,
    reliability,
)
from mien.metrics.multilabel import binary_metrics
from mien.metrics.regression import concordance, consistency, moments
from mien.models import find_model
from mien.statistics.bootstrap import bootstrap_intervals

Array = NDArray[Any]
Outputs = dict[str, Array]

AT_ONCE = 128
UNIT_PRESENT = 0.2
"""The intensity from which a unit counts as present here; that of annotations is higher."""


def checksum(model: str) -> str:
    """A short name of a model's content."""
    path = Path(model)
    file = path / "model.safetensors" if path.is_dir() else find_model(model)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]


def outputs_of(name: str, dataset: Dataset, split: str | None, cache: Path) -> Outputs:
    """Predictions of the rows of a split, and ``embedding``; read from the cache where possible."""
    source, mirrored = name.removesuffix("+mirror"), name.endswith("+mirror")
    rows = np.arange(len(dataset)) if split is None else dataset.split_indices(split)
    key = f"{checksum(source)}{'m' * mirrored}-{dataset.folder.name}-{split or 'all'}.npz"
    file = cache / key
    if not file.is_file():
        model = open_model(source)
        read, _ = crop_reader(model.info.preprocessing, dataset, rows, source)
        parts: list[Outputs] = []
        for start in range(0, len(rows), AT_ONCE):
            crops = read(rows[start : start + AT_ONCE])
            part = _predict(model, crops)
            if mirrored:
                part = _average(part, _predict(model, np.ascontiguousarray(crops[:, :, ::-1])))
            parts.append(part)
        cache.mkdir(exist_ok=True)
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        with replacing(file) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **joined)
    with np.load(file) as stored:
        return dict(stored)


def _predict(model: Model, crops: Array) -> Outputs:
    output = model.predict(crops)
    return {**output.heads, "embedding": output.embeddings}


def _average(one: Outputs, other: Outputs) -> Outputs:
    """The mean of both; of probabilities and intensities that of their logits."""
    mean = {name: (one[name] + other[name]) / 2 for name in one}
    logs = np.log(np.maximum(one["expression"], 1e-12)) + np.log(
        np.maximum(other["expression"], 1e-12)
    )
    shares = np.exp(logs / 2)
    mean["expression"] = shares / shares.sum(1, keepdims=True)
    return mean


def interval(targets: Array, predictions: Array, classes: int) -> dict[str, str]:
    """Accuracy and mean class accuracy in percent with their 95 % bootstrap intervals."""

    def statistics(weights: Array) -> dict[str, Array]:
        confusion = confusion_matrix(targets, predictions, classes, weights=weights)
        return {"accuracy": accuracy(confusion), "class": mean_class_accuracy(confusion)}

    shown = {}
    for name, each in bootstrap_intervals(statistics, len(targets)).items():
        low, high = (math.nan if bound is None else 100 * bound for bound in (each.low, each.high))
        shown[name] = f"{100 * each.value:.1f} ({low:.1f} to {high:.1f})"
    return shown


def expression_row(targets: Array, probabilities: Array) -> list[str]:
    """Accuracy, mean class accuracy, log loss and calibration error of labeled rows."""
    labeled = targets >= 0
    targets, probabilities = targets[labeled], probabilities[labeled]
    shown = interval(targets, probabilities.argmax(1), probabilities.shape[1])
    loss = negative_log_likelihoods(targets, probabilities).mean()
    error = expected_calibration_error(reliability(targets, probabilities))
    return [shown["accuracy"], shown["class"], f"{loss:.3f}", f"{error:.3f}"]


def expression_table(data: Path, models: Sequence[str]) -> list[str]:
    """Expressions on every set that is there."""
    lines = [
        "| model | faces | n | accuracy | mean class accuracy | log loss | ECE |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in models:
        info = open_model(name.removesuffix("+mirror")).info
        size, space = info.preprocessing.size, info.heads["expression"].label_space
        sets = [
            (f"ferplus-aligned{size}", "valid", "majority"),
            (f"ferplus-tight{size}", "valid", "majority"),
            (f"ferplus-aligned{size}", "valid", "ferplus"),
            (f"ferplus-tight{size}", "valid", "ferplus"),
            (f"diffusionfer{size}", None, "majority"),
            (f"rendered{size}", "test", "majority"),
        ]
        for folder, split, rule in sets:
            if not (data / folder).is_dir():
                continue
            dataset = Dataset.open(data / folder)
            rows = np.arange(len(dataset)) if split is None else dataset.split_indices(split)
            targets = make_targets(dataset, rule)["expression"][rows]
            outputs = outputs_of(name, dataset, split, data / "outputs")
            shares, _ = project_classes(outputs["expression"], space, dataset.label_space)
            row = expression_row(targets, shares)
            title = folder if dataset.votes is None else f"{folder}, {rule}"
            cells = [Path(name).name, title, f"{(targets >= 0).sum():,}", *row]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def affect_lines(data: Path, models: Sequence[str]) -> list[str]:
    """Concordances on rendered test faces, and valence by the votes' expression."""
    lines: list[str] = []
    for name in models:
        info = open_model(name.removesuffix("+mirror")).info
        size = info.preprocessing.size
        if "valence_arousal" not in info.heads or not (data / f"rendered{size}").is_dir():
            continue
        for folder, split in ((f"rendered{size}", "test"), (f"diffusionfer{size}", None)):
            if not (data / folder).is_dir():
                continue
            dataset = Dataset.open(data / folder)
            rows = np.arange(len(dataset)) if split is None else dataset.split_indices(split)
            outputs = outputs_of(name, dataset, split, data / "outputs")["valence_arousal"]
            targets = dataset.valence_arousal[rows]
            labeled = ~np.isnan(targets).any(1)
            values = [
                float(concordance(moments(outputs[labeled, axis], targets[labeled, axis])))
                for axis in (0, 1)
            ]
            lines.append(
                f"- {Path(name).name}, {folder}, {labeled.sum()} faces: CCC of valence "
                f"{values[0]:.3f}, of arousal {values[1]:.3f}, mean {np.mean(values):.3f}"
            )
        dataset = Dataset.open(data / f"ferplus-aligned{size}")
        rows = dataset.split_indices("valid")
        targets = make_targets(dataset, "majority")["expression"][rows]
        outputs = outputs_of(name, dataset, "valid", data / "outputs")["valence_arousal"]
        means = {
            label: outputs[targets == code].mean(0)
            for code, label in enumerate(dataset.label_space.names)
            if (targets == code).any()
        }
        for axis, dimension in enumerate(("valence", "arousal")):
            order = sorted(means.items(), key=lambda item: -item[1][axis])
            shown = ", ".join(f"{label} {mean[axis]:+.2f}" for label, mean in order)
            lines.append(f"- {Path(name).name}, mean {dimension} on FER+ valid: {shown}")
    return lines


def unit_table(data: Path, models: Sequence[str]) -> list[str]:
    """F1 and ICC(3,1) of each action unit on rendered test faces."""
    columns: list[tuple[str, list[str]]] = []
    for name in models:
        info = open_model(name.removesuffix("+mirror")).info
        folder = data / f"rendered{info.preprocessing.size}"
        if "action_units" not in info.heads or not folder.is_dir():
            continue
        dataset = Dataset.open(folder)
        rows = dataset.split_indices("test")
        targets = dataset.action_units[rows]
        values = outputs_of(name, dataset, "test", data / "outputs")["action_units"]
        scores = [
            (
                float(binary_metrics(truth >= UNIT_PRESENT, value, threshold=UNIT_PRESENT)["f1"]),
                float(consistency(moments(value, truth))),
            )
            for truth, value in zip(targets.T, values.T, strict=True)
        ]
        scores.append(tuple(np.nanmean(scores, axis=0)))
        columns.append((Path(name).name, [f"{f1:.2f}, {icc:.2f}" for f1, icc in scores]))
    if not columns:
        return []
    lines = [
        "| unit: F1 at 0.2, ICC(3,1) | " + " | ".join(title for title, _ in columns) + " |",
        "|---" * (1 + len(columns)) + "|",
    ]
    for row, unit in enumerate((*ACTION_UNITS, "mean")):
        lines.append(f"| {unit} | " + " | ".join(cells[row] for _, cells in columns) + " |")
    return lines


def folds(data: Path, models: Sequence[str], *, count: int = 5, seed: int = 0) -> list[str]:
    """Linear layers on frozen embeddings, each face predicted by those that did not see it."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import StratifiedKFold

    lines = [
        f"| {count} folds | accuracy | mean class accuracy | log loss | ECE | CCC |",
        "|---|---|---|---|---|---|",
    ]
    for name in models:
        size = open_model(name.removesuffix("+mirror")).info.preprocessing.size
        dataset = Dataset.open(data / f"diffusionfer{size}")
        outputs = outputs_of(name, dataset, None, data / "outputs")
        # What the network says of the face beside its embedding; both are frozen.
        features = np.concatenate(
            [10 * outputs["embedding"], np.log(np.maximum(outputs["expression"], 1e-4))], 1
        )
        targets, affect = make_targets(dataset, "majority")["expression"], dataset.valence_arousal
        shares = np.zeros((len(targets), len(dataset.label_space)))
        values = np.zeros((len(targets), 2))
        splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
        for train, test in splitter.split(features, targets):
            classes = LogisticRegression(C=0.03, max_iter=2000).fit(features[train], targets[train])
            shares[np.ix_(test, classes.classes_)] = classes.predict_proba(features[test])
            known = train[~np.isnan(affect[train]).any(1)]
            values[test] = Ridge(30.0).fit(features[known], affect[known]).predict(features[test])
        labeled = ~np.isnan(affect).any(1)
        agreement = np.mean(
            [
                float(concordance(moments(values[labeled, axis], affect[labeled, axis])))
                for axis in (0, 1)
            ]
        )
        cells = [Path(name).name, *expression_row(targets, shares), f"{agreement:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Print the tables."""
    arguments = sys.argv[1:]
    with_folds = arguments[:1] == ["folds"]
    data, models = Path((arguments[with_folds:] or [""])[0]), arguments[1 + with_folds :]
    if not models or not data.is_dir():
        raise SystemExit(__doc__)
    if with_folds:
        print("\n".join(folds(data, models)))
        return
    for part in (expression_table, affect_lines, unit_table):
        print("\n".join(part(data, models)), flush=True)
        print()


if __name__ == "__main__":
    main()
