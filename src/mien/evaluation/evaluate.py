"""``mien evaluate``: where a model, a dataset and the evidence meet."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien import __version__, synthetic
from mien.data.dataset import Dataset
from mien.data.targets import RULES, Targets, make_targets
from mien.evaluation.severity import open_severity, severity_evaluation_of, task_of
from mien.labels import LabelSpace
from mien.schema import (
    FloatArray,
    MienError,
    Preprocessing,
    Readings,
    UInt8Array,
    join_readings,
)

if TYPE_CHECKING:
    from mien.statistics.arrays import Evaluation
    from mien.statistics.recordings import SeverityEvaluation

_CHUNK = 512


class Model(NamedTuple):
    """What evaluation needs of a run or an ONNX file."""

    name: str
    license_terms: str
    label_space: LabelSpace
    preprocessing: Preprocessing
    predict: Callable[[UInt8Array], Readings]
    graph: dict[str, Any] | None = None


def open_model(run_or_model: str | Path) -> Model:
    """A run folder (through torch), an ONNX file or a shipped model's name (without torch)."""
    if Path(run_or_model).is_dir():
        from mien.training.run import load_run, predict_crops

        run = load_run(run_or_model)
        terms = " ".join(text for text in run.info["license_terms"].values() if text)
        return Model(
            str(run_or_model),
            terms,
            run.label_space,
            run.preprocessing,
            lambda crops: predict_crops(run, crops),
            run.graph,
        )
    from mien.inference.predictor import Predictor

    predictor = Predictor.load(run_or_model)
    info = predictor.info
    return Model(
        info.name, info.license_terms, info.label_space, info.preprocessing, predictor.predict_crops
    )


def evaluate_model(
    run_or_model: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    split: str = "test",
    rule: str = "majority",
    reference: str | None = None,
) -> tuple[dict[str, Any], Path]:
    """Evaluate a run or a model on a split of a dataset; (content of report.json, the page).

    ``rule`` says how votes become the label; where a dataset has votes, the other rule's metrics
    are in the report as well. ``reference`` names another split, whose labeled faces are embedded
    too and against which the embedding is read by its neighbors. Memory does not grow with the
    crops. Raises :class:`MienError` when the dataset's classes or crops do not fit the model's.

    A run of severity is evaluated by recordings (:mod:`mien.reports.severity`); it knows
    neither rules nor references.
    """
    # Here, so that a model can be opened without what metrics and plots need.
    from mien.reports.report import Reference, evaluate, write_report

    check_rule(rule)
    if task_of(run_or_model) == "severity":
        if rule != "majority" or reference is not None:
            raise MienError(
                f"expected no --rule and no --reference for a model of severity, which has no "
                f"classes, got {reference or rule!r}: leave it out"
            )
        return _evaluate_severity(run_or_model, data, out, split=split)
    if reference == split:
        raise MienError(
            f"expected another split than the one evaluated as --reference, got {split!r} for "
            "both: every face would be its own neighbor"
        )
    model, dataset = open_model(run_or_model), Dataset.open(data)
    rows = dataset.split_indices(split)
    known = None if reference is None else dataset.split_indices(reference)
    command = ["mien", "evaluate", str(run_or_model), "--data", str(data), "--split", split]
    command += ["--rule", rule] + ([] if reference is None else ["--reference", reference])
    evaluation = evaluation_of(model, dataset, run_or_model, split=split, rule=rule)
    evaluation = replace(
        evaluation, provenance={**evaluation.provenance, "command": shlex.join(command)}
    )
    others = {
        name: make_targets(dataset, name).labels[rows]
        for name in _rules()
        if name != rule and dataset.votes is not None
    }
    against = None
    if known is not None and reference is not None:
        labels = make_targets(dataset, rule).labels[known]
        known, labels = known[labels >= 0], labels[labels >= 0]
        readings, _ = _read(model, dataset, known, run_or_model)
        against = Reference(readings.embeddings, labels, reference)
    report = evaluate(evaluation, other_targets=others or None, reference=against)
    return report, write_report(evaluation, report, out)


def _evaluate_severity(
    run_or_model: str | Path, data: str | Path, out: str | Path, *, split: str
) -> tuple[dict[str, Any], Path]:
    from mien.reports.severity import evaluate_severity, write_severity_report

    evaluation = severity_evaluation(run_or_model, Dataset.open(data), split=split)
    command = ["mien", "evaluate", str(run_or_model), "--data", str(data), "--split", split]
    evaluation = replace(
        evaluation, provenance={**evaluation.provenance, "command": shlex.join(command)}
    )
    report = evaluate_severity(evaluation)
    return report, write_severity_report(evaluation, report, out)


def severity_evaluation(
    run_or_model: str | Path, dataset: Dataset, *, split: str
) -> SeverityEvaluation:
    """What a run or model of severity says of the recordings of a split."""
    model = open_severity(run_or_model)
    return severity_evaluation_of(
        model,
        dataset,
        split=split,
        provenance={
            "model": model.name,
            "dataset": name_of(dataset),
            "trained_on": model.trained_on,
            "license_terms": f"Model: {model.license_terms} Dataset: {dataset.license_terms}",
            "folder": str(dataset.folder),
            "crops": dataset.preprocessing.hash,
            "version": f"mien {__version__}",
        },
        warnings=_corpus_warnings(dataset),
    )


def evaluation_of(
    model: Model, dataset: Dataset, run_or_model: str | Path, *, split: str, rule: str
) -> Evaluation:
    """What ``model`` says of a split, with all that is known about its rows.

    ``run_or_model`` is what the user called the model. Memory does not grow with the crops.
    """
    from mien.metrics.attention import MapSums
    from mien.statistics.arrays import Evaluation

    rows = dataset.split_indices(split)
    carry, class_warnings = _class_carrier(model.label_space, dataset)
    targets = make_targets(dataset, rule)
    maps = MapSums(len(dataset.label_space))

    def look(attention: FloatArray, crops: UInt8Array, start: int) -> None:
        maps.add(attention, crops, targets.labels[rows[start : start + len(crops)]])

    readings, crop_warnings = _read(model, dataset, rows, run_or_model, look=look)
    subjects = dataset.subjects
    return Evaluation(
        ids=dataset.column("id")[rows],
        targets=targets.labels[rows],
        probabilities=carry(readings.probabilities),
        embeddings=readings.embeddings,
        label_space=dataset.label_space,
        split=split,
        rule=rule,
        subjects=None if subjects is None else subjects[rows],
        votes=_class_votes(dataset, rows),
        crops=_CropsOf(dataset, rows),
        valence_arousal=readings.valence_arousal,
        valence_arousal_targets=dataset.valence_arousal[rows],
        attention=maps.means(),
        provenance={
            "model": model.name,
            "dataset": name_of(dataset),
            "license_terms": f"Model: {model.license_terms} Dataset: {dataset.license_terms}",
            "folder": str(dataset.folder),
            "crops": dataset.preprocessing.hash,
            "version": f"mien {__version__}",
        },
        left_out=_left_out(rows, targets),
        warnings=[*_corpus_warnings(dataset), *class_warnings, *crop_warnings],
        graph=model.graph,
    )


def check_rule(rule: str) -> None:
    """Raise :class:`MienError` unless it makes one label of votes."""
    if rule not in _rules():
        raise MienError(f"expected a rule for labels ({', '.join(_rules())}), got {rule!r}")


def _rules() -> list[str]:
    return [name for name in RULES if name != "distribution"]


def _read(
    model: Model,
    dataset: Dataset,
    rows: NDArray[np.int64],
    run_or_model: str | Path,
    *,
    look: Callable[[FloatArray, UInt8Array, int], None] | None = None,
) -> tuple[Readings, list[str]]:
    """What the model gives for some rows, a chunk of crops at a time, and what to warn of.

    Attention maps are not kept, as they would fill the memory; ``look`` gets those of a chunk with
    its crops and the place of its first row in ``rows``.
    """
    crops_of, warnings = _crop_carrier(model.preprocessing, dataset, rows, run_or_model)
    if not len(rows):
        nothing = np.empty((0, len(model.label_space)), np.float32)
        return Readings(nothing, np.empty((0, 0), np.float32)), warnings
    parts = []
    for start in _with_progress(range(0, len(rows), _CHUNK)):
        crops = crops_of(rows[start : start + _CHUNK])
        readings = model.predict(crops)
        if readings.attention is not None:
            if look is not None:
                look(readings.attention, crops, start)
            readings = readings._replace(attention=None)
        parts.append(readings)
    return join_readings(parts), warnings


def _corpus_warnings(dataset: Dataset) -> list[str]:
    return [synthetic.WARNING] if dataset.info.get("corpus") == synthetic.CORPUS else []


def name_of(dataset: Dataset) -> str:
    """The corpus, or for a folder of one's own the name of the dataset."""
    corpus = str(dataset.info.get("corpus", "folder"))
    return dataset.folder.resolve().name if corpus == "folder" else corpus


@dataclass(frozen=True)
class _CropsOf:
    """Some rows' crops, read one by one when a picture is wanted."""

    dataset: Dataset
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> UInt8Array:
        return self.dataset.crops[self.rows[index]]


def _with_progress(starts: range) -> Iterable[int]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        starts, "evaluate", console=console, transient=True, disable=not sys.stderr.isatty()
    )


def _class_carrier(
    space: LabelSpace, dataset: Dataset
) -> tuple[Callable[[FloatArray], FloatArray], list[str]]:
    """How the model's probabilities become the dataset's classes."""
    wanted = dataset.label_space
    if space.names == wanted.names:
        return (lambda probabilities: probabilities), []
    if unknown := [name for name in wanted.names if name not in space.names]:
        raise MienError(
            f"the dataset has classes that the model does not know ({', '.join(unknown)}; "
            f"the model knows {', '.join(space.names)}): evaluate a model that was trained on them"
        )
    matrix = space.projection(wanted)

    def carry(probabilities: FloatArray) -> FloatArray:
        kept = probabilities @ matrix
        # A tiny floor keeps a row whose whole mass lies on classes that the dataset lacks.
        kept = np.maximum(kept, 1e-12)
        return np.asarray(kept / kept.sum(1, keepdims=True), np.float32)

    dropped = [name for name in space.names if name not in wanted.names]
    if not dropped:
        return carry, []
    return carry, [
        f"The dataset has no class {', '.join(dropped)}: the model's probabilities of the other "
        "classes were scaled to sum to one, so it could not answer with these."
    ]


def _crop_carrier(
    wanted: Preprocessing, dataset: Dataset, rows: NDArray[np.int64], model: str | Path
) -> tuple[Callable[[NDArray[np.int64]], UInt8Array], list[str]]:
    """How rows become crops as the model reads them; the model normalizes their pixels itself."""
    made, warnings = dataset.preprocessing, []
    to_gray = wanted.color == "gray" and made.color != "gray"
    # Colors can be taken away after the cut.
    taken = wanted.model_copy(update={"color": made.color}) if to_gray else wanted
    if not made.cuts_like(taken):
        raise MienError(
            f"expected crops as the model reads them ({wanted.hash}), got a dataset with others: "
            f"{made.differences(taken)}; prepare it again with --like {shlex.quote(str(model))}"
        )
    read = dataset.with_preprocessing(taken)
    if to_gray:
        warnings.append(
            "The dataset's crops are in color and the model reads gray ones: they were "
            "converted; crops that were prepared in gray can differ by one gray level."
        )
    if fixed := read.fixed_boxes(rows):
        warnings.append(
            f"{fixed:,} of {len(rows):,} faces had no landmarks: their regions are fixed fractions "
            "of the crop. mien prepare --landmarks looks for them in tight crops."
        )
    if not to_gray:
        return (lambda picked: read.crops[picked]), warnings
    # Gray before composed, as prediction does it: resizing clips, and then the order matters.
    return (lambda picked: read.crops.composed(_to_gray(dataset.crops[picked]), picked)), warnings


def _to_gray(crops: UInt8Array) -> UInt8Array:
    from mien.faces.align import fixed_crop

    gray = Preprocessing(size=crops.shape[1], color="gray")
    return np.stack([fixed_crop(crop, gray)[0] for crop in crops])


def _class_votes(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    if dataset.votes is None:
        return None
    columns = [dataset.vote_names.index(name) for name in dataset.label_space.names]
    return dataset.votes[rows][:, columns]


def _left_out(rows: NDArray[np.int64], targets: Targets) -> dict[str, int]:
    missing = int((targets.labels[rows] < 0).sum())
    # Targets count their reasons over all splits; where there are two, either may be a row's.
    return {" or ".join(targets.left_out): missing} if missing else {}
